import MeshExchange
import MeshModel
import MeshPolicy
import Testing

@Suite("Shedding")
struct SheddingTests {
    private func call(_ destination: Destination, _ criticality: Criticality = .standard, at now: Instant = .zero, seed: UInt64 = 1) -> Call
    {
        Call(to: destination, at: now, seed: seed, criticality: criticality)
    }

    @Test("over the edge's limit calls are refused here, flagged SH, and not to be retried above")
    func limit() {
        let destination = Destination.make(2, policy: CallPolicy(limit: .fixed(4)))
        let under = (1...4).map { call(destination, seed: UInt64($0)) }
        for call in under { #expect(call.begin().start != nil) }
        guard case .fail(let failure) = call(destination).begin().caller else {
            Issue.record("let through")
            return
        }
        #expect(failure == CallFailure(.overLimit, retryNo: true) && failure.flag == .shed && failure.status == 503)
        #expect(call(destination, .critical).begin().start != nil)
        under[0].leave()
        under[1].leave()
        #expect(call(destination).begin().start != nil)
        #expect(destination.statistics(now: .zero).limit == 4)
    }

    @Test("every seat comes back, however a call ends, and a limit that is new counts those that are under way")
    func seats() {
        let destination = Destination.make(2, policy: CallPolicy(retry: RetryPolicy(never: true)))
        let before = (1...3).map { call(destination, seed: UInt64($0)) }
        for call in before { call.beginAndSend() }
        let limited = Destination.make(2, policy: CallPolicy(retry: RetryPolicy(never: true), limit: .fixed(4)), after: destination)
        let fourth = call(limited)
        #expect(fourth.beginAndSend().start != nil && call(limited).begin().start == nil)
        before[0].head(200)
        before[0].end()
        before[1].head(503)
        before[1].end()
        before[2].leave()
        fourth.fail(.reset)
        let again = (1...4).map { call(limited, at: .zero + .milliseconds(5), seed: UInt64($0)) }
        for call in again { #expect(call.begin().start != nil) }
        #expect(call(limited, at: .zero + .milliseconds(5)).begin().start == nil)
    }

    /// 60 calls of which all were shed: the most that is rejected here is four of five.
    @Test("a service that sheds is spared, by criticality, and no breaker opens")
    func throttles() {
        let destination = Destination.make(1, policy: CallPolicy(retry: RetryPolicy(never: true)))
        for seed in 1...60 {
            let shed = call(destination, .sheddable, seed: UInt64(seed))
            shed.beginAndSend()
            shed.head(ResponseFacts(status: 503, overload: .host))
            shed.end()
            let critical = call(destination, .critical, seed: UInt64(seed))
            critical.beginAndSend()
            critical.head(200)
            critical.end()
        }
        let edge = destination.statistics(now: .zero)
        #expect(edge.breaker == .closed && edge.endpoints[0].breaker == .closed && edge.counters.failed == 0)
        let later = Instant.zero + .milliseconds(100)
        var rejected = 0
        for seed in 1...100 {
            let shed = call(destination, .sheddable, at: later, seed: UInt64(seed))
            if case .fail(let failure) = shed.begin().caller {
                #expect(failure == CallFailure(.throttled, retryNo: true))
                rejected += 1
            }
            shed.leave()
            let critical = call(destination, .critical, at: later, seed: UInt64(seed))
            #expect(critical.begin().start != nil)
            critical.leave()
        }
        #expect((65...90).contains(rejected))
        #expect(call(destination, .sheddable, at: later + .seconds(11)).begin().start != nil)
    }

    @Test("what a tier further down shed is that tier's account", arguments: [true, false])
    func account(isOurs: Bool) {
        let destination = Destination.make(1, policy: CallPolicy(retry: RetryPolicy(never: true), breaker: nil))
        for seed in 1...100 {
            let shed = call(destination, seed: UInt64(seed))
            shed.beginAndSend()
            shed.head(ResponseFacts(status: 503, meshRetryNo: !isOurs, overload: .host))
            shed.end()
        }
        #expect((destination.statistics(now: .zero).throttled > 0) == isOurs)
    }
}
