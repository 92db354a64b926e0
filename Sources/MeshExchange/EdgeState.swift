import MeshModel
import MeshPolicy

/// All that calls on one edge share: the subject of `Destination`'s lock.
///
/// Invariants: `active` calls were admitted and have not ended; the sum of all `inFlight` is the number of leases that are
/// out; a slot stands in exactly one of its group's three lists, or, draining or vacant, in none.
struct EdgeState: Sendable {
    var policy: CallPolicy
    var slots: [EndpointSlot] = []
    var vacant: [Int32] = []
    var groups: [VersionGroup] = []
    /// Endpoints that take new calls, over all groups: all of them, and those that are listed as available.
    var takerCount = 0
    var availableCount = 0
    var budget: RetryBudget
    /// How many second attempts there may be; nil where `hedge` is off.
    var hedges: RetryBudget?
    /// Calls that have two attempts running now.
    var hedging = 0
    var breaker: Breaker
    var latencies = LatencyDistribution()
    /// nil where `limit` is off.
    var limiter: ConcurrencyLimiter?
    var throttle: AdaptiveThrottle
    var active = 0
    var retrying = 0
    /// Attempts ever started, and those that ended without a connection: with those that got one, they say how many wait.
    var started = 0
    var neverConnected = 0
    var counters = EdgeCounters()
    var tally = EdgeTally()
    var events = RecentEvents()
    /// Ejected endpoints that would take calls.
    var ejectedCount = 0
    /// Too few are left, so that ejections do not count.
    var isPanicking = false
    /// When somebody's ejection ends or the rates are compared, and when they are compared.
    var nextEjectionCheck = Instant.distantFuture
    var nextComparison = Instant.distantFuture
    var ejectionEvents = RecentEjections()

    func pending(connected: Int) -> Int { started - neverConnected - connected }

    // MARK: A call begins

    mutating func admit(
        _ criticality: Criticality, connected: Int, affinity: UInt64?, traceID: TraceID?, now: Instant, random: inout RandomSource
    ) -> Admission {
        if now >= nextEjectionCheck { checkEjections(now: now) }
        guard active < policy.bulkhead.calls else { return refuse(.tooManyCalls) }
        guard pending(connected: connected) < policy.bulkhead.pending else { return refuse(.tooManyPending) }
        guard takerCount > 0 else { return refuse(.noEndpoint) }
        guard throttle.callWanted(criticality, now: now, random: &random) else { return refuse(.throttled) }
        guard limiter?.requestCame(criticality, now: now) ?? true else { return refuse(.overLimit) }
        let admission = admitByBreaker(criticality, affinity: affinity, traceID: traceID, now: now, random: &random)
        if case .refused = admission { limiter?.requestEnded(criticality, servedIn: nil, now: now) }
        return admission
    }

    private mutating func admitByBreaker(
        _ criticality: Criticality, affinity: UInt64?, traceID: TraceID?, now: Instant, random: inout RandomSource
    ) -> Admission {
        var permit = Breaker.Permit.free
        if policy.breaker != nil {
            guard let granted = breaker.attemptWanted(now: now, alone: true) else { return refuse(.breakerOpen) }
            permit = granted
            if granted.isFirstProbe { events.append(.halfOpened, of: nil, traceID: traceID, now: now) }
        }
        guard let slot = select(affinity: affinity, now: now, random: &random) else {
            breaker.leaseReturned(permit)
            return refuse(.breakerOpen)
        }
        budget.callBegan(now: now)
        hedges?.callBegan(now: now)
        counters.calls += 1
        active += 1
        let (lease, endpoint) = lease(slot, traceID: traceID, now: now)
        return .admitted(CallPermit(edge: permit, criticality: criticality), lease, endpoint)
    }

    private mutating func refuse(_ cause: FailureCause) -> Admission {
        counters.refused += 1
        tally.callRefused(cause)
        return .refused(cause)
    }

    mutating func lease(_ index: Int32, traceID: TraceID?, now: Instant) -> (Lease, EndpointReference) {
        started += 1
        counters.attempts += 1
        return slots.withSlot(index) { slot in
            var permit = Breaker.Permit.free
            if policy.breaker != nil, let granted = slot.breaker.attemptWanted(now: now, alone: availableCount == 0) {
                permit = granted
                if granted.isFirstProbe { events.append(.halfOpened, of: slot.instance, traceID: traceID, now: now) }
            }
            slot.inFlight += 1
            let handle = EndpointHandle(slot: index, generation: slot.generation)
            return (Lease(handle: handle, permit: permit, started: now), slot.reference!)
        }
    }

    // MARK: An attempt ends

    /// Counts an attempt's outcome, where that was not done before, and answers what it was taken for.
    @discardableResult
    mutating func judge(
        _ report: AttemptReport, traceID: TraceID?, now: Instant, random: inout RandomSource
    ) -> Outcome? {
        guard var outcome = report.outcome else { return nil }
        throttle.attemptAnswered(report.criticality, wasShed: report.wasShed, now: now)
        let median = outcome.isSuccess ? .zero : latencies.median ?? .zero
        if report.wasCutOff, report.latency < median { outcome = .neutral }
        let index = report.lease.handle.slot
        let change: Breaker.Change? = slots.withSlot(index) { slot in
            assert(slot.generation == report.lease.handle.generation, "a slot was vacated while a lease was out")
            switch outcome {
            case .success:
                slot.load.latencyObserved(report.latency, now: now)
                slot.outcomes.calls &+= 1
            case .failure:
                slot.load.failureObserved(after: report.latency, typical: median, now: now)
                slot.outcomes.calls &+= 1
                slot.outcomes.failures &+= 1
            // That it did not come yet is news only if it is later than it was ever thought to be.
            case .neutral:
                // To be turned away is quick, and must not draw more calls here.
                if report.wasShed {
                    slot.load.failureObserved(after: report.latency, typical: median, now: now)
                } else if slot.load.isKnown, Double(report.latency.nanoseconds) > slot.load.current(now: now) {
                    slot.load.latencyObserved(report.latency, now: now)
                }
            }
            guard let breakerPolicy = policy.breaker else { return nil }
            let others = availableCount - (slot.isAvailable(inPanic: isPanicking) ? 1 : 0)
            return slot.breaker.attemptEnded(
                outcome, permit: report.lease.permit, took: report.latency, now: now, alone: others == 0, policy: breakerPolicy,
                random: &random)
        }
        if outcome.isSuccess { latencies.record(report.latency) }
        if case .failure = outcome, let cause = report.cause { tally.attemptFailed(cause, now: now) }
        if let change { breakerChanged(index, change, slowStart: policy.slowStart, traceID: traceID, now: now) }
        return outcome
    }

    mutating func release(_ report: AttemptReport) {
        if !report.connected { neverConnected += 1 }
        if let hedge = report.hedge { tally.hedgeEnded(hedge) }
        let index = report.lease.handle.slot
        let isEmpty = slots.withSlot(index) { slot in
            slot.inFlight -= 1
            return slot.isGone && slot.inFlight == 0
        }
        if isEmpty { vacate(index) }
    }

    private mutating func breakerChanged(
        _ index: Int32, _ change: Breaker.Change, slowStart: Timespan, traceID: TraceID?, now: Instant
    ) {
        events.append(change, of: slots[Int(index)].instance, traceID: traceID, causes: causes(of: change, now: now), now: now)
        switch change {
        case .opened: relist(index, now: now)
        case .halfOpened: break
        case .closed:
            slots.withSlot(index) { $0.ramp = SlowStart(from: now, length: slowStart) }
            relist(index, now: now)
        }
    }

    private func causes(of change: Breaker.Change, now: Instant) -> [CauseCount] {
        guard case .opened = change else { return [] }
        return tally.causes(since: now + (.zero - (policy.breaker ?? BreakerPolicy()).window))
    }

    // MARK: Another attempt

    /// Whether a call gets what it wishes; what it costs is charged here, before the wait.
    mutating func grant(
        _ wish: RetryWish, isRetrying: Bool, tried: borrowing AttemptLog, now: Instant
    ) -> RetryVerdict {
        let others = hasUsable(otherThan: tried, now: now)
        if wish.elsewhere, others || wish.sameEndpointWillDo {
            counters.unsentRetries += 1
            return .unsent
        }
        guard let wait = wish.again else { return wish.refusal }
        guard others || !wish.needsOtherEndpoint else { return .noOtherEndpoint }
        guard others || hasUsable(now: now) else { return .breakerOpen }
        if let remaining = wish.remaining, wait + (latencies.median ?? .zero) > remaining { return .deadlineTooClose }
        if !isRetrying {
            guard RetryBudget.allowsAnother(retrying: retrying, active: active, ratio: policy.retry.budgetRatio) else {
                return .tooManyRetrying
            }
        }
        guard budget.retryAsked(now: now) else { return .budgetExhausted }
        if !isRetrying { retrying += 1 }
        counters.retries += 1
        return .retried
    }

    mutating func selectAgain(
        tried: borrowing AttemptLog, affinity: UInt64?, traceID: TraceID?, now: Instant, random: inout RandomSource
    ) -> Selection {
        if let slot = select(otherThan: tried, affinity: affinity, now: now, random: &random)
            ?? select(affinity: affinity, now: now, random: &random)
        {
            let (lease, endpoint) = lease(slot, traceID: traceID, now: now)
            return .leased(lease, endpoint)
        }
        return .refused(takerCount == 0 ? .noEndpoint : .breakerOpen)
    }

    // MARK: A call ends

    mutating func callEnded(
        _ outcome: Outcome, permit: CallPermit, took span: Timespan, left: Timespan?, traceID: TraceID?, now: Instant,
        random: inout RandomSource
    ) {
        active -= 1
        tally.callEnded(took: span, left: left)
        if permit.isRetrying { retrying -= 1 }
        // What was tried twice says how long one attempt takes no more.
        limiter?.requestEnded(permit.criticality, servedIn: outcome.isSuccess && !permit.isRetrying ? span : nil, now: now)
        if case .failure = outcome { counters.failed += 1 }
        judgeCall(outcome, permit: permit, traceID: traceID, now: now, random: &random)
    }

    /// What a whole call says of the edge: the breaker on top of those of the endpoints.
    mutating func judgeCall(
        _ outcome: Outcome, permit: CallPermit, traceID: TraceID?, now: Instant,
        random: inout RandomSource
    ) {
        guard let breakerPolicy = policy.breaker else { return }
        // How long it took is the endpoints' matter.
        let change = breaker.attemptEnded(
            outcome, permit: permit.edge, took: .zero, now: now, alone: true, policy: breakerPolicy, random: &random)
        if let change { events.append(change, of: nil, traceID: traceID, causes: causes(of: change, now: now), now: now) }
    }
}

/// One endpoint, and what this edge has learnt of it.
struct EndpointSlot: Sendable {
    /// nil where vacant.
    var reference: EndpointReference?
    var instance: InstanceID
    var generation: Int32 = 0
    var group: Int32 = -1
    var inFlight: Int32 = 0
    var inverseWeight: Double
    var load: PeakEWMA
    var ramp: SlowStart
    var breaker: Breaker
    /// Draining, or gone from the configuration.
    var takesNoCalls: Bool
    /// To be vacated with the last attempt.
    var isGone = false
    var outcomes = OutlierDetection.Counts()
    var isEjected = false
    /// Without having been well in between.
    var ejections: Int32 = 0
    var ejectedUntil = Instant.zero

    func cost(now: Instant) -> Double { load.cost(inFlight: Int(inFlight), now: now) * inverseWeight }
    var takesCalls: Bool { reference != nil && !takesNoCalls }
    func isAvailable(inPanic: Bool) -> Bool { breaker.isClosed && !takesNoCalls && (inPanic || !isEjected) }
}

extension [EndpointSlot] {
    /// In place, and without a copy of a slot, which is large.
    @inline(__always)
    mutating func withSlot<Result>(_ index: Int32, _ body: (inout EndpointSlot) -> Result) -> Result { body(&self[Int(index)]) }
}

/// The endpoints of one version, or all where a service has one.
struct VersionGroup: Sendable {
    var name: String?
    var weight: Double
    /// With a closed breaker, and not ejected, unless there is panic.
    var available: [Int32] = []
    /// With a breaker that is open or half-open.
    var tripped: [Int32] = []
    var ejected: [Int32] = []
    /// All that take calls, in the order of their turns.
    var members: [Int32] = []
    /// Where endpoints take turns.
    var turns: SmoothRoundRobin?
    /// Where a value decides.
    var ring: HashRing?

    var isEmpty: Bool { members.isEmpty }
}
