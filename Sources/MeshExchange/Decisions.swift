import MeshModel
import MeshPolicy

// What an exchange and its destination say to each other: values only, so that a destination may be cut into shards.

/// A place in a destination's table of endpoints. The generation tells two tenants of one slot apart.
struct EndpointHandle: Hashable, Sendable, BitwiseCopyable {
    let slot: Int32
    let generation: Int32
}

/// An attempt's place on its endpoint. Invariant: every lease is given back exactly once.
struct Lease: Sendable, BitwiseCopyable {
    let handle: EndpointHandle
    let permit: Breaker.Permit
    let started: Instant
}

/// A call's place on its edge. Invariant: every admitted call ends exactly once.
struct CallPermit: Sendable {
    var edge: Breaker.Permit
    /// It counts among those that are retrying.
    var isRetrying = false
    var criticality = Criticality.standard
}

enum Admission: Sendable {
    case admitted(CallPermit, Lease, EndpointReference)
    case refused(FailureCause)
}

/// An attempt beside another: an endpoint for it, or why there is none.
enum HedgeSelection: Sendable {
    case leased(Lease, EndpointReference)
    case refused(RetryVerdict)
}

enum Selection: Sendable {
    case leased(Lease, EndpointReference)
    case refused(FailureCause)
}

/// What came of an attempt.
struct AttemptReport: Sendable {
    let lease: Lease
    /// nil where it was recorded before.
    var outcome: Outcome?
    /// From its start to the response head, or to its end where there was none.
    var latency: Timespan
    /// It had a connection.
    var connected: Bool
    /// What went wrong, if anything did.
    var cause: FailureKind?
    /// The call's deadline ended it, so that it says something only if it had as long as a typical answer takes.
    var wasCutOff = false
    var criticality = Criticality.standard
    /// The endpoint turned it away, since it has too much to do.
    var wasShed = false
    /// What became of it, where it is a hedge.
    var hedge: HedgeOutcome?
    /// Another attempt of the call runs beside it, and goes on.
    var isOneOfTwo = false
}

/// What a call whose attempt went wrong would like.
struct RetryWish: Sendable {
    /// The attempt was provably unsent, and this endpoint has not been left for that reason before: go elsewhere, free of charge.
    var elsewhere = false
    /// If nowhere else, then to the same endpoint by a new connection.
    var sameEndpointWillDo = false
    /// Try again after this span, and pay for it.
    var again: Timespan?
    /// Only on an endpoint that the call has not tried.
    var needsOtherEndpoint = false
    /// Why `again` is nil.
    var refusal = RetryVerdict.notNeeded
    /// What is left of the call; nil for no limit.
    var remaining: Timespan?
}
