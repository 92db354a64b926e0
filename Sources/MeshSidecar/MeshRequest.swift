public import HTTPTypes
import MeshModel
import MeshTelemetry
package import MeshTransport

/// A request that this service is to answer.
///
///     try await Sidecar.run { request, mesh in
///         let order = try await request.json(as: NewOrder.self)
///         …
///     }
public struct MeshRequest: Sendable {
    /// As it arrived, for ``Mesh/forward(_:to:)``.
    package let inbound: InboundRequest

    package init(_ inbound: InboundRequest) { self.inbound = inbound }

    public var method: HTTPRequest.Method { inbound.method }
    /// Path and query, for instance `/stock?sku=tea`.
    public var target: String { inbound.path }
    /// The path without the query, as it was sent: percent signs are not decoded.
    public var path: String {
        guard let query = inbound.path.utf8.firstIndex(of: UInt8(ascii: "?")) else { return inbound.path }
        return String(inbound.path[..<query])
    }
    /// The path's parts, percent signs decoded: `/orders/7` has two.
    public var pathComponents: [String] { path.split(separator: "/").map { PercentEncoding.decode($0) } }
    /// What the request calls its host.
    public var authority: String? { inbound.authority }
    /// Without the fields by which the mesh speaks with itself and those of the connection.
    public var headerFields: HTTPFields { inbound.fields }
    /// It can be read once.
    public var body: MeshBody { MeshBody(.stream(inbound.body)) }

    /// The value of a query parameter, decoded; the first one where there are several, nil where there is none.
    public func query(_ name: String) -> String? {
        guard let start = inbound.path.firstIndex(of: "?") else { return nil }
        for pair in inbound.path[start...].dropFirst().split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = parts.first, PercentEncoding.decode(key, plusIsSpace: true) == name else { continue }
            return parts.count > 1 ? PercentEncoding.decode(parts[1], plusIsSpace: true) : ""
        }
        return nil
    }

    /// The value of a query parameter as a number or another type that is written as text; nil where there is none.
    ///
    ///     let seconds = try request.query("s", as: Double.self) ?? 1
    ///
    /// - Throws: a 400 ``Problem`` that names the parameter when its value can't be read.
    public func query<Value: LosslessStringConvertible>(_ name: String, as type: Value.Type) throws(Problem) -> Value? {
        guard let text = query(name) else { return nil }
        guard let value = Value(text) else {
            throw Problem(
                .badRequest, detail: "the query can't be read",
                errors: [.init(field: name, message: "'\(text)' is not a valid \(Value.self)")])
        }
        return value
    }

    /// The body as JSON.
    ///
    /// - Throws: a 400 ``Problem`` that names the field that is missing or wrong; 413 for a body longer than `limit` bytes.
    public func json<Value: Decodable>(as type: Value.Type, upTo limit: Int = 1 << 20) async throws -> Value {
        try Problem.decoding(type, from: await body.collect(upTo: limit))
    }

    /// When the caller stops waiting; every call made for this request ends by then. Nil for a request without an end.
    public var deadline: ContinuousClock.Instant? { remaining.map { .now + $0 } }

    /// What is left until ``deadline``; never below zero.
    public var remaining: Duration? {
        inbound.context.deadline.map { .nanoseconds(max(0, ($0 - HostClock.now()).nanoseconds)) }
    }

    /// The trace that this request belongs to, as `mesh traces show` takes it.
    public var traceID: String { inbound.context.trace.traceID.description }

    /// Says which route answers this request, also where it answers by an error.
    package func isAnswered(byRoute route: String) { RequestScope.current?.route = route }

    /// Who sent it.
    public var caller: Caller { Caller(service: inbound.context.callerService.map { ServiceName($0) }, peer: inbound.context.peer) }
}

/// Who sent a request, and how far that is proven.
public struct Caller: Hashable, Sendable, CustomStringConvertible {
    public enum Identity: Hashable, Sendable {
        /// Nothing is proven.
        case unauthenticated
        /// The kernel of this host told the process and its user.
        case process(id: Int32, userID: UInt32)
        /// A certificate proved this SPIFFE id.
        case spiffe(String)
    }

    /// The service that called, as it says itself; nil for a caller outside the mesh.
    public var service: ServiceName?
    public var identity: Identity

    public init(service: ServiceName?, identity: Identity) {
        self.service = service
        self.identity = identity
    }

    init(service: ServiceName?, peer: PeerIdentity) {
        self.service = service
        identity =
            switch peer {
            case .none: .unauthenticated
            case .unix(let processID, let userID): .process(id: processID, userID: userID)
            case .spiffe(let id): .spiffe(id)
            }
    }

    /// A name is only a claim until a certificate proves it, and is shown as such.
    public var description: String {
        switch identity {
        case .spiffe(let id): id
        case .unauthenticated, .process: service.map { "\($0) (unauthenticated)" } ?? "unauthenticated"
        }
    }
}
