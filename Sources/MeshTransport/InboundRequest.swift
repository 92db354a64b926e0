package import HTTPTypes
package import MeshModel
package import MeshPolicy
package import MeshTelemetry

/// A request that a handler answers.
package struct InboundRequest: Sendable {
    package var method: HTTPRequest.Method
    /// Path and query in their normal form.
    package var path: String
    package var authority: String?
    /// Without hop-by-hop fields and without those that the mesh speaks with itself.
    package var fields: HTTPFields { head.fields }
    package var body: BodyStream
    package var context: InboundContext

    private let head: InboundFields

    package init(
        method: HTTPRequest.Method, path: String, authority: String?, fields: HTTPFields, body: BodyStream, context: InboundContext
    ) {
        self.init(
            method: method, path: path, authority: authority, head: InboundFields(fields), body: body, context: context)
    }

    init(
        method: HTTPRequest.Method, path: String, authority: String?, head: InboundFields, body: BodyStream, context: InboundContext
    ) {
        self.method = method
        self.path = path
        self.authority = authority
        self.head = head
        self.body = body
        self.context = context
    }

    /// The answer that passes this request, as it came, to another service and its response back; wholly on the event loop.
    ///
    /// The handler must not have read the body.
    package func forward(to service: String) -> OutboundResponse { .forward(to: service) }
}

/// What is known of a request beside itself.
package struct InboundContext: Sendable {
    /// When the caller stops waiting; nil for a request without end.
    package var deadline: Instant?
    /// The server span of this request: the parent of all that the handler does.
    package var trace: TraceContext
    package var peer: PeerIdentity
    /// The service that called, as it says itself (`mesh-caller`); nil from outside the mesh.
    package var callerService: String?
    package var requestID: String?
    package var received: Instant
    /// What the calls made for this request may spend on extra attempts; nil for no limit.
    package var credit: SharedRetryCredit?
    /// Where calls that are made for this request note what went wrong.
    package var notes: TraceNotes
    package var propagated: PropagatedFields

    /// As the edge said; calls made for this request carry it on.
    package var criticality: Criticality

    package init(
        deadline: Instant?, trace: TraceContext, peer: PeerIdentity = .none, callerService: String? = nil, requestID: String? = nil,
        received: Instant, credit: SharedRetryCredit? = nil, notes: TraceNotes = TraceNotes(),
        propagated: PropagatedFields = PropagatedFields(), criticality: Criticality = .standard
    ) {
        self.deadline = deadline
        self.trace = trace
        self.peer = peer
        self.callerService = callerService
        self.requestID = requestID
        self.received = received
        self.credit = credit
        self.notes = notes
        self.propagated = propagated
        self.criticality = criticality
    }
}

/// What a handler answers.
package struct OutboundResponse: Sendable {
    enum Kind: Sendable {
        case own(status: Int, fields: HTTPFields, body: OutboundBody)
        case forward(service: String)
    }

    let kind: Kind
    /// What was asked for, as traces name it: `/orders/{id}`; nil for the path itself.
    package var route: String?

    package init(status: Int, fields: HTTPFields = HTTPFields(), body: OutboundBody = .none) {
        kind = .own(status: status, fields: fields, body: body)
    }

    private init(kind: Kind) { self.kind = kind }

    static func forward(to service: String) -> OutboundResponse { OutboundResponse(kind: .forward(service: service)) }
}
