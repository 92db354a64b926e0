/// The name of a service, as mesh.yaml has it.
///
/// Give the services that you call a name once, and the compiler knows them from there on:
///
///     extension ServiceName {
///         static let inventory: Self = "inventory"
///     }
///
///     let answer = try await mesh.call(.inventory, .get, "/stock?sku=tea")
public struct ServiceName: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    public let description: String

    public init(_ name: String) { description = name }

    public init(stringLiteral name: String) { description = name }
}
