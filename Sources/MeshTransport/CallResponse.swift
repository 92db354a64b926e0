package import HTTPTypes
package import MeshModel
package import MeshPolicy
package import MeshTelemetry

/// The answer to a `call`.
package struct CallResponse: Sendable {
    package var status: Int
    package var fields: HTTPFields
    /// Dropping it unread cancels the call.
    package var body: BodyStream
    /// The span of the call, for log lines and links.
    package var trace: TraceContext

    package init(status: Int, fields: HTTPFields, body: BodyStream, trace: TraceContext) {
        self.status = status
        self.fields = fields
        self.body = body
        self.trace = trace
    }
}

/// What a caller in this process says about a call.
package struct CallContext: Sendable {
    /// Inherited; the call takes the smaller of it and of the edge's own timeout.
    package var deadline: Instant?
    /// `spanID` is the parent of the call span; nil begins a trace.
    package var trace: TraceContext?
    package var requestID: String?
    /// Of the request that it is made for; nil where it is made for none, so that this call is the root and is granted its own.
    package var credit: SharedRetryCredit?
    /// Of the request for which the call is made.
    package var notes: TraceNotes?
    package var propagated: PropagatedFields

    package var criticality: Criticality

    package init(
        deadline: Instant? = nil, trace: TraceContext? = nil, requestID: String? = nil, credit: SharedRetryCredit? = nil,
        notes: TraceNotes? = nil, propagated: PropagatedFields = PropagatedFields(), criticality: Criticality = .standard
    ) {
        self.deadline = deadline
        self.trace = trace
        self.requestID = requestID
        self.credit = credit
        self.notes = notes
        self.propagated = propagated
        self.criticality = criticality
    }
}
