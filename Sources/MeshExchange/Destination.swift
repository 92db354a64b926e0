package import MeshModel
package import MeshPolicy
import Synchronization

/// One edge of the graph, as its caller knows it: where the service is, how calls to it behave, and how it has been doing.
///
/// A destination belongs to one snapshot; what it has learnt (load, breakers, budget) passes on to its successor, so that a
/// new configuration starts nothing afresh. Rules are process-wide, hence the lock: an untroubled call takes it twice, to be
/// admitted and to end. Effects run after it is released.
package final class Destination: Sendable {
    package let service: String
    package let tier: String
    package let policy: CallPolicy
    package let isExternal: Bool
    // What every call asks of the policy, at hand: to read one of them out of it copies all of it.
    let timeout: Timespan
    let attemptTimeout: Timespan?
    let connectTimeout: Timespan
    let streamIdleTimeout: Timespan
    let retry: RetryPolicy
    // Of `retry`, which has lists of its own.
    let neverRetries: Bool
    let repeatableMethods: MethodSet
    let mostAttempts: Int
    let hedge: HedgePolicy?
    /// Whose hash `RequestFacts.affinity` has to be; nil where no value decides.
    package let affinityKey: HashKey?
    private let activeFault: ActiveFault?
    private let edge: Edge

    /// What outlives a snapshot.
    private final class Edge: Sendable {
        let state: Guarded<EdgeState>
        /// Attempts that got their connection, ever; counted outside of the lock.
        let connected = Atomic<Int>(0)
        init(_ state: EdgeState) { self.state = Guarded(state) }
    }

    /// - Parameter previous: the destination of the same service in the snapshot before.
    package init(_ configuration: DestinationConfiguration, replicas: Int = 1, after previous: Destination? = nil, now: Instant) {
        service = configuration.service
        tier = configuration.tier
        policy = configuration.policy
        timeout = policy.timeout
        attemptTimeout = policy.attemptTimeout
        connectTimeout = policy.connectTimeout
        streamIdleTimeout = policy.streamIdleTimeout
        retry = policy.retry
        neverRetries = policy.retry.never
        repeatableMethods = policy.retry.methods
        mostAttempts = policy.retry.attempts
        hedge = policy.hedge
        isExternal = configuration.isExternal
        if case .hash(let key) = configuration.policy.balance { affinityKey = key } else { affinityKey = nil }
        activeFault = ActiveFault(configuration.policy.fault, after: previous?.activeFault, now: now)
        if let previous {
            edge = previous.edge
            edge.state.withLock { $0.update(configuration, replicas: replicas, now: now) }
        } else {
            edge = Edge(EdgeState(configuration, replicas: replicas, now: now))
        }
    }

    package func statistics(now: Instant) -> DestinationStatistics {
        let connected = edge.connected.load(ordering: .relaxed)
        return edge.state.withLock { $0.statistics(service: service, connected: connected, now: now) }
    }

    /// What trouble is made on purpose now.
    func fault(at now: Instant) -> FaultPolicy? { activeFault?.policy(at: now) }

    // MARK: What an exchange asks and reports

    func admit(
        _ criticality: Criticality, affinity: UInt64?, traceID: TraceID?, now: Instant, random: inout RandomSource
    ) -> Admission {
        let connected = edge.connected.load(ordering: .relaxed)
        return edge.state.withLock { state in
            state.admit(criticality, connected: connected, affinity: affinity, traceID: traceID, now: now, random: &random)
        }
    }

    func attemptConnected() { edge.connected.wrappingAdd(1, ordering: .relaxed) }

    /// A probe's head was forwarded: what it says is known, although it goes on.
    func headForwarded(
        _ report: AttemptReport, of permit: CallPermit, outcome: Outcome, traceID: TraceID?, now: Instant,
        random: inout RandomSource
    ) {
        edge.state.withLock { state in
            state.judge(report, traceID: traceID, now: now, random: &random)
            state.judgeCall(outcome, permit: permit, traceID: traceID, now: now, random: &random)
        }
    }

    /// An attempt went wrong: records that, and says whether another may follow. If so, the attempt is over.
    func attemptWentWrong(
        _ report: AttemptReport, of permit: inout CallPermit, wish: RetryWish, tried: borrowing AttemptLog, traceID: TraceID?, now: Instant,
        random: inout RandomSource
    ) -> RetryVerdict {
        let isRetrying = permit.isRetrying
        let verdict = edge.state.withLock { state in
            state.judge(report, traceID: traceID, now: now, random: &random)
            let verdict = state.grant(wish, isRetrying: isRetrying, tried: tried, now: now)
            state.tally.attemptWentWrong(report.cause, verdict)
            if verdict.isRetry { state.release(report) }
            return verdict
        }
        if verdict == .retried { permit.isRetrying = true }
        return verdict
    }

    /// An endpoint for the next attempt: one that was not tried, while there is any.
    func selectAgain(
        tried: borrowing AttemptLog, affinity: UInt64?, traceID: TraceID?, now: Instant, random: inout RandomSource
    ) -> Selection {
        edge.state.withLock { $0.selectAgain(tried: tried, affinity: affinity, traceID: traceID, now: now, random: &random) }
    }

    // MARK: Two attempts side by side

    /// How long a first attempt may take before a second one is sent; nil where none is, or too little is known.
    func hedgeDelay() -> Timespan? {
        guard let hedge else { return nil }
        if case .fixed(let span) = hedge.after { return span }
        return edge.state.withLock { hedge.delay(&$0.latencies) }
    }

    /// A second attempt is due: an endpoint for it, paid, or why there is none.
    func hedgeWanted(
        for permit: inout CallPermit, remaining: Timespan?, tried: borrowing AttemptLog, traceID: TraceID?, now: Instant,
        random: inout RandomSource
    ) -> HedgeSelection {
        let connected = edge.connected.load(ordering: .relaxed)
        let asking = permit
        let selection = edge.state.withLock { state in
            state.hedgeWanted(
                for: asking, remaining: remaining, tried: tried, connected: connected, traceID: traceID, now: now, random: &random)
        }
        if case .leased = selection { permit.isRetrying = true }
        return selection
    }

    /// Refused by the exchange itself.
    func hedgeRefused(_ verdict: RetryVerdict) { edge.state.withLock { $0.tally.hedgeRefused(verdict) } }

    /// One of two attempts is over; the call goes on with the other one, or ends with it.
    func attemptEnded(
        _ report: AttemptReport, beside ending: BesideEnding, traceID: TraceID?, now: Instant, random: inout RandomSource
    ) {
        edge.state.withLock { $0.attemptEnded(report, beside: ending, traceID: traceID, now: now, random: &random) }
    }

    /// A call that was admitted is over, and its last attempt with it, where one was running.
    func callEnded(
        _ outcome: Outcome, permit: CallPermit, attempt report: AttemptReport?, took span: Timespan, left: Timespan?, traceID: TraceID?,
        now: Instant, random: inout RandomSource
    ) {
        edge.state.withLock { state in
            var outcome = outcome
            if let report {
                // What says nothing of the endpoint says nothing of the edge.
                let judged = state.judge(report, traceID: traceID, now: now, random: &random)
                if let judged, judged.isNeutral { outcome = .neutral }
                state.release(report)
            }
            state.callEnded(outcome, permit: permit, took: span, left: left, traceID: traceID, now: now, random: &random)
        }
    }

    /// Refused before it was admitted, by the exchange itself.
    func callRefused(_ cause: FailureCause) {
        edge.state.withLock { state in
            state.counters.refused += 1
            state.tally.callRefused(cause)
        }
    }
}
