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
    /// Where calls for this request note what went wrong below.
    package var notes: TraceNotes?
    package var propagated: PropagatedFields

    package init(
        deadline: Instant? = nil, trace: TraceContext? = nil, caller: String? = nil, peer: PeerIdentity = .none,
        notes: TraceNotes? = nil, propagated: PropagatedFields = PropagatedFields()
    ) {
        self.deadline = deadline
        self.trace = trace
        self.caller = caller
        self.peer = peer
        self.notes = notes
        self.propagated = propagated
    }

    @TaskLocal package static var current: RequestContext?

    /// Runs `operation` within this context.
    ///
    /// Sets swift-distributed-tracing's context with it, so that the two never name different parents.
    package func run<Result>(
        isolation: isolated (any Actor)? = #isolation, _ operation: () async throws -> Result
    ) async rethrows -> Result {
        var service = ServiceContext.current ?? .topLevel
        service.enter(self)
        return try await RequestContext.$current.withValue(self) {
            try await ServiceContext.$current.withValue(service, operation: operation)
        }
    }
}

extension TraceContext {
    /// The span that is open here: application code's innermost one, else the request's own.
    package static var current: TraceContext? { ServiceContext.current?.trace ?? RequestContext.current?.trace }
}

extension TraceNotes {
    /// Those of the trace whose root is open in this process.
    package static var current: TraceNotes? { ServiceContext.current?.notes ?? RequestContext.current?.notes }
}

extension PropagatedFields {
    /// Those of the request that is open here.
    package static var current: PropagatedFields {
        ServiceContext.current?.propagated ?? RequestContext.current?.propagated ?? PropagatedFields()
    }
}

/// All of a request under one key: each one costs an allocation per request.
private enum RequestContextKey: ServiceContextKey {
    typealias Value = RequestContext
    static var nameOverride: String? { "mesh-request" }
}

// What is said by itself counts over what the request says.
private enum TraceNotesKey: ServiceContextKey {
    typealias Value = TraceNotes
    static var nameOverride: String? { "mesh-trace-notes" }
}

private enum PropagatedFieldsKey: ServiceContextKey {
    typealias Value = PropagatedFields
    static var nameOverride: String? { "mesh-propagated" }
}

private enum TraceContextKey: ServiceContextKey {
    typealias Value = TraceContext
    static var nameOverride: String? { "mesh-trace" }
}

extension ServiceContext {
    fileprivate mutating func enter(_ request: RequestContext) {
        if !isEmpty {
            self[TraceContextKey.self] = nil
            self[TraceNotesKey.self] = nil
            self[PropagatedFieldsKey.self] = nil
        }
        self[RequestContextKey.self] = request
    }

    package var trace: TraceContext? {
        get { self[TraceContextKey.self] ?? self[RequestContextKey.self]?.trace }
        set { self[TraceContextKey.self] = newValue }
    }

    package var notes: TraceNotes? {
        get { self[TraceNotesKey.self] ?? self[RequestContextKey.self]?.notes }
        set { self[TraceNotesKey.self] = newValue }
    }

    /// `tracestate` and `baggage` as they came with the trace.
    package var propagated: PropagatedFields {
        get { self[PropagatedFieldsKey.self] ?? self[RequestContextKey.self]?.propagated ?? PropagatedFields() }
        set { self[PropagatedFieldsKey.self] = newValue }
    }
}
