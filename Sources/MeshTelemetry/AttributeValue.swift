/// The value of an attribute, in OpenTelemetry's types.
package enum AttributeValue: Hashable, Sendable, CustomStringConvertible {
    case string(String)
    case integer(Int64)
    case double(Double)
    case bool(Bool)
    /// Flat: an array within an array is written as text.
    case array([AttributeValue])

    static let maximumElements = 64

    package var description: String {
        switch self {
        case .string(let text): text
        case .integer(let number): "\(number)"
        case .double(let number): "\(number)"
        case .bool(let bool): bool ? "true" : "false"
        case .array(let elements): "[" + elements.map(\.description).joined(separator: ", ") + "]"
        }
    }

    /// No less than the bytes that it takes in a record.
    var encodedBound: Int {
        switch self {
        case .string(let text): 3 + min(text.utf8.count, RecordLayout.maximumString)
        case .integer: 11
        case .double: 9
        case .bool: 1
        case .array(let elements):
            elements.prefix(Self.maximumElements).reduce(2) { sum, element in
                if case .array = element { sum + 3 + RecordLayout.maximumString } else { sum + element.encodedBound }
            }
        }
    }
}

extension AttributeKey {
    /// By name, so that an application's `http.route` is the same attribute as the mesh's.
    static let named = Dictionary(uniqueKeysWithValues: AttributeKey.allCases.map { ($0.name, $0) })

    package init?(name: String) {
        guard let known = Self.named[name] else { return nil }
        self = known
    }
}
