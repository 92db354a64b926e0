import MeshExchange
import MeshModel
import MeshPolicy
import Testing

/// Whether an attempt is followed by another, and what is said when it is not.
@Suite("A retry")
struct RetryTests {
    private func policy(_ change: (inout CallPolicy) -> Void = { _ in }) -> CallPolicy {
        var policy = CallPolicy()
        change(&policy)
        return policy
    }

    // MARK: Provably unsent

    @Test(
        "of what was provably unsent goes elsewhere at once, whatever the method and without charge",
        arguments: [
            AttemptFailure.connectFailed, .connectTimedOut, .streamRefused, .poolExhausted,
            .closedBeforeResponse(reused: true, requestWritten: false), .closedBeforeResponse(reused: false, requestWritten: false),
        ])
    func unsent(failure: AttemptFailure) {
        let destination = Destination.make(policy: policy { $0.retry = RetryPolicy(never: true, budgetRatio: 0, reservePerSecond: 0) })
        let call = Call(to: destination, .post)
        let first = call.begin().start?.endpoint.endpoint.instance
        call.fail(failure)
        #expect(call.effects.start?.number == 2 && call.effects.start?.endpoint.endpoint.instance != first)
        #expect(call.verdicts == [.unsent, .notNeeded])
        call.connectAndSend()
        call.head(200)
        call.end()
        #expect(call.isComplete && destination.isAtRest)
        #expect(destination.statistics(now: .zero).counters.retries == 0)
        #expect(destination.statistics(now: .zero).counters.unsentRetries == 1)
    }

    @Test("of what was provably unsent tries each endpoint once, and then gives up")
    func eachOnce() {
        let destination = Destination.make(3)
        let call = Call(to: destination, .post)
        call.begin()
        var targets = [call.target]
        call.fail(.connectFailed)
        targets.append(call.target)
        call.fail(.connectFailed)
        targets.append(call.target)
        call.fail(.connectFailed)
        #expect(Set(targets) == [1, 2, 3])
        #expect(call.failure?.flag == .connectFailure && call.failure?.status == 502 && call.failure?.retryNo == false)
        #expect(call.failure?.attempt == 3 && destination.isAtRest)
    }

    @Test("on many dead endpoints ends with the eighth attempt")
    func bounded() {
        let call = Call(to: .make(20), .post)
        call.begin()
        var attempts = 1
        while call.failure == nil {
            if call.fail(.connectFailed).start != nil { attempts += 1 }
        }
        #expect(attempts == AttemptLog.capacity)
    }

    @Test("after a stale pooled connection goes to the same endpoint by a new one, where there is no other, and once")
    func stale() {
        let call = Call(to: .make(1), .post)
        #expect(call.begin().start?.needsNewConnection == false)
        call.fail(.closedBeforeResponse(reused: true, requestWritten: false))
        #expect(call.effects.start?.needsNewConnection == true)
        call.fail(.closedBeforeResponse(reused: true, requestWritten: false))
        #expect(call.failure?.flag == .upstreamClosed && call.failure?.status == 502)
    }

    @Test("of a refused connect to the only endpoint waits and pays, for a request that may be repeated")
    func onlyEndpoint() {
        let call = Call(to: .make(1))
        call.begin()
        call.fail(.connectFailed)
        #expect(call.effects.start == nil && call.effects.wakeAt != nil && call.verdicts == [.retried])
        #expect(call.wake().start?.number == 2)
        call.fail(.connectFailed)
        #expect(call.failure?.flag == .retriesExhausted && call.failure?.retryNo == true)
    }

    // MARK: Sent

    @Test(
        "of what was sent needs a method or a mark that allows it",
        arguments: [
            (MethodSet.get, false, true), (.head, false, true), (.options, false, true), (.put, false, true), (.delete, false, true),
            (.post, false, false), (.patch, false, false), (.other, false, false), (.post, true, true), (.other, true, true),
        ])
    func methods(row: (method: MethodSet, isMarked: Bool, isRetried: Bool)) {
        let destination = Destination.make()
        let call = Call(to: destination, row.method, isMarkedIdempotent: row.isMarked)
        call.beginAndSend()
        call.fail(.reset)
        #expect((call.failure == nil) == row.isRetried)
        if !row.isRetried {
            #expect(call.verdicts == [.notIdempotent] && call.failure?.flag == .upstreamReset && call.failure?.retryNo == false)
        }
        call.leave()
        #expect(destination.isAtRest)
    }

    @Test(
        "follows what `on` lists",
        arguments: [
            (status: 500, standard: false, all: true), (501, false, false), (502, true, true), (503, true, true), (504, true, true),
            (429, false, false), (404, false, false), (200, false, false),
        ])
    func statuses(row: (status: Int, standard: Bool, all: Bool)) {
        for (policy, expected) in [
            (policy(), row.standard), (policy { $0.retry.on = RetryConditions(kinds: [.serverError], statuses: []) }, row.all),
        ] {
            let call = Call(to: .make(policy: policy))
            call.beginAndSend()
            call.head(row.status)
            #expect(call.isForwarding == !expected)
        }
    }

    @Test(
        "follows gRPC codes in an answer of trailers only",
        arguments: [(14, true), (13, false), (0, false), (4, false)])
    func grpc(row: (code: Int, isRetried: Bool)) {
        let call = Call(to: .make(), .post, isGRPC: true, isMarkedIdempotent: true)
        call.beginAndSend()
        call.head(ResponseFacts(status: 200, grpcStatus: row.code))
        #expect(call.isForwarding == !row.isRetried)
    }

    @Test("does not follow a timeout unless it is listed", arguments: [true, false])
    func timeouts(listed: Bool) {
        let call = Call(
            to: .make(
                policy: policy {
                    $0.attemptTimeout = .milliseconds(100)
                    if listed { $0.retry.on.kinds.insert(.timeout) }
                }))
        call.beginAndSend()
        call.wake()
        #expect(call.now == .zero + .milliseconds(100) && call.effects.abandon == .attemptTimedOut)
        #expect(call.verdicts == [listed ? .retried : .notListed])
        if !listed { #expect(call.failure?.flag == .upstreamTimeout && call.failure?.status == 504) }
    }

    @Test("is counted with the first attempt, and then says that it ran out", arguments: 1...5)
    func attempts(limit: Int) {
        let destination = Destination.make(policy: policy { $0.retry.attempts = limit })
        let call = Call(to: destination)
        call.beginAndSend()
        var sent = 1
        while !call.head(503).caller.isForwarding {
            call.wake()
            call.connectAndSend()
            sent += 1
        }
        #expect(sent == limit && call.verdicts.last == .attemptsExhausted)
        // Where only one attempt was asked for, a tier above may still try.
        #expect(call.retryNo == (limit > 1) && call.exchange.flag == (limit > 1 ? .retriesExhausted : nil))
        call.end()
        #expect(call.isComplete && destination.isAtRest)
    }

    @Test("is never made where the upstream asks for none, and that is neutral to the breaker")
    func meshRetryNo() {
        let destination = Destination.make(1)
        for seed: UInt64 in 1...30 {
            let call = Call(to: destination, seed: seed)
            call.beginAndSend()
            call.head(ResponseFacts(status: 503, meshRetryNo: true))
            #expect(call.isForwarding && call.verdicts == [.forbidden])
            call.end()
        }
        let statistics = destination.statistics(now: .zero)
        #expect(statistics.breaker == .closed && statistics.endpoints[0].breaker == .closed && statistics.endpoints[0].window.calls == 0)
    }

    @Test("is never made on an overloaded pool; on an overloaded host, elsewhere or not at all")
    func overload() {
        let call = Call(to: .make())
        call.beginAndSend()
        call.head(ResponseFacts(status: 503, overload: .pool))
        #expect(call.isForwarding && call.verdicts == [.poolOverloaded])

        let other = Call(to: .make(2))
        other.beginAndSend()
        let first = other.target
        other.head(ResponseFacts(status: 503, overload: .host))
        other.wake()
        #expect(other.target != nil && other.target != first)

        let alone = Call(to: .make(1))
        alone.beginAndSend()
        alone.head(ResponseFacts(status: 503, overload: .host))
        #expect(alone.isForwarding && alone.verdicts == [.noOtherEndpoint])
    }

    @Test("waits exactly as long as Retry-After says, and is not made where that is too long")
    func retryAfter() {
        let call = Call(to: .make())
        call.beginAndSend()
        call.head(ResponseFacts(status: 503, retryAfter: .milliseconds(700)))
        #expect(call.effects.wakeAt == call.now + .milliseconds(700))
        #expect(call.wake().start?.number == 2)
        #expect(call.exchange.attempts[1].backoff == .milliseconds(700))

        let late = Call(to: .make())
        late.beginAndSend()
        late.head(ResponseFacts(status: 503, retryAfter: .seconds(3)))
        #expect(late.isForwarding && late.verdicts == [.deadlineTooClose] && late.exchange.flag == .deadlineExhausted)

        let never = Call(to: .make())
        never.beginAndSend()
        never.head(ResponseFacts(status: 200, grpcStatus: 14, forbidsRetry: true))
        #expect(never.isForwarding && never.verdicts == [.forbidden])
    }

    @Test("is not made where what an answer takes is more than what is left")
    func tooClose() {
        let destination = Destination.make()
        for seed: UInt64 in 1...20 {
            let call = Call(to: destination, seed: seed)
            call.beginAndSend()
            call.head(200, after: .milliseconds(400))
            call.end()
        }
        let call = Call(to: destination, inherited: .zero + .milliseconds(500))
        call.beginAndSend()
        call.fail(.reset, after: .milliseconds(150))
        #expect(call.failure?.flag == .deadlineExhausted && call.verdicts == [.deadlineTooClose])
    }

    @Test("is not made once the replay buffer overflowed, be it during an attempt or between two")
    func overflow() {
        let call = Call(to: .make())
        call.beginAndSend()
        call.exchange.replayOverflowed(now: call.now)
        call.head(503)
        #expect(call.isForwarding && call.verdicts == [.replayOverflowed])

        let destination = Destination.make()
        let between = Call(to: destination)
        between.beginAndSend()
        between.head(503)
        between.exchange.replayOverflowed(now: between.now)
        between.wake()
        #expect(between.failure?.cause == .replayOverflowed && destination.isAtRest)
    }

    @Test("is not made without budget, and says so")
    func budget() {
        let destination = Destination.make(
            policy: policy {
                $0.breaker = nil
                $0.retry.reservePerSecond = 1
            })
        let first = Call(to: destination)
        first.beginAndSend()
        first.head(503)
        #expect(first.effects.wakeAt != nil)
        let second = Call(to: destination)
        second.beginAndSend()
        second.head(503)
        #expect(second.isForwarding && second.retryNo && second.exchange.flag == .budgetExhausted && second.verdicts == [.budgetExhausted])
        let third = Call(to: destination)
        third.beginAndSend()
        third.fail(.reset)
        #expect(third.failure?.flag == .budgetExhausted && third.failure?.status == 502 && third.failure?.retryNo == true)
    }

    @Test("is not made while three others are waiting for theirs, of few calls")
    func atOnce() {
        let destination = Destination.make(
            policy: policy {
                $0.breaker = nil
                $0.retry.reservePerSecond = 100
            })
        for seed: UInt64 in 1...4 {
            let call = Call(to: destination, seed: seed)
            call.beginAndSend()
            call.head(503)
            #expect(call.isForwarding == (seed == 4))
            if seed == 4 { #expect(call.verdicts == [.tooManyRetrying] && call.retryNo) }
        }
    }
}

extension CallerEffect {
    var isForwarding: Bool { if case .forwardHead = self { true } else { false } }
}
