import MeshExchange
import MeshModel
import MeshPolicy
import Testing

/// Trouble made on purpose takes the way of every other failure.
@Suite("An injected fault")
struct FaultTests {
    private func policy(_ fault: FaultPolicy, attempts: Int = 2) -> CallPolicy {
        CallPolicy(retry: RetryPolicy(attempts: attempts), fault: fault)
    }

    @Test("delays an attempt before it leaves")
    func delay() throws {
        let call = Call(to: .make(policy: policy(FaultPolicy(delay: .milliseconds(300)))))
        call.begin()
        #expect(call.effects.start == nil && call.effects.wakeAt == .zero + .milliseconds(300))
        // Told too early, it changes nothing.
        call.advance(.milliseconds(100))
        #expect(call.exchange.timerFired(now: call.now, random: &call.random).start == nil)
        call.wake()
        let start = try #require(call.effects.start)
        #expect(start.number == 1 && start.remaining == .milliseconds(1700))
        #expect(call.effects.wakeAt == .zero + .milliseconds(1300), "the connection has its whole time")
        call.connectAndSend()
        call.head(200)
        call.end()
        #expect(call.isComplete)
        #expect(call.exchange.attempts[0].fault?.description == "delay 300ms")
    }

    @Test("that aborts is repeated, charged and counted as any 503")
    func abort() {
        let destination = Destination.make(1, policy: policy(FaultPolicy(abort: 503), attempts: 3))
        let call = Call(to: destination)
        call.begin()
        var starts = 0
        while call.failure == nil {
            if call.effects.start != nil { starts += 1 }
            call.wake()
        }
        #expect(starts == 0, "nothing left this process")
        #expect(call.failure?.status == 503 && call.failure?.flag == .retriesExhausted && call.failure?.retryNo == true)
        #expect(call.verdicts == [.retried, .retried, .attemptsExhausted])
        let statistics = destination.statistics(now: call.now)
        #expect(statistics.counters.retries == 2 && statistics.counters.failed == 1)
        #expect(statistics.endpoints[0].window.failures == 3 && destination.isAtRest)
    }

    @Test("that aborts a POST ends it, and one that is no failure blames nobody")
    func abortOnce() {
        let post = Call(to: .make(policy: policy(FaultPolicy(abort: 503))), .post)
        post.begin()
        post.wake()
        #expect(post.failure?.status == 503 && post.failure?.flag == .faultInjected && post.verdicts == [.notIdempotent])
        let destination = Destination.make(policy: policy(FaultPolicy(abort: 404)))
        let notFound = Call(to: destination)
        notFound.begin()
        notFound.wake()
        #expect(notFound.failure?.status == 404 && notFound.verdicts == [.notListed])
        #expect(destination.statistics(now: .zero).endpoints.allSatisfy { $0.window.failures == 0 })
    }

    @Test("opens the breaker of the edge")
    func breaker() {
        let destination = Destination.make(2, policy: policy(FaultPolicy(reset: true)))
        var now = Instant.zero
        for seed in 0..<40 {
            let call = Call(to: destination, .post, at: now, seed: UInt64(seed))
            call.begin()
            if call.failure == nil { call.wake() }
            now = call.now + .milliseconds(10)
        }
        #expect(destination.statistics(now: now).counters.refused > 0)
        #expect(!destination.statistics(now: now).events.isEmpty)
    }

    @Test("ends with the deadline, and with its caller")
    func ends() {
        let destination = Destination.make(policy: policy(FaultPolicy(delay: .seconds(10))))
        let late = Call(to: destination)
        late.begin()
        late.wake()
        #expect(late.now == .zero + .seconds(2) && late.failure?.status == 504 && late.failure?.flag == .deadlineExhausted)
        let left = Call(to: destination)
        left.begin()
        left.advance(.seconds(1))
        left.leave()
        #expect(destination.isAtRest)
    }

    @Test("ends with the time of one attempt, and the next one draws anew")
    func attemptTimeout() {
        var policy = policy(FaultPolicy(delay: .seconds(1)))
        policy.attemptTimeout = .milliseconds(100)
        policy.retry.on.kinds.insert(.timeout)
        let call = Call(to: .make(policy: policy))
        call.begin()
        call.wake()
        #expect(call.now == .zero + .milliseconds(100) && call.verdicts == [.retried])
    }

    @Test("meets its share of the attempts, and replays from the seed")
    func share() {
        func count() -> Int {
            let destination = Destination.make(policy: policy(FaultPolicy(abort: 404, share: 0.3)))
            return (0..<2000).filter { seed in
                let call = Call(to: destination, seed: UInt64(seed))
                call.begin()
                defer { if call.effects.start != nil { call.leave() } else { call.wake() } }
                return call.effects.start == nil
            }.count
        }
        let first = count()
        #expect((540...660).contains(first) && count() == first)
    }

    @Test("of a route goes before that of the edge")
    func route() {
        let destination = Destination.make(policy: policy(FaultPolicy(abort: 500)))
        let facts = RequestFacts(method: .post, fault: FaultPolicy(abort: 418))
        var exchange = Exchange(destination: destination, request: facts, received: .zero)
        var random = RandomSource(seed: 1)
        _ = exchange.began(now: .zero, random: &random)
        guard case .fail(let failure) = exchange.timerFired(now: .zero, random: &random).caller else {
            Issue.record("no failure")
            return
        }
        #expect(failure.status == 418)
    }

    @Test("ends when its time is over; a new snapshot does not begin it again, a new order does")
    func lasts() {
        func isFaulty(_ destination: Destination, at now: Instant) -> Bool {
            let call = Call(to: destination, at: now)
            call.begin()
            defer { if call.effects.start != nil { call.leave() } else { call.wake() } }
            return call.effects.start == nil
        }
        let fault = FaultPolicy(abort: 404, lasts: .seconds(10))
        let first = Destination.make(policy: policy(fault))
        #expect(isFaulty(first, at: .zero + .seconds(9)) && !isFaulty(first, at: .zero + .seconds(10)))
        let second = Destination.make(policy: policy(fault), after: first, now: .zero + .seconds(5))
        #expect(isFaulty(second, at: .zero + .seconds(9)) && !isFaulty(second, at: .zero + .seconds(11)))
        var again = fault
        again.order = 1
        let third = Destination.make(policy: policy(again), after: second, now: .zero + .seconds(20))
        #expect(isFaulty(third, at: .zero + .seconds(29)) && !isFaulty(third, at: .zero + .seconds(30)))
    }
}
