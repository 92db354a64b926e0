package import MeshModel
package import Tracing

/// What a request brings along and every call made for it inherits, without its author doing anything.
package struct RequestContext: Sendable {
    /// When the request must have been answered; nil without a limit.
    package var deadline: Instant?
    /// The trace, and the span under which what happens next stands.
    package var trace: TraceContext?
    /// The service that called, by its own word or by its certificate; nil at the edge.
    package var caller: String?
    package var peer: PeerIdentity

    package init(deadline: Instant? = nil, trace: TraceContext? = nil, caller: String? = nil, peer: PeerIdentity = .none) {
        self.deadline = deadline
        self.trace = trace
        self.caller = caller
        self.peer = peer
    }

    @TaskLocal package static var current: RequestContext?

    /// Runs `operation` within this context.
    ///
    /// Sets swift-distributed-tracing's context with it, so that the two never name different parents.
    package func run<Result>(
        isolation: isolated (any Actor)? = #isolation, _ operation: () async throws -> Result
    ) async rethrows -> Result {
        var service = ServiceContext.current ?? .topLevel
        service.trace = trace
        return try await RequestContext.$current.withValue(self) {
            try await ServiceContext.$current.withValue(service, operation: operation)
        }
    }
}

extension TraceContext {
    /// The span that is open here: application code's innermost one, else the request's own.
    package static var current: TraceContext? { ServiceContext.current?.trace ?? RequestContext.current?.trace }
}

private enum TraceContextKey: ServiceContextKey {
    typealias Value = TraceContext
    static var nameOverride: String? { "mesh-trace" }
}

extension ServiceContext {
    package var trace: TraceContext? {
        get { self[TraceContextKey.self] }
        set { self[TraceContextKey.self] = newValue }
    }
}
