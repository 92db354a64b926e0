import MeshModel
import MeshPolicy

// What a call whose attempt went wrong may wish for, before its destination is asked.
extension Exchange {
    func wish(after response: ResponseFacts, now: Instant, random: inout RandomSource) -> RetryWish {
        var wish = RetryWish(remaining: remaining(at: now))
        let retry = destination.retry
        if response.meshRetryNo || response.forbidsRetry {
            wish.refusal = .forbidden
        } else if response.overload == .pool {
            wish.refusal = .poolOverloaded
        } else if let refusal = refusal(isListed: response.isListed(in: retry.on)) {
            wish.refusal = refusal
        } else {
            wish.needsOtherEndpoint = response.overload == .host
            let backoff = response.retryAfter ?? Backoff.span(beforeRetry: retries + 1, policy: retry.backoff, random: &random)
            wish.again = max(backoff, retryNotBefore - now)
        }
        return wish
    }

    func wish(after failure: AttemptFailure, now: Instant, random: inout RandomSource) -> RetryWish {
        var wish = RetryWish(remaining: remaining(at: now))
        let retry = destination.retry
        if failure.isProvablyUnsent, noMoreAttempts == nil, retryNotBefore <= now, isReplayable, !attempts.isFull,
            !hasLeftLastEndpointBefore
        {
            wish.elsewhere = true
            wish.sameEndpointWillDo = failure.blamesConnection
        }
        if let refusal = refusal(isListed: failure.isListed(in: retry.on)) {
            wish.refusal = refusal
        } else {
            wish.again = max(
                Backoff.span(beforeRetry: retries + 1, policy: retry.backoff, random: &random), retryNotBefore - now)
        }
        return wish
    }

    /// Why the request may not be sent a second time, be it ever so cheap; nil where it may.
    func refusal(isListed: Bool) -> RetryVerdict? {
        if let noMoreAttempts { return noMoreAttempts }
        if !isReplayable { return .replayOverflowed }
        if destination.neverRetries { return .never }
        if !isListed { return .notListed }
        if !request.isMarkedIdempotent, !request.method.isNamed(in: destination.repeatableMethods) { return .notIdempotent }
        if retries + 1 >= destination.mostAttempts || attempts.isFull { return .attemptsExhausted }
        return nil
    }

    /// An unsent try leaves an endpoint free of charge once per call.
    private var hasLeftLastEndpointBefore: Bool {
        guard let record = attempts.current else { return false }
        return attempts.contains { $0.number != record.number && $0.instance == record.instance && $0.retry == .unsent }
    }

    /// The flag of a call that ended for want of another attempt.
    func flag(for verdict: RetryVerdict) -> ResponseFlag? {
        switch verdict {
        // One attempt was all that was asked for: that is not "exhausted".
        case .attemptsExhausted: attempts.count > 1 ? .retriesExhausted : nil
        case .budgetExhausted, .tooManyRetrying: .budgetExhausted
        case .creditExhausted: .creditExhausted
        case .deadlineTooClose: .deadlineExhausted
        case .breakerOpen: .breakerOpen
        default: nil
        }
    }

    /// This tier, the nearest to the failure, has done what could be done: nobody above is to try again.
    func isFinal(_ verdict: RetryVerdict) -> Bool {
        switch verdict {
        case .attemptsExhausted: attempts.count > 1
        // An overload that no other endpoint could help is not to be met again from above.
        case .budgetExhausted, .creditExhausted, .tooManyRetrying, .breakerOpen, .noOtherEndpoint, .poolOverloaded: true
        default: false
        }
    }
}
