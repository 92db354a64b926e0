import MeshModel
import MeshPolicy

// Two attempts side by side: a second one is sent where the first has taken as long as few do, the answer that comes first is
// passed on, and the other attempt is cancelled at once.
extension Exchange {
    /// What is told is of the attempt with this number.
    @inline(__always)
    mutating func attend(to number: Int?) {
        if let number, number != current.number, beside.isRunning { attendToOther() }
    }

    mutating func attendToOther() {
        guard case .running(let other) = beside else { return }
        beside = .running(current)
        current = other
        attempts.turn(to: other.number)
    }

    /// Looks after what runs. Position: behind the deadline, which ends both attempts.
    mutating func attemptsCameDue(now: Instant, random: inout RandomSource) -> Effects? {
        guard beside.isRunning else { return attemptCameDue(now: now, random: &random) }
        guard let effects = attemptCameDue(now: now, random: &random) else {
            attendToOther()
            return attemptCameDue(now: now, random: &random)
        }
        // One is over and the other goes on: its time may have come in the same moment.
        guard !beside.isRunning, case .attempting = phase, var next = attemptCameDue(now: now, random: &random) else { return effects }
        if next.abandon == nil {
            next.abandon = effects.abandon
            next.only = effects.only
        } else {
            next.only = 0
        }
        return next
    }

    // MARK: The second one begins

    /// Position: after the attempt was recorded, and only once the request is whole: what is sent twice has to be at hand.
    mutating func scheduleHedge(now: Instant) {
        guard destination.hedge != nil else { return }
        hedgeAt = .distantFuture
        guard request.isHedgeable, !beside.isRunning, refusal(isListed: true) == nil, let delay = destination.hedgeDelay() else { return }
        hedgeAt = now + delay
    }

    mutating func hedgeCameDue(now: Instant, random: inout RandomSource) -> Effects {
        hedgeAt = .distantFuture
        guard let first = current.lease, permit != nil, refusal(isListed: true) == nil else { return Effects(wakeAt: wakeAt) }
        guard credit.spend() else {
            destination.hedgeRefused(.creditExhausted)
            return hedgeRefused(.creditExhausted)
        }
        switch destination.hedgeWanted(
            for: &permit!, remaining: remaining(at: now), tried: attempts, traceID: request.traceID, now: now, random: &random)
        {
        case .refused(let verdict):
            credit.giveBack()
            return hedgeRefused(verdict)
        case .leased(let lease, let endpoint):
            retries += 1
            beside = .running(current)
            return start(lease, on: endpoint, after: .zero, hedgedAfter: now - first.started, random: &random)
        }
    }

    private mutating func hedgeRefused(_ verdict: RetryVerdict) -> Effects {
        attempts.withCurrent { $0.hedgeRefusal = verdict }
        return Effects(wakeAt: wakeAt)
    }

    // MARK: One of them ends

    /// What the answer of one of two attempts says of a third.
    mutating func noteWhatForbids(_ response: ResponseFacts, now: Instant) {
        if response.meshRetryNo || response.forbidsRetry {
            noMoreAttempts = .forbidden
        } else if response.overload == .pool {
            noMoreAttempts = .poolOverloaded
        }
        if let wait = response.retryAfter { retryNotBefore = now + wait }
    }

    /// The current attempt went wrong, and the one beside it decides.
    mutating func leaveToOther(abandoning reason: AbandonReason?, now: Instant, random: inout RandomSource) -> Effects {
        guard case .running(let other) = beside, let lease = current.lease else { preconditionFailure("no attempt runs beside it") }
        let number = current.number
        var report = report(lease, callOutcome, now: now)
        report.isOneOfTwo = true
        destination.attemptEnded(report, beside: .failed, traceID: request.traceID, now: now, random: &random)
        closeRecord(.hedged, reason, now: now)
        beside = .none
        current = other
        attempts.turn(to: other.number)
        callOutcome = .neutral
        return Effects(abandon: reason, only: reason == nil ? 0 : UInt8(number), wakeAt: wakeAt)
    }

    /// The current attempt was answered before this one, which counts neither for nor against its endpoint. Answers its number.
    mutating func overtake(_ other: RunningAttempt, now: Instant, random: inout RandomSource) -> UInt8 {
        aside(other) { exchange, lease in
            var report = exchange.report(lease, nil, now: now)
            report.isOneOfTwo = true
            if other.isHedge { report.hedge = .lost }
            exchange.destination.attemptEnded(
                report, beside: .overtaken, traceID: exchange.request.traceID, now: now, random: &random)
            exchange.creditWasLost()
            exchange.closeRecord(.overtaken, .overtaken, now: now)
        }
        return UInt8(other.number)
    }

    /// The call ends before either attempt was answered.
    mutating func giveUp(
        _ other: RunningAttempt, because reason: AbandonReason?, wasCutOff: Bool, now: Instant, random: inout RandomSource
    ) {
        aside(other) { exchange, lease in
            var report = exchange.report(lease, exchange.callOutcome, wasCutOff: wasCutOff, now: now)
            report.isOneOfTwo = true
            exchange.destination.attemptEnded(
                report, beside: .givenUp, traceID: exchange.request.traceID, now: now, random: &random)
            exchange.creditWasLost()
            exchange.closeRecord(.callOver, reason, now: now)
        }
    }

    /// Ends the attempt beside the current one.
    private mutating func aside(_ other: RunningAttempt, _ body: (inout Exchange, Lease) -> Void) {
        let decisive = current
        beside = .none
        current = other
        attempts.turn(to: other.number)
        if let lease = other.lease { body(&self, lease) }
        current = decisive
        attempts.turn(to: decisive.number)
    }

    private mutating func closeRecord(_ verdict: RetryVerdict, _ reason: AbandonReason?, now: Instant) {
        let left = credit.left
        attempts.withCurrent {
            $0.ended = now
            $0.retry = verdict
            $0.creditLeft = left
            if let reason { $0.abandoned = reason }
        }
    }

    /// What becomes of the current attempt, if it is a hedge and ends now.
    @inline(__always)
    var hedgeOutcome: HedgeOutcome {
        if case .responding = phase { return .won }
        return attempts.current.map { $0.failure != nil || $0.status != nil } == true ? .failed : .cancelled
    }
}
