import MeshModel
import MeshPolicy

// How attempts begin, follow one another, and end.
extension Exchange {
    /// Invariant: called with a lease that was just given, and none running, or, for a hedge, the running one put aside.
    mutating func start(
        _ lease: Lease, on endpoint: EndpointReference, after backoff: Timespan, hedgedAfter delay: Timespan? = nil,
        abandoning reason: AbandonReason? = nil, random: inout RandomSource
    ) -> Effects {
        let now = lease.started
        phase = .attempting
        current = RunningAttempt(number: attempts.count + 1, lease: lease, isHedge: delay != nil, ends: attemptEnd(from: now))
        let delegated = destination.isExternal ? nil : credit.delegate()
        current.delegated = delegated ?? 0
        current.connectBy = min(now + destination.connectTimeout, current.ends)
        attempts.append(
            AttemptRecord(
                number: current.number, endpoint: endpoint, backoff: backoff, started: now, isProbe: lease.permit.isProbe,
                hedgedAfter: delay))
        if isWhole { scheduleHedge(now: now) }
        if let fault = drawFault(now: now, random: &random) {
            attempts.withCurrent { $0.fault = fault }
            current.held = HeldAttempt(fault: fault, until: now + fault.delay, credit: delegated)
            return Effects(abandon: reason, wakeAt: wakeAt)
        }
        return Effects(abandon: reason, start: attempt(on: endpoint, credit: delegated, now: now), wakeAt: wakeAt)
    }

    /// What the host is told of the current attempt.
    @inline(__always)
    func attempt(on endpoint: EndpointReference, credit: Int?, now: Instant) -> Attempt {
        Attempt(
            number: current.number, endpoint: endpoint, connectBy: min(current.connectBy, deadline), remaining: remaining(at: now),
            needsNewConnection: attempts.blameConnection(to: endpoint.endpoint.instance), credit: credit, isHedge: current.isHedge)
    }

    /// Looks after the current attempt, where its time has come; nil where it has not.
    mutating func attemptCameDue(now: Instant, random: inout RandomSource) -> Effects? {
        if let held = current.held, now >= held.until, uploadingSince != nil || now < current.ends {
            return heldAttemptCameDue(held, now: now, random: &random)
        }
        if current.held == nil, !current.isConnected, now >= current.connectBy {
            return attemptFailed(.connectTimedOut, abandoning: .connectTimedOut, now: now, random: &random)
        }
        if uploadingSince == nil, now >= current.ends {
            return attemptFailed(.timedOut, abandoning: .attemptTimedOut, now: now, random: &random)
        }
        return nil
    }

    mutating func startAgain(
        after backoff: Timespan, abandoning reason: AbandonReason?, now: Instant, random: inout RandomSource
    ) -> Effects {
        switch destination.selectAgain(
            tried: attempts, affinity: request.affinity, traceID: request.traceID, now: now, random: &random)
        {
        case .leased(let lease, let endpoint): return start(lease, on: endpoint, after: backoff, abandoning: reason, random: &random)
        case .refused(let cause): return stop(cause, abandoning: reason, now: now, random: &random)
        }
    }

    /// An attempt failed before a head, by itself or because it was given up.
    mutating func attemptFailed(
        _ failure: AttemptFailure, abandoning reason: AbandonReason?, now: Instant, random: inout RandomSource
    ) -> Effects {
        attempts.withCurrent {
            $0.failure = failure
            $0.abandoned = reason
        }
        current.held = nil
        if failure.isProvablyUnsent { settleCredit(spent: 0) } else { creditWasLost() }
        callOutcome = failure.isNeutral ? .neutral : .failure
        if beside.isRunning { return leaveToOther(abandoning: reason, now: now, random: &random) }
        let wish = wish(after: failure, now: now, random: &random)
        let verdict = attemptWentWrong(callOutcome, wish: wish, now: now, random: &random)
        guard verdict.isRetry else {
            return stop(.attemptFailed(failure), because: verdict, abandoning: reason, now: now, random: &random)
        }
        return retry(verdict, wish, abandoning: reason, now: now, random: &random)
    }

    /// Tells the destination, which decides whether another attempt may follow.
    mutating func attemptWentWrong(
        _ outcome: Outcome, wish: RetryWish, now: Instant, random: inout RandomSource
    ) -> RetryVerdict {
        guard let lease = current.lease, permit != nil else { preconditionFailure("no attempt is running") }
        var wish = wish
        let pays = wish.again != nil
        if pays, !credit.spend() {
            wish.again = nil
            wish.refusal = .creditExhausted
        }
        let verdict = destination.attemptWentWrong(
            report(lease, outcome, now: now), of: &permit!, wish: wish, tried: attempts, traceID: request.traceID, now: now,
            random: &random)
        if pays, wish.again != nil, verdict != .retried { credit.giveBack() }
        current.unreported = nil
        let left = credit.left
        attempts.withCurrent {
            $0.retry = verdict
            $0.creditLeft = left
        }
        if verdict.isRetry {
            attempts.withCurrent { $0.ended = now }
            current.lease = nil
        }
        return verdict
    }

    mutating func retry(
        _ verdict: RetryVerdict, _ wish: RetryWish, abandoning reason: AbandonReason?, now: Instant, random: inout RandomSource
    ) -> Effects {
        guard verdict == .retried, let wait = wish.again else {
            return startAgain(after: .zero, abandoning: reason, now: now, random: &random)
        }
        if let reason { attempts.withCurrent { $0.abandoned = reason } }
        retries += 1
        current.headAt = nil
        hedgeAt = .distantFuture
        phase = .waiting(since: now, until: now + wait)
        return Effects(abandon: reason, wakeAt: wakeAt)
    }

    /// From here on the call is committed.
    mutating func forwardHead(retryNo: Bool = false, now: Instant, random: inout RandomSource) -> Effects {
        phase = .responding
        lastProgress = now
        var overtaken: UInt8 = 0
        if case .running(let other) = beside { overtaken = overtake(other, now: now, random: &random) }
        // A probe's lease does not wait for the end of what may be a long stream.
        if let lease = current.lease, let permit, lease.permit.isProbe || permit.edge.isProbe {
            self.permit!.edge = .free
            destination.headForwarded(
                report(lease, current.unreported, now: now), of: permit, outcome: callOutcome, traceID: request.traceID, now: now,
                random: &random)
            current.unreported = nil
        }
        return Effects(
            abandon: overtaken > 0 ? .overtaken : nil, only: overtaken, caller: .forwardHead(retryNo: retryNo), wakeAt: wakeAt)
    }

    // MARK: Credit

    /// The running attempt's answer came, or it was never sent.
    mutating func settleCredit(spent: Int) {
        guard current.delegated > 0 else { return }
        credit.settle(delegated: current.delegated, spent: spent)
        current.delegated = 0
    }

    /// The running attempt ends without an answer: what it took with it counts as spent, unless it can't have gone anywhere.
    mutating func creditWasLost() {
        if current.isConnected { current.delegated = 0 } else { settleCredit(spent: 0) }
    }

    @inline(__always)
    func report(_ lease: Lease, _ outcome: Outcome?, wasCutOff: Bool = false, now: Instant) -> AttemptReport {
        AttemptReport(
            lease: lease, outcome: outcome, latency: (current.headAt ?? now) - lease.started, connected: current.isConnected,
            cause: outcome == nil ? nil : cause, wasCutOff: wasCutOff, criticality: request.criticality, wasShed: current.wasShed,
            hedge: current.isHedge ? hedgeOutcome : nil)
    }

    /// What went wrong with the current attempt.
    @inline(__always)
    var cause: FailureKind? {
        guard let record = attempts.current else { return nil }
        if let failure = record.failure { return .failure(failure) }
        if let status = record.status { return .status(status) }
        return .deadlinePassed
    }
}
