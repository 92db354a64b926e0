package import MeshModel
import MeshPolicy

// How a call ends, and the clocks that may end it.
extension Exchange {
    /// Not admitted at all.
    mutating func refused(_ cause: FailureCause) -> Effects {
        phase = .ended
        flag = cause.flag
        // Whoever tries again above meets the same breaker, or adds to the same load.
        let retryNo = cause == .breakerOpen || cause.flag == .shed
        return Effects(caller: .fail(callFailure(cause, flag: cause.flag, retryNo: retryNo)))
    }

    mutating func deadlinePassed(attemptIsOver: Bool = false, now: Instant, random: inout RandomSource) -> Effects {
        let isRunning = current.lease != nil
        if isRunning { judge(.failure) }
        let abandons = isRunning && !attemptIsOver || beside.isRunning
        return stop(.deadlinePassed, abandoning: abandons ? .deadlinePassed : nil, now: now, random: &random)
    }

    mutating func bodyStoodStill(now: Instant, random: inout RandomSource) -> Effects {
        // Which of the two ends fell silent is not known; a head that came speaks for the upstream.
        if current.headAt == nil { judge(.neutral) }
        return stop(.streamIdle, abandoning: .streamIdle, now: now, random: &random)
    }

    /// The call ends in the service's place: by an answer of the mesh's own, or, once a head is out, by a reset.
    mutating func stop(
        _ cause: FailureCause, because verdict: RetryVerdict = .callOver, abandoning reason: AbandonReason?, now: Instant,
        random: inout RandomSource
    ) -> Effects {
        let flag = flag(for: verdict) ?? cause.flag
        let failure = callFailure(cause, flag: flag, retryNo: cause == .breakerOpen || isFinal(verdict))
        let isCommitted = if case .responding = phase { true } else { false }
        self.flag = flag
        if current.lease != nil {
            attempts.withCurrent {
                $0.abandoned = reason
                $0.retry = isCommitted ? .committed : verdict
            }
        }
        end(abandoning: reason, wasCutOff: cause == .deadlinePassed && !isCommitted, now: now, random: &random)
        return Effects(abandon: reason, caller: isCommitted ? .reset(failure) : .fail(failure))
    }

    /// Gives back all that the call has on loan. Invariant: once per call, and the last thing that it does.
    mutating func end(
        abandoning reason: AbandonReason? = nil, wasCutOff: Bool = false, now: Instant, random: inout RandomSource
    ) {
        if case .running(let other) = beside { giveUp(other, because: reason, wasCutOff: wasCutOff, now: now, random: &random) }
        var report: AttemptReport?
        if let lease = current.lease {
            report = self.report(lease, current.unreported, wasCutOff: wasCutOff, now: now)
            creditWasLost()
            let left = credit.left
            attempts.withCurrent {
                $0.ended = now
                $0.creditLeft = left
            }
            current.lease = nil
        }
        phase = .ended
        current.held = nil
        guard let permit else { return }
        self.permit = nil
        destination.callEnded(
            callOutcome, permit: permit, attempt: report, took: (current.headAt ?? now) - received,
            left: inherited.map { $0 - (current.headAt ?? now) }, traceID: request.traceID, now: now, random: &random)
    }

    /// What the current attempt says of its endpoint, and the call of its edge, where that was not reported yet.
    mutating func judge(_ outcome: Outcome) {
        callOutcome = outcome
        if current.headAt == nil || current.unreported != nil { current.unreported = outcome }
    }

    private func callFailure(_ cause: FailureCause, flag: ResponseFlag, retryNo: Bool) -> CallFailure {
        CallFailure(cause, flag: flag, attempt: current.number, endpoint: attempts.current?.instance, retryNo: retryNo)
    }

    // MARK: Clocks

    // Inlined, here and where a report is made: to call a function that does not change it, the compiler first copies the whole exchange.

    @inline(__always)
    var wakeAt: Instant? {
        let instant: Instant
        switch phase {
        case .created, .ended: return nil
        case .waiting(_, let until): instant = min(until, runningDeadline)
        case .attempting:
            let limit = uploadingSince == nil ? min(deadline, current.ends) : idleEnd
            let due = min(current.isConnected ? limit : min(limit, current.held?.until ?? current.connectBy), hedgeAt)
            if case .running(let other) = beside { instant = min(due, other.due) } else { instant = due }
        case .responding: instant = min(idleEnd, durationEnd, request.isGRPC ? deadline : .distantFuture)
        }
        return instant == .distantFuture ? nil : instant
    }

    @inline(__always)
    private var runningDeadline: Instant { uploadingSince == nil ? deadline : .distantFuture }

    @inline(__always)
    func deadlineIsReached(at now: Instant) -> Bool { now >= runningDeadline }

    /// An event that comes in the very instant of the deadline is in time.
    @inline(__always)
    func deadlineHasPassed(before now: Instant) -> Bool { now > runningDeadline }

    /// What is left of the call; nil for no limit.
    @inline(__always)
    func remaining(at now: Instant) -> Timespan? { deadline == .distantFuture ? nil : deadline - (uploadingSince ?? now) }

    @inline(__always)
    func attemptEnd(from now: Instant) -> Instant { destination.attemptTimeout.map { now + $0 } ?? .distantFuture }

    @inline(__always)
    var idleEnd: Instant { lastProgress + destination.streamIdleTimeout }

    @inline(__always)
    var durationEnd: Instant { request.maxDuration.map { received + $0 } ?? .distantFuture }
}

extension FailureCause {
    package var flag: ResponseFlag {
        switch self {
        case .noRoute: .noRoute
        case .noEndpoint: .noHealthyEndpoint
        case .breakerOpen: .breakerOpen
        case .tooManyCalls, .tooManyPending: .overflow
        case .overLimit, .throttled: .shed
        case .deadlineOnArrival, .deadlinePassed: .deadlineExhausted
        case .streamIdle, .durationExceeded: .upstreamTimeout
        case .replayOverflowed: .upstreamReset
        case .attemptFailed(let failure): failure.flag
        }
    }

    package var status: Int {
        switch self {
        case .noRoute: 404
        case .noEndpoint, .breakerOpen, .tooManyCalls, .tooManyPending, .overLimit, .throttled: 503
        case .deadlineOnArrival, .deadlinePassed, .streamIdle, .durationExceeded: 504
        case .replayOverflowed: 502
        case .attemptFailed(let failure): failure.status
        }
    }
}
