package import MeshModel

extension Breaker {
    /// An attempt wants to go. nil: it may not.
    package mutating func attemptWanted(now: Instant, alone: Bool) -> Permit? {
        switch state {
        case .closed:
            return Permit(epoch: epoch, kind: .ordinary)
        case .open:
            guard probeIsDue(now: now, alone: alone) else { return nil }
            enter(.halfOpen(successes: 0, leased: true))
            return Permit(epoch: epoch, kind: .firstProbe)
        case .halfOpen(_, leased: true):
            return nil
        case .halfOpen(let successes, leased: false):
            state = .halfOpen(successes: successes, leased: true)
            return Permit(epoch: epoch, kind: .probe)
        }
    }

    /// What came of an attempt that was permitted.
    ///
    /// - Parameter alone: no other endpoint is usable; failures in a row do not open it then, and it opens for a short time.
    package mutating func attemptEnded(
        _ outcome: Outcome, permit: Permit, took latency: Timespan, now: Instant, alone: Bool, policy: BreakerPolicy,
        random: inout RandomSource
    ) -> Change? {
        guard permit.epoch == epoch else { return nil }
        switch state {
        case .closed:
            return closedAttemptEnded(outcome, took: latency, now: now, alone: alone, policy: policy, random: &random)
        case .open:
            return nil
        case .halfOpen(let successes, _):
            guard permit.isProbe else { return nil }
            switch outcome {
            case .neutral:
                state = .halfOpen(successes: successes, leased: false)
                return nil
            case .success where successes + 1 < Self.successesToClose:
                state = .halfOpen(successes: successes + 1, leased: false)
                return nil
            case .success:
                enter(.closed)
                window.clear()
                consecutiveFailures = 0
                nextDecay = now + policy.window
                return .closed
            case .failure:
                return open(.probeFailed, now: now, alone: alone, policy: policy, random: &random)
            }
        }
    }

    private mutating func closedAttemptEnded(
        _ outcome: Outcome, took latency: Timespan, now: Instant, alone: Bool, policy: BreakerPolicy, random: inout RandomSource
    ) -> Change? {
        switch outcome {
        case .neutral:
            return nil
        case .success:
            consecutiveFailures = 0
            let isSlow = policy.slow.map { latency > $0.over } ?? false
            window.record(failed: false, slow: isSlow, now: now)
            // A whole window without opening, and a success at its end: evidence of health.
            if openings > 0, now >= nextDecay {
                openings -= 1
                nextDecay = now + policy.window
            }
            guard isSlow, let slow = policy.slow, reaches(slow.share, count: window.total.slow, policy: policy) else { return nil }
            return open(.slowCalls, now: now, alone: alone, policy: policy, random: &random)
        case .failure:
            consecutiveFailures += 1
            window.record(failed: true, slow: policy.slow.map { latency > $0.over } ?? false, now: now)
            if consecutiveFailures >= policy.consecutive, !alone {
                return open(.consecutiveFailures, now: now, alone: alone, policy: policy, random: &random)
            }
            guard reaches(policy.errorRate, count: window.total.failures, policy: policy) else { return nil }
            return open(.failureRate, now: now, alone: alone, policy: policy, random: &random)
        }
    }

    private func reaches(_ share: Double, count: UInt32, policy: BreakerPolicy) -> Bool {
        Int(window.total.calls) >= policy.minCalls && Double(count) >= share * Double(window.total.calls)
    }

    private mutating func open(
        _ reason: OpeningReason, now: Instant, alone: Bool, policy: BreakerPolicy, random: inout RandomSource
    ) -> Change {
        openings += 1
        let counts = window.total
        let full = Self.openTime(openings: openings, policy: policy, random: &random)
        let short = min(full, Self.mostAlone)
        let span = alone ? short : full
        enter(.open(Opening(until: now + span, untilIfAlone: now + short)))
        consecutiveFailures = 0
        window.clear()
        return .opened(reason, calls: Int(counts.calls), failures: Int(counts.failures), for: span)
    }

    /// `openFor * 2^(n-1)`, at most `maxOpen`, with equal jitter: half of it fixed, half of it drawn.
    ///
    /// Source: Brooker, "Exponential Backoff And Jitter" (AWS, 2015).
    static func openTime(openings: Int, policy: BreakerPolicy, random: inout RandomSource) -> Timespan {
        // Seconds shifted by 30 exceed every cap, and do not overflow as doubles.
        let doubled = policy.openFor.seconds * Double(1 << min(openings - 1, 30))
        let span = Timespan.seconds(min(doubled, policy.maxOpen.seconds))
        return Timespan(nanoseconds: span.nanoseconds / 2 + Int64(Double(span.nanoseconds - span.nanoseconds / 2) * random.nextUnit()))
    }

    private mutating func enter(_ next: State) {
        state = next
        epoch &+= 1
    }
}

extension Breaker {
    /// A permit came to nothing: a probe's lease is free again.
    package mutating func leaseReturned(_ permit: Permit) {
        guard permit.epoch == epoch, permit.isProbe, case .halfOpen(let successes, _) = state else { return }
        state = .halfOpen(successes: successes, leased: false)
    }

    /// The same breaker under another policy: its state stays, its counts begin anew, since those of another window do not
    /// compare. Switched off, it is closed.
    package init(following previous: Breaker, policy: BreakerPolicy?, now: Instant) {
        self = previous
        window = SlidingWindow(length: (policy ?? BreakerPolicy()).window, now: now)
        consecutiveFailures = 0
        if policy == nil, !isClosed { enter(.closed) }
    }
}
