import MeshModel
import MeshPolicy

/// Why one of two attempts that ran side by side is over.
enum BesideEnding: Sendable {
    case failed
    /// The other one was answered first.
    case overtaken
    /// The call ended before either was answered.
    case givenUp
}

// A second attempt is more load for the sake of few calls: it goes only where nobody else has to stand back for it.
extension EdgeState {
    /// A second attempt beside the first: only to another endpoint that is well, and charged like a retry and to the hedges' own share.
    mutating func hedgeWanted(
        for permit: CallPermit, remaining: Timespan?, tried: borrowing AttemptLog, connected: Int, traceID: TraceID?, now: Instant,
        random: inout RandomSource
    ) -> HedgeSelection {
        if now >= nextEjectionCheck { checkEjections(now: now) }
        let selection = hedge(
            for: permit, remaining: remaining, tried: tried, connected: connected, traceID: traceID, now: now, random: &random)
        if case .refused(let verdict) = selection { tally.hedgeRefused(verdict) }
        return selection
    }

    private mutating func hedge(
        for permit: CallPermit, remaining: Timespan?, tried: borrowing AttemptLog, connected: Int, traceID: TraceID?, now: Instant,
        random: inout RandomSource
    ) -> HedgeSelection {
        guard !permit.edge.isProbe else { return .refused(.breakerOpen) }
        guard throttle.isIdle else { return .refused(.poolOverloaded) }
        guard pending(connected: connected) < policy.bulkhead.pending else { return .refused(.noRoom) }
        if let remaining, (latencies.median ?? .zero) > remaining { return .refused(.deadlineTooClose) }
        guard let slot = selectAvailable(otherThan: tried, now: now, random: &random) else { return .refused(.noOtherEndpoint) }
        if !permit.isRetrying {
            guard RetryBudget.allowsAnother(retrying: retrying, active: active, ratio: policy.retry.budgetRatio) else {
                return .refused(.tooManyRetrying)
            }
        }
        // What both have to grant is charged to neither before both would.
        guard hedges?.balance(now: now) ?? 0 > 0 else { return .refused(.hedgesExhausted) }
        guard limiter?.requestCame(.sheddable, now: now) ?? true else { return .refused(.noRoom) }
        guard budget.retryAsked(now: now) else {
            limiter?.requestEnded(.sheddable, servedIn: nil, now: now)
            return .refused(.budgetExhausted)
        }
        _ = hedges?.retryAsked(now: now)
        if !permit.isRetrying { retrying += 1 }
        counters.hedges += 1
        hedging += 1
        let (lease, endpoint) = lease(slot, traceID: traceID, now: now)
        return .leased(lease, endpoint)
    }

    /// One of two attempts is over.
    mutating func attemptEnded(
        _ report: AttemptReport, beside ending: BesideEnding, traceID: TraceID?, now: Instant, random: inout RandomSource
    ) {
        switch ending {
        case .failed:
            judge(report, traceID: traceID, now: now, random: &random)
            tally.attemptWentWrong(report.cause, .hedged)
        case .givenUp:
            judge(report, traceID: traceID, now: now, random: &random)
        case .overtaken:
            slots.withSlot(report.lease.handle.slot) { $0.breaker.leaseReturned(report.lease.permit) }
            // For the endpoint it is no evidence. For the edge it is: the first attempt would have taken longer still, and a quantile
            // of those alone that were not overtaken would sink, and cause more hedges.
            if report.hedge == nil { latencies.record(report.latency) }
        }
        hedging -= 1
        limiter?.requestEnded(.sheddable, servedIn: nil, now: now)
        release(report)
    }
}
