package import MeshModel
import MeshPolicy

/// One call, from its first byte to its last, over as many attempts as its policy allows.
///
/// It is told what happened, in the past tense, with the time; it answers what is to be done, in the imperative. It never
/// reads a clock, opens a socket or rolls a die. Its host does exactly what `Effects` says, in its order, tells everything
/// that an attempt does until that attempt has ended or was abandoned, and calls `timerFired` at `wakeAt`.
///
/// Invariants: exactly one of `complete`, `fail` and `reset` is answered, and nothing after it, unless the caller left first;
/// no attempt follows once a head was forwarded or the replay buffer overflowed; before the head nothing outlasts the deadline.
/// Not copyable: two copies would both give back what the call has on loan.
package struct Exchange: ~Copyable, Sendable {
    package let destination: Destination
    package let request: RequestFacts
    /// When the first byte of the request was seen.
    package let received: Instant
    /// The deadline of the request as a whole, as it came.
    let inherited: Instant?
    /// For the final response head; it moves while a body is being uploaded.
    package internal(set) var deadline: Instant
    /// What was tried so far; when the call is over, what its spans are made of.
    package internal(set) var attempts = AttemptLog()
    /// What went wrong with the call as a whole, if anything did.
    package internal(set) var flag: ResponseFlag?

    enum Phase: Sendable {
        case created
        case attempting
        case waiting(since: Instant, until: Instant)
        /// The head was forwarded.
        case responding
        case ended
    }

    var phase = Phase.created
    var permit: CallPermit?

    /// The attempt that runs, or ran last; of two, the one of which something was told last.
    var current = RunningAttempt()
    var beside = BesideAttempt.none
    /// When another one is to be sent beside the one that runs.
    var hedgeAt = Instant.distantFuture
    /// What the call says of the edge, as far as it is known.
    var callOutcome = Outcome.neutral

    /// What this call may spend on extra attempts; what it has spent goes up with its answer.
    package internal(set) var credit: CallCredit

    /// How often the budget was charged.
    var retries = 0
    /// What one of two attempts was answered with forbids a third.
    var noMoreAttempts: RetryVerdict?
    /// Nothing is sent again before that, as one of two attempts was told.
    var retryNotBefore = Instant.zero
    /// All of it can be sent once more.
    var isReplayable = true
    /// The last byte of its body has come.
    var isWhole: Bool
    /// Since when the deadline has been standing still, because the body is being uploaded.
    var uploadingSince: Instant?
    var lastProgress: Instant

    /// No limit: for a route with `deadline: none`.
    package static let unlimited = Timespan(nanoseconds: .max)
    /// With less than this left on arrival, a call is not tried at all.
    package static let leastRemainder = Timespan.milliseconds(1)

    /// - Parameters:
    ///   - inherited: the deadline that came with the request, or that the gateway gives it.
    ///   - timeout: instead of the edge's own, as a route says it.
    ///   - credit: what the request may still spend on extra attempts.
    package init(
        destination: Destination, request: RequestFacts, received: Instant, inherited: Instant? = nil, timeout: Timespan? = nil,
        credit: CallCredit = .unlimited
    ) {
        self.destination = destination
        self.request = request
        self.received = received
        self.inherited = inherited
        deadline = min(received + (timeout ?? destination.timeout), inherited ?? .distantFuture)
        lastProgress = received
        isWhole = !request.bodyIsStreamed
        self.credit = credit
    }
}

// MARK: The story of a call

extension Exchange {
    /// The request's head was read, and where it goes was decided.
    package mutating func began(now: Instant, random: inout RandomSource) -> Effects {
        guard case .created = phase else { preconditionFailure("a call begins once") }
        guard deadline - now >= Self.leastRemainder else {
            destination.callRefused(.deadlineOnArrival)
            return refused(.deadlineOnArrival)
        }
        // On gRPC the deadline covers the bodies too, so that it never stands still.
        if request.bodyIsStreamed, !request.isGRPC { uploadingSince = now }
        lastProgress = now
        switch destination.admit(
            request.criticality, affinity: request.affinity, traceID: request.traceID, now: now, random: &random)
        {
        case .refused(let cause):
            return refused(cause)
        case .admitted(let permit, let lease, let endpoint):
            self.permit = permit
            return start(lease, on: endpoint, after: .zero, random: &random)
        }
    }

    /// The attempt has its connection, be it a new one or a pooled one.
    ///
    /// - Parameter number: of the attempt, here and below; nil where only one can be running.
    package mutating func connected(of number: Int? = nil, now: Instant) {
        attend(to: number)
        guard case .attempting = phase, !current.isConnected else { return }
        current.isConnected = true
        attempts.withCurrent { $0.connected = now }
        destination.attemptConnected()
    }

    /// Bytes of a body moved, in either direction.
    package mutating func progressed(now: Instant) { lastProgress = now }

    /// The attempt's request was written to its end: a deadline that stood still goes on.
    package mutating func requestSent(of number: Int? = nil, now: Instant) -> Effects {
        attend(to: number)
        if current.lease != nil { attempts.withCurrent { $0.sent = now } }
        if let since = uploadingSince {
            uploadingSince = nil
            deadline = deadline + (now - since)
            current.ends = attemptEnd(from: now)
        }
        if !isWhole {
            isWhole = true
            scheduleHedge(now: now)
        }
        return Effects(wakeAt: wakeAt)
    }

    /// More of the request was read than may be kept for another attempt. Told between two attempts, it ends the call: a host
    /// that stops reading at the limit while none runs saves it.
    package mutating func replayOverflowed(now: Instant) { isReplayable = false }

    /// The attempt's final response head came.
    package mutating func responseHead(
        _ response: ResponseFacts, of number: Int? = nil, now: Instant, random: inout RandomSource
    ) -> Effects {
        attend(to: number)
        guard case .attempting = phase else { return Effects(wakeAt: wakeAt) }
        if deadlineHasPassed(before: now) { return deadlinePassed(now: now, random: &random) }
        settleCredit(spent: response.creditSpent)
        current.headAt = now
        callOutcome = response.outcome
        // Of one that a tier further down shed, that tier's caller has taken account.
        current.wasShed = response.isShed
        attempts.withCurrent {
            $0.head = now
            $0.status = response.status
        }
        guard !callOutcome.isSuccess || response.isError && response.isListed(in: destination.retry.on) else {
            current.unreported = callOutcome
            return forwardHead(now: now, random: &random)
        }
        if beside.isRunning, response.isError, response.isListed(in: destination.retry.on) {
            noteWhatForbids(response, now: now)
            return leaveToOther(abandoning: .retried, now: now, random: &random)
        }
        let wish = wish(after: response, now: now, random: &random)
        let verdict = attemptWentWrong(callOutcome, wish: wish, now: now, random: &random)
        guard verdict.isRetry else {
            flag = flag(for: verdict)
            return forwardHead(retryNo: isFinal(verdict), now: now, random: &random)
        }
        return retry(verdict, wish, abandoning: .retried, now: now, random: &random)
    }

    /// The response was passed on to its end. `grpcStatus` is that of trailers after a body.
    package mutating func responseEnded(grpcStatus: Int? = nil, now: Instant, random: inout RandomSource) -> Effects {
        guard case .responding = phase else { return Effects(wakeAt: wakeAt) }
        if let grpcStatus, callOutcome.isSuccess, ResponseFacts.isFailure(grpcStatus: grpcStatus) { judge(.failure) }
        end(now: now, random: &random)
        return Effects(caller: .complete)
    }

    /// The attempt ended without a complete response.
    package mutating func attemptFailed(
        _ failure: AttemptFailure, of number: Int? = nil, now: Instant, random: inout RandomSource
    ) -> Effects {
        attend(to: number)
        switch phase {
        case .attempting:
            if deadlineHasPassed(before: now) { return deadlinePassed(attemptIsOver: true, now: now, random: &random) }
            return attemptFailed(failure, abandoning: nil, now: now, random: &random)
        case .responding:
            attempts.withCurrent { $0.failure = failure }
            judge(failure.isNeutral ? .neutral : .failure)
            return stop(.attemptFailed(failure), abandoning: nil, now: now, random: &random)
        case .created, .waiting, .ended:
            return Effects(wakeAt: wakeAt)
        }
    }

    /// The time of `wakeAt` came. Told too early, it answers the same `wakeAt` again.
    package mutating func timerFired(now: Instant, random: inout RandomSource) -> Effects {
        switch phase {
        case .waiting(let since, let until):
            if deadlineIsReached(at: now) { return deadlinePassed(now: now, random: &random) }
            if !isReplayable { return stop(.replayOverflowed, abandoning: nil, now: now, random: &random) }
            if now >= until { return startAgain(after: now - since, abandoning: nil, now: now, random: &random) }
        case .attempting:
            if deadlineIsReached(at: now) { return deadlinePassed(now: now, random: &random) }
            if let effects = attemptsCameDue(now: now, random: &random) { return effects }
            if uploadingSince != nil, now >= idleEnd { return bodyStoodStill(now: now, random: &random) }
            if now >= hedgeAt { return hedgeCameDue(now: now, random: &random) }
        case .responding:
            if request.isGRPC, now >= deadline { return deadlinePassed(now: now, random: &random) }
            if now >= idleEnd { return bodyStoodStill(now: now, random: &random) }
            if now >= durationEnd { return stop(.durationExceeded, abandoning: .durationExceeded, now: now, random: &random) }
        case .created, .ended:
            break
        }
        return Effects(wakeAt: wakeAt)
    }

    /// The caller is gone, or wants no answer any more.
    package mutating func callerLeft(now: Instant, random: inout RandomSource) -> Effects {
        if case .ended = phase { return Effects() }
        flag = .downstreamClosed
        let abandon: AbandonReason? = current.lease == nil ? nil : .callerLeft
        if current.lease != nil { attempts.withCurrent { $0.abandoned = .callerLeft } }
        // A head that came is evidence, whoever reads the body.
        if current.headAt == nil { judge(.neutral) }
        end(abandoning: .callerLeft, now: now, random: &random)
        return Effects(abandon: abandon)
    }
}
