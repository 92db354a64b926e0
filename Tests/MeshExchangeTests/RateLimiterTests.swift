import MeshModel
import MeshPolicy
import Testing

@testable import MeshExchange

@Suite("A rate limiter")
struct RateLimiterTests {
    private let start = Instant.zero + .seconds(100)

    @Test("keeps one bucket for each key")
    func keys() {
        let limiter = RateLimiter(RateLimitConfiguration(requests: 2, key: .client), replicas: 1)
        for key in [UInt64(0), 1 << 60, 7, .max] {
            #expect(limiter.requestCame(key: key, now: start).remaining == 1)
            #expect(limiter.requestCame(key: key, now: start).remaining == 0)
            #expect(limiter.requestCame(key: key, now: start).retryAfter == .milliseconds(500))
        }
    }

    @Test("what was used stays used when the snapshot is replaced, and the rate may change")
    func replaced() {
        let first = RateLimiter(RateLimitConfiguration(requests: 2), replicas: 1)
        for _ in 0..<2 { #expect(first.requestCame(key: 5, now: start).isAdmitted) }
        let second = RateLimiter(RateLimitConfiguration(requests: 2), replicas: 1, after: first)
        #expect(!second.requestCame(key: 5, now: start).isAdmitted)
        let other = RateLimiter(RateLimitConfiguration(requests: 2, key: .client), replicas: 1, after: second)
        #expect(other.requestCame(key: 5, now: start).isAdmitted)
    }

    @Test("its table is bounded: full buckets make room first, and what is lost is counted")
    func bounded() {
        var table = KeyTable()
        let rate = CellRate(requests: 1, window: .seconds(1))
        var random = RandomSource(seed: 1)
        for _ in 0..<20_000 { #expect(table.requestCame(key: random.next(), rate: rate, now: start).isAdmitted) }
        #expect(table.slotCount == KeyTable.mostSlots)
        #expect(table.evictions > 0)
        let lost = table.evictions
        // A second later all of them are full again: nothing is lost any more.
        for _ in 0..<1000 { _ = table.requestCame(key: random.next(), rate: rate, now: start + .seconds(10)) }
        #expect(table.evictions == lost)
    }

    @Test("a key keeps its bucket while the table grows around it")
    func growing() {
        var table = KeyTable()
        let rate = CellRate(requests: 1, window: .seconds(60))
        var random = RandomSource(seed: 2)
        var keys: [UInt64] = []
        for _ in 0..<1000 {
            let key = random.next()
            keys.append(key)
            #expect(table.requestCame(key: key, rate: rate, now: start).isAdmitted)
        }
        #expect(table.evictions == 0)
        let refused = keys.filter { !table.requestCame(key: $0, rate: rate, now: start).isAdmitted }.count
        #expect(refused == keys.count)
    }
}
