package import MeshModel
package import MeshPolicy

/// What happened on an edge since its first snapshot.
package struct EdgeCounters: Hashable, Sendable {
    /// Admitted ones.
    package var calls = 0
    package var failed = 0
    /// Calls answered here, for want of an endpoint, of room, of time, or by a breaker.
    package var refused = 0
    package var attempts = 0
    package var retries = 0
    /// Tries elsewhere of what was provably unsent.
    package var unsentRetries = 0
    /// Second attempts beside a first one.
    package var hedges = 0
    /// The callers that share the reserve of the retry budget.
    package var replicas = 1
}

/// How an edge is doing.
package struct DestinationStatistics: Sendable {
    package var service: String
    package var counters: EdgeCounters
    /// Calls under way.
    package var active: Int
    package var retrying: Int
    /// Attempts that wait for a connection.
    package var pending: Int
    /// Retries that the budget would grant now.
    package var budget: Int
    package var median: Timespan?
    package var p99: Timespan?
    /// From the first byte of a request to the head of its answer.
    package var latencies: LatencyHistogram
    /// What a request's deadline had left when its call ended.
    package var remaining: LatencyHistogram
    /// Calls answered here, by why.
    package var refusals: [FailureCause: Int]
    /// Attempts repeated, by what had gone wrong.
    package var retriesByCause: [FailureKind: Int]
    /// Attempts that went wrong and were not repeated, by why not.
    package var refusedRetries: [RetryVerdict: Int]
    /// Second attempts that are over, by what became of them.
    package var hedges: [HedgeOutcome: Int]
    /// Second attempts that were due and not made, by why not.
    package var refusedHedges: [RetryVerdict: Int]
    /// Calls that have two attempts running now.
    package var hedging: Int
    package var breaker: Breaker.Condition
    package var endpoints: [EndpointStatistics]
    /// The latest changes of state, oldest first.
    package var events: [BreakerEvent]
    /// Fewer than half of the endpoints are in use, so that calls go to ejected ones too.
    package var isPanicking: Bool
    package var ejections: [EjectionEvent]
    /// How many calls may be under way now; nil where that is not limited.
    package var limit: Double?
    /// The share of calls of no special criticality that is rejected here, since the service sheds them.
    package var throttled: Double
}

package struct EndpointStatistics: Sendable {
    package var instance: InstanceID
    package var version: String?
    package var inFlight: Int
    /// The balancer's estimate; nil before the first answer.
    package var latency: Timespan?
    package var breaker: Breaker.Condition
    /// The breaker's probe is under way.
    package var isProbing: Bool
    package var window: SlidingWindow.Counts
    package var takesNoCalls: Bool
    package var isEjected: Bool
}

/// A breaker changed its state.
package struct BreakerEvent: Hashable, Sendable {
    package var at: Instant
    /// nil for the edge's own breaker.
    package var instance: InstanceID?
    package var change: Breaker.Change
    /// Of the call that caused it.
    package var traceID: TraceID?
    /// Of an opening: what the failures in the breaker's window were.
    package var causes: [CauseCount] = []
}

/// The last few events of an edge; older ones are counted, not kept.
struct RecentEvents: Sendable {
    static let capacity = 32
    private(set) var kept: [BreakerEvent] = []
    private(set) var count = 0

    mutating func append(
        _ change: Breaker.Change, of instance: InstanceID?, traceID: TraceID?, causes: [CauseCount] = [], now: Instant
    ) {
        count += 1
        if kept.count == Self.capacity { kept.removeFirst() }
        kept.append(BreakerEvent(at: now, instance: instance, change: change, traceID: traceID, causes: causes))
    }
}

extension EdgeState {
    func statistics(service: String, connected: Int, now: Instant) -> DestinationStatistics {
        DestinationStatistics(
            service: service, counters: counters, active: active, retrying: retrying, pending: pending(connected: connected),
            budget: budget.balance(now: now), median: latencies.median, p99: latencies.quantile(0.99), latencies: tally.latencies,
            remaining: tally.remaining,
            refusals: tally.refusals, retriesByCause: tally.retries, refusedRetries: tally.refusedRetries,
            hedges: tally.hedges, refusedHedges: tally.refusedHedges, hedging: hedging, breaker: breaker.condition,
            endpoints: slots.compactMap { slot in
                guard let reference = slot.reference else { return nil }
                return EndpointStatistics(
                    instance: slot.instance, version: reference.endpoint.version, inFlight: Int(slot.inFlight),
                    latency: slot.load.isKnown ? Timespan(nanoseconds: Int64(slot.load.current(now: now))) : nil,
                    breaker: slot.breaker.condition, isProbing: slot.breaker.isProbing, window: slot.breaker.counts,
                    takesNoCalls: slot.takesNoCalls, isEjected: slot.isEjected)
            },
            events: events.kept, isPanicking: isPanicking, ejections: ejectionEvents.kept, limit: limiter?.limit,
            throttled: throttle.probability(for: .standard))
    }
}
