import MeshModel
import MeshPolicy
import TestSupport
import Testing

@Suite("A retry budget", .calculating)
struct RetryBudgetTests {
    private func granted(_ budget: inout RetryBudget, tries: Int, at now: Instant) -> Int {
        var count = 0
        for _ in 0..<tries where budget.retryAsked(now: now) { count += 1 }
        return count
    }

    /// Deposits are 1 a call and a retry costs 1/ratio: floor(calls * ratio) retries, and the reserve's burst of one second.
    @Test(
        "grants one retry per 1/ratio calls, and the reserve",
        arguments: [
            (ratio: 0.2, reserve: 0.0, calls: 0, granted: 0),
            (ratio: 0.2, reserve: 0.0, calls: 4, granted: 0),
            (ratio: 0.2, reserve: 0.0, calls: 5, granted: 1),
            (ratio: 0.2, reserve: 0.0, calls: 100, granted: 20),
            (ratio: 0.2, reserve: 5.0, calls: 0, granted: 5),
            (ratio: 0.2, reserve: 5.0, calls: 100, granted: 25),
            (ratio: 0.5, reserve: 0.0, calls: 9, granted: 4),
            (ratio: 1.0, reserve: 0.0, calls: 7, granted: 7),
            (ratio: 0.0, reserve: 2.0, calls: 1000, granted: 2),
            // 1000/0.3 rounds up to 3334 tokens: ten calls are worth two retries, eleven three.
            (ratio: 0.3, reserve: 0.0, calls: 10, granted: 2),
            (ratio: 0.3, reserve: 0.0, calls: 11, granted: 3),
        ])
    func grants(row: (ratio: Double, reserve: Double, calls: Int, granted: Int)) {
        var budget = RetryBudget(ratio: row.ratio, reservePerSecond: row.reserve, now: .zero)
        for _ in 0..<row.calls { budget.callBegan(now: .zero) }
        #expect(granted(&budget, tries: row.calls + 50, at: .zero) == row.granted)
    }

    @Test("forgets deposits after ten seconds, slice by slice")
    func expiry() {
        var budget = RetryBudget(ratio: 0.2, reservePerSecond: 0, now: .zero)
        for _ in 0..<10 { budget.callBegan(now: .zero) }
        for _ in 0..<5 { budget.callBegan(now: .zero + .seconds(5)) }
        #expect(budget.balance(now: .zero + .milliseconds(9_999)) == 3)
        #expect(budget.balance(now: .zero + .seconds(10)) == 1, "those of second 0 are gone")
        #expect(budget.balance(now: .zero + .seconds(15)) == 0)
        #expect(budget.balance(now: .zero + .seconds(3600)) == 0)
    }

    @Test("accrues its reserve by time, and never more than a second of it")
    func reserve() {
        var budget = RetryBudget(ratio: 0.2, reservePerSecond: 5, now: .zero)
        #expect(granted(&budget, tries: 10, at: .zero) == 5)
        #expect(granted(&budget, tries: 10, at: .zero + .milliseconds(199)) == 0)
        #expect(granted(&budget, tries: 10, at: .zero + .milliseconds(200)) == 1)
        #expect(granted(&budget, tries: 10, at: .zero + .seconds(60)) == 5)
    }

    @Test("accrues in steps however small")
    func smallSteps() {
        var budget = RetryBudget(ratio: 0.2, reservePerSecond: 0.5, now: .zero)
        #expect(granted(&budget, tries: 2, at: .zero) == 1, "a burst holds at least one")
        var now = Instant.zero
        for _ in 0..<1_999_999 {
            now = now + .microseconds(1)
            guard !budget.retryAsked(now: now) else { break }
        }
        #expect((now - .zero).seconds > 1.99 && (now - .zero).seconds < 2.01)
    }

    @Test("shares the reserve among the caller's replicas")
    func replicas() {
        var budget = RetryBudget(ratio: 0.2, reservePerSecond: 5, replicas: 5, now: .zero)
        #expect(granted(&budget, tries: 10, at: .zero) == 1)
    }

    @Test("spends the oldest deposits first, so that none is spent twice")
    func oldestFirst() {
        var budget = RetryBudget(ratio: 1, reservePerSecond: 0, now: .zero)
        budget.callBegan(now: .zero)
        budget.callBegan(now: .zero + .seconds(9))
        #expect(granted(&budget, tries: 1, at: .zero + .seconds(9)) == 1)
        #expect(budget.balance(now: .zero + .seconds(10)) == 1, "the younger one is left")
        #expect(granted(&budget, tries: 2, at: .zero + .seconds(10)) == 1)
    }

    @Test("never grants more than ratio * calls + reserve * (t + 1 s), over random histories", arguments: 1...20 as ClosedRange<UInt64>)
    func bound(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let ratio = [0.1, 0.2, 0.5, 1][random.next(below: 4)]
        let reserve = [0.0, 1, 5][random.next(below: 3)]
        var budget = RetryBudget(ratio: ratio, reservePerSecond: reserve, now: .zero)
        var now = Instant.zero
        var calls = 0
        var retries = 0
        for _ in 0..<2000 {
            now = now + Timespan(nanoseconds: Int64(random.next(below: 40_000_000)))
            if random.next(below: 2) == 0 {
                calls += 1
                budget.callBegan(now: now)
            } else if budget.retryAsked(now: now) {
                retries += 1
            }
            #expect(Double(retries) <= ratio * Double(calls) + reserve * ((now - .zero).seconds + 1) + 1e-6)
        }
    }

    @Test(
        "lets a fifth of the active calls retry at once, and never fewer than three",
        arguments: [
            (0, 0, true), (2, 3, true), (3, 3, false), (3, 15, false), (3, 20, true), (4, 20, false), (19, 100, true), (20, 100, false),
        ])
    func atOnce(row: (retrying: Int, active: Int, allowed: Bool)) {
        #expect(RetryBudget.allowsAnother(retrying: row.retrying, active: row.active, ratio: 0.2) == row.allowed)
    }
}
