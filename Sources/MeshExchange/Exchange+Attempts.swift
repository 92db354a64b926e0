import MeshModel
import MeshPolicy

// How attempts begin, follow one another, and end.
extension Exchange {
    /// Invariant: called with a lease that was just given, and none running.
    mutating func start(
        _ lease: Lease, on endpoint: EndpointReference, after backoff: Timespan, abandoning reason: AbandonReason? = nil,
        random: inout RandomSource
    ) -> Effects {
        let now = lease.started
        self.lease = lease
        phase = .attempting
        isConnected = false
        headAt = nil
        wasShed = false
        attemptEnds = attemptEnd(from: now)
        let delegated = destination.isExternal ? nil : credit.delegate()
        self.delegated = delegated ?? 0
        connectBy = min(now + destination.policy.connectTimeout, attemptEnds)
        attempts.append(
            AttemptRecord(
                number: attempts.count + 1, endpoint: endpoint, backoff: backoff, started: now, isProbe: lease.permit.isProbe,
                retry: .notNeeded))
        if let fault = drawFault(now: now, random: &random) {
            attempts.withLast { $0.fault = fault }
            held = HeldAttempt(fault: fault, until: now + fault.delay, credit: delegated)
            return Effects(abandon: reason, wakeAt: wakeAt)
        }
        return Effects(abandon: reason, start: attempt(on: endpoint, credit: delegated, now: now), wakeAt: wakeAt)
    }

    /// What the host is told of the attempt that was recorded last.
    func attempt(on endpoint: EndpointReference, credit: Int?, now: Instant) -> Attempt {
        Attempt(
            number: attempts.count, endpoint: endpoint, connectBy: min(connectBy, deadline), remaining: remaining(at: now),
            needsNewConnection: attempts.blameConnection(to: endpoint.endpoint.instance), credit: credit)
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
        attempts.withLast {
            $0.failure = failure
            $0.abandoned = reason
        }
        held = nil
        if failure.isProvablyUnsent { settleCredit(spent: 0) } else { creditWasLost() }
        callOutcome = failure.isNeutral ? .neutral : .failure
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
        guard let lease, permit != nil else { preconditionFailure("no attempt is running") }
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
        unreported = nil
        let left = credit.left
        attempts.withLast {
            $0.retry = verdict
            $0.creditLeft = left
        }
        if verdict.isRetry {
            attempts.withLast { $0.ended = now }
            self.lease = nil
        }
        return verdict
    }

    mutating func retry(
        _ verdict: RetryVerdict, _ wish: RetryWish, abandoning reason: AbandonReason?, now: Instant, random: inout RandomSource
    ) -> Effects {
        guard verdict == .retried, let wait = wish.again else {
            return startAgain(after: .zero, abandoning: reason, now: now, random: &random)
        }
        if let reason { attempts.withLast { $0.abandoned = reason } }
        retries += 1
        headAt = nil
        phase = .waiting(since: now, until: now + wait)
        return Effects(abandon: reason, wakeAt: wakeAt)
    }

    /// From here on the call is committed.
    mutating func forwardHead(retryNo: Bool = false, now: Instant, random: inout RandomSource) -> Effects {
        phase = .responding
        lastProgress = now
        // A probe's lease does not wait for the end of what may be a long stream.
        if let lease, let permit, lease.permit.isProbe || permit.edge.isProbe {
            self.permit!.edge = .free
            destination.headForwarded(
                report(lease, unreported, now: now), of: permit, outcome: callOutcome, traceID: request.traceID, now: now,
                random: &random)
            unreported = nil
        }
        return Effects(caller: .forwardHead(retryNo: retryNo), wakeAt: wakeAt)
    }

    // MARK: Credit

    /// The running attempt's answer came, or it was never sent.
    mutating func settleCredit(spent: Int) {
        guard delegated > 0 else { return }
        credit.settle(delegated: delegated, spent: spent)
        delegated = 0
    }

    /// The running attempt ends without an answer: what it took with it counts as spent, unless it can't have gone anywhere.
    mutating func creditWasLost() {
        if isConnected { delegated = 0 } else { settleCredit(spent: 0) }
    }

    func report(_ lease: Lease, _ outcome: Outcome?, wasCutOff: Bool = false, now: Instant) -> AttemptReport {
        AttemptReport(
            lease: lease, outcome: outcome, latency: (headAt ?? now) - lease.started, connected: isConnected,
            cause: outcome == nil ? nil : cause, wasCutOff: wasCutOff, criticality: request.criticality, wasShed: wasShed)
    }

    /// What went wrong with the attempt that was recorded last.
    private var cause: FailureKind? {
        guard let last = attempts.last else { return nil }
        if let failure = last.failure { return .failure(failure) }
        if let status = last.status { return .status(status) }
        return .deadlinePassed
    }
}
