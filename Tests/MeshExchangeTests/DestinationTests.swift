import MeshExchange
import MeshModel
import MeshPolicy
import Testing

@Suite("A destination")
struct DestinationTests {
    private func run(_ destination: Destination, _ status: Int, times: Int = 1, at now: Instant = .zero) {
        for seed in 1...times {
            let call = Call(to: destination, .post, at: now, seed: UInt64(seed))
            call.beginAndSend()
            if call.failure != nil { continue }
            call.head(status)
            call.end()
        }
    }

    @Test("without endpoints refuses with UH, with none but open breakers with BO, over its bulkhead with UO")
    func refusals() {
        let none = Call(to: .make(0))
        none.begin()
        #expect(none.failure?.flag == .noHealthyEndpoint && none.failure?.status == 503 && none.failure?.retryNo == false)

        let broken = Destination.make(1)
        run(broken, 500, times: 20)
        let open = Call(to: broken)
        open.begin()
        #expect(open.failure?.flag == .breakerOpen && open.failure?.status == 503 && open.failure?.retryNo == true)

        var policy = CallPolicy()
        policy.bulkhead = BulkheadPolicy(calls: 2, pending: 1)
        let full = Destination.make(policy: policy)
        let first = Call(to: full)
        first.begin()
        let waiting = Call(to: full)
        waiting.begin()
        #expect(waiting.failure?.cause == .tooManyPending && waiting.failure?.flag == .overflow && waiting.failure?.status == 503)
        first.connectAndSend()
        let second = Call(to: full)
        second.beginAndSend()
        let third = Call(to: full)
        third.begin()
        #expect(third.failure?.cause == .tooManyCalls)
        first.leave()
        second.leave()
        #expect(full.isAtRest)
    }

    @Test("draining or gone, an endpoint takes no new calls, and its running ones end in peace")
    func draining() {
        let before = Destination.make(2)
        var calls: [Call] = []
        for seed: UInt64 in 1...8 {
            calls.append(Call(to: before, seed: seed))
            calls.last!.beginAndSend()
        }
        let after = Destination.make(2, after: before) { endpoints in
            endpoints[0].draining = true
            endpoints.remove(at: 1)
        }
        let refused = Call(to: after)
        refused.begin()
        #expect(refused.failure?.flag == .noHealthyEndpoint)
        #expect(after.statistics(now: .zero).endpoints.count == 2, "the one that is gone still has calls")
        for call in calls {
            call.head(200)
            call.end()
            #expect(call.isComplete)
        }
        #expect(after.isAtRest && after.statistics(now: .zero).endpoints.count == 1)
        #expect(after.statistics(now: .zero).counters.calls == 8, "both are one edge")
    }

    @Test("keeps what it knows of an instance over configurations, and forgets it with the instance")
    func memory() {
        var policy = CallPolicy()
        policy.breaker?.consecutive = 1
        let first = Destination.make(2, policy: policy)
        run(first, 500)
        #expect(first.statistics(now: .zero).endpoints.count { $0.breaker == .open } == 1)
        let second = Destination.make(2, policy: policy, after: first)
        #expect(second.statistics(now: .zero).endpoints.count { $0.breaker == .open } == 1)
        let restarted = Destination.make(2, policy: policy, after: second) { endpoints in
            for index in endpoints.indices { endpoints[index].instance.high = 7 }
        }
        #expect(restarted.statistics(now: .zero).endpoints.allSatisfy { $0.breaker == .closed && $0.latency == nil })
        #expect(restarted.statistics(now: .zero).endpoints.count == 2)
    }

    @Test("switches breakers off where the policy does")
    func breakerOff() {
        let broken = Destination.make(1)
        run(broken, 500, times: 20)
        var policy = CallPolicy()
        policy.breaker = nil
        let off = Destination.make(1, policy: policy, after: broken)
        run(off, 500, times: 50)
        #expect(off.statistics(now: .zero).counters.calls == 70)
    }

    @Test("tells of every change of state, with an example")
    func events() throws {
        let destination = Destination.make(1)
        run(destination, 500, times: 20)
        let opened = try #require(destination.statistics(now: .zero).events.first)
        guard case .opened(.failureRate, calls: 20, failures: 20, for: let span) = opened.change else {
            Issue.record("\(opened)")
            return
        }
        #expect(opened.instance == InstanceID(high: 0, low: 1) && opened.traceID == TraceID(high: 1, low: 20) && span <= .seconds(2))
        run(destination, 200, times: 4, at: .zero + .seconds(3))
        let changes = destination.statistics(now: .zero).events.map(\.change)
        #expect(changes.count { $0 == .halfOpened } == 2 && changes.count { $0 == .closed } == 2, "of the endpoint, and of the edge")
    }

    @Test("lets one probe through, and frees its lease when the caller leaves")
    func probe() {
        let destination = Destination.make(1)
        run(destination, 500, times: 20)
        let later = Instant.zero + .seconds(3)
        let probe = Call(to: destination, at: later)
        probe.begin()
        #expect(probe.effects.start != nil && probe.exchange.attempts[0].isProbe)
        let refused = Call(to: destination, at: later)
        refused.begin()
        #expect(refused.failure?.flag == .breakerOpen)
        probe.leave()
        let next = Call(to: destination, at: later)
        next.begin()
        #expect(next.effects.start != nil && next.exchange.attempts[0].isProbe)
        // The lease of a probe does not wait for the end of a long response.
        next.connectAndSend()
        next.head(200)
        let second = Call(to: destination, at: next.now)
        second.begin()
        #expect(second.effects.start != nil)
        second.leave()
        next.leave()
        #expect(destination.isAtRest)
    }

    @Test("an attempt cut off sooner than an answer takes says nothing of its endpoint")
    func cutOff() {
        let destination = Destination.make(1)
        for seed: UInt64 in 1...10 {
            let call = Call(to: destination, seed: seed)
            call.beginAndSend()
            call.head(200, after: .milliseconds(100))
            call.end()
        }
        for seed: UInt64 in 1...50 {
            let call = Call(to: destination, inherited: .zero + .milliseconds(10), seed: seed)
            call.beginAndSend()
            call.wake()
            #expect(call.failure?.cause == .deadlinePassed)
        }
        #expect(destination.statistics(now: .zero).breaker == .closed)
        for seed: UInt64 in 1...50 {
            let call = Call(to: destination, inherited: .zero + .milliseconds(500), seed: seed)
            call.beginAndSend()
            if call.failure == nil { call.wake() }
        }
        #expect(destination.statistics(now: .zero).breaker == .open)
    }

    @Test("a gRPC failure in the trailers counts, and so does a body that ends too soon")
    func afterHead() {
        for ending in [true, false] {
            let destination = Destination.make(1)
            for seed: UInt64 in 1...20 {
                let call = Call(to: destination, .post, isGRPC: true, seed: seed)
                call.beginAndSend()
                call.head(200)
                if ending { call.end(grpcStatus: 14) } else { call.fail(.truncated) }
                #expect(call.isComplete == ending && call.isReset != ending)
            }
            #expect(destination.statistics(now: .zero).breaker == .open && destination.isAtRest)
        }
    }

    @Test("serves many threads at once, and is at rest when they are done")
    func threads() async {
        let destination = Destination.make(4)
        await withTaskGroup(of: Void.self) { group in
            for worker: UInt64 in 1...8 {
                group.addTask {
                    for number: UInt64 in 1...300 {
                        let call = Call(to: destination, at: .zero + .milliseconds(Int64(number)), seed: worker << 32 | number)
                        call.beginAndSend()
                        if call.failure != nil { continue }
                        switch number % 5 {
                        case 0: call.leave()
                        case 1: call.fail(.connectFailed)
                        default: call.head(number % 7 == 0 ? 503 : 200)
                        }
                        call.end()
                        call.leave()
                    }
                }
            }
        }
        #expect(destination.isAtRest)
        #expect(destination.statistics(now: .zero).counters.calls + destination.statistics(now: .zero).counters.refused == 2400)
    }
}
