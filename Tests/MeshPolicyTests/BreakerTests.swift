import MeshModel
import TestSupport
import Testing

@testable import MeshPolicy

@Suite("A circuit breaker", .calculating)
struct BreakerTests {
    /// A breaker, moved by hand.
    final class Bench {
        var breaker: Breaker
        var policy: BreakerPolicy
        var now = Instant.zero
        var random = RandomSource(seed: 1)
        var alone = false

        init(_ policy: BreakerPolicy = BreakerPolicy()) {
            self.policy = policy
            breaker = Breaker(policy: policy, now: .zero)
        }

        func ask() -> Breaker.Permit? { breaker.attemptWanted(now: now, alone: alone) }

        @discardableResult
        func end(_ outcome: Outcome, _ permit: Breaker.Permit, took: Timespan = .milliseconds(5)) -> Breaker.Change? {
            breaker.attemptEnded(outcome, permit: permit, took: took, now: now, alone: alone, policy: policy, random: &random)
        }

        @discardableResult
        func run(_ outcome: Outcome, times: Int = 1, took: Timespan = .milliseconds(5)) -> Breaker.Change? {
            var last: Breaker.Change?
            for _ in 0..<times {
                guard let permit = ask() else { return last }
                last = end(outcome, permit, took: took) ?? last
            }
            return last
        }

        func trip() { run(.failure, times: policy.consecutive) }

        /// Closes it again by two probes, as soon as it may.
        func heal() {
            now = now + .seconds(61)
            run(.success, times: 2)
        }
    }

    @Test(
        "opens on a row of failures, or on their share of enough calls",
        arguments: [
            // successes, then failures; others usable; opens
            (successes: 0, failures: 4, alone: false, opens: false),
            (successes: 0, failures: 5, alone: false, opens: true),
            (successes: 0, failures: 5, alone: true, opens: false),
            (successes: 0, failures: 19, alone: true, opens: false),
            (successes: 0, failures: 20, alone: true, opens: true),
            (successes: 10, failures: 9, alone: true, opens: false),
            (successes: 10, failures: 10, alone: true, opens: true),
            (successes: 11, failures: 10, alone: true, opens: false),
            (successes: 11, failures: 11, alone: true, opens: true),
            (successes: 100, failures: 4, alone: false, opens: false),
        ])
    func opening(row: (successes: Int, failures: Int, alone: Bool, opens: Bool)) {
        let bench = Bench()
        bench.alone = row.alone
        bench.run(.success, times: row.successes)
        bench.run(.failure, times: row.failures)
        #expect((bench.breaker.condition == .open) == row.opens)
    }

    @Test("says why it opened, and from what")
    func reason() {
        let bench = Bench()
        bench.alone = true
        bench.run(.success, times: 9)
        guard case .opened(let reason, let calls, let failures, _) = bench.run(.failure, times: 20) else {
            Issue.record("it did not open")
            return
        }
        // The tenth failure is the nineteenth call; the eleventh makes 20 calls of which more than half failed.
        #expect(reason == .failureRate && calls == 20 && failures == 11)
    }

    @Test("a success ends a row")
    func rowEnds() {
        let bench = Bench()
        bench.run(.failure, times: 4)
        bench.run(.success)
        bench.run(.failure, times: 4)
        #expect(bench.breaker.isClosed)
        bench.run(.failure)
        #expect(bench.breaker.condition == .open)
    }

    @Test("neutral outcomes count for nothing")
    func neutral() {
        let bench = Bench()
        bench.run(.failure, times: 4)
        bench.run(.neutral, times: 100)
        #expect(bench.breaker.isClosed && bench.breaker.counts.calls == 4)
        bench.run(.failure)
        #expect(bench.breaker.condition == .open)
    }

    @Test("failures leave the window after ten seconds")
    func window() {
        let bench = Bench()
        bench.alone = true
        bench.run(.failure, times: 19)
        bench.now = bench.now + .seconds(10)
        bench.run(.failure)
        #expect(bench.breaker.isClosed && bench.breaker.counts.calls == 1)
    }

    @Test("opens on the share of slow calls, where that is asked for")
    func slow() {
        var policy = BreakerPolicy()
        policy.slow = .init(over: .milliseconds(100), share: 0.5)
        let bench = Bench(policy)
        bench.run(.success, times: 10)
        bench.run(.success, times: 9, took: .milliseconds(101))
        #expect(bench.breaker.isClosed)
        guard case .opened(.slowCalls, 20, 0, _) = bench.run(.success, took: .milliseconds(101)) else {
            Issue.record("ten of twenty were slow")
            return
        }
    }

    @Test(
        "stays open for openFor * 2^(n-1), half of it fixed and half drawn, 60 s at most",
        arguments: [(1, 5.0), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (40, 60)])
    func openTime(row: (openings: Int, full: Double)) {
        var random = RandomSource(seed: 7)
        let spans = (0..<1000).map { _ in Breaker.openTime(openings: row.openings, policy: BreakerPolicy(), random: &random).seconds }
        #expect(spans.min()! >= row.full / 2 && spans.max()! <= row.full)
        #expect(spans.min()! < row.full * 0.51 && spans.max()! > row.full * 0.99)
    }

    @Test("where no other endpoint is usable, it opens for two seconds at most")
    func alone() {
        let bench = Bench()
        bench.alone = true
        bench.run(.failure, times: 20)
        #expect(bench.breaker.condition == .open && bench.ask() == nil)
        bench.now = bench.now + .seconds(2)
        #expect(bench.ask()?.isProbe == true)
    }

    @Test("opened while others were usable, it lets a probe through after two seconds once it is alone")
    func becomesAlone() {
        let bench = Bench()
        bench.trip()
        bench.now = bench.now + .seconds(2)
        #expect(bench.ask() == nil)
        bench.alone = true
        #expect(bench.ask()?.isProbe == true)
    }

    @Test("leases one probe at a time, and two successes close it")
    func probes() {
        let bench = Bench()
        bench.trip()
        #expect(bench.ask() == nil)
        bench.now = bench.now + .seconds(5)
        let first = bench.ask()!
        #expect(first.isProbe && bench.breaker.condition == .halfOpen)
        #expect(bench.ask() == nil, "one is under way")
        bench.end(.success, first)
        let second = bench.ask()!
        #expect(second.isProbe && bench.ask() == nil)
        #expect(bench.end(.success, second) == .closed)
        #expect(bench.ask()?.isProbe == false)
    }

    @Test("a probe that fails opens it for longer")
    func probeFails() {
        let bench = Bench()
        bench.trip()
        bench.now = bench.now + .seconds(5)
        guard case .opened(.probeFailed, _, _, let span) = bench.end(.failure, bench.ask()!) else {
            Issue.record("it did not open")
            return
        }
        #expect(span >= .seconds(5) && span <= .seconds(10))
    }

    @Test("a probe that came to nothing frees its lease", arguments: [true, false])
    func probeFreed(returned: Bool) {
        let bench = Bench()
        bench.trip()
        bench.now = bench.now + .seconds(5)
        let probe = bench.ask()!
        if returned { bench.breaker.leaseReturned(probe) } else { bench.end(.neutral, probe) }
        #expect(bench.breaker.condition == .halfOpen && bench.ask()?.isProbe == true)
    }

    @Test("what was permitted before a change of state has no say after it")
    func stalePermits() {
        let bench = Bench()
        let old = bench.ask()!
        bench.trip()
        bench.now = bench.now + .seconds(5)
        let probe = bench.ask()!
        bench.end(.failure, old)
        bench.end(.success, old)
        #expect(bench.breaker.condition == .halfOpen && bench.ask() == nil, "the probe still has its lease")
        bench.end(.success, probe)
        bench.run(.success)
        #expect(bench.breaker.isClosed)
        for _ in 0..<10 { bench.end(.failure, old) }
        #expect(bench.breaker.isClosed && bench.breaker.counts.calls == 0)
    }

    @Test("the exponent falls only by a success after a whole window in health, not by time")
    func decay() {
        let bench = Bench()
        bench.trip()
        bench.heal()
        bench.trip()
        bench.heal()
        #expect(bench.breaker.openings == 2)
        bench.now = bench.now + .seconds(3600)
        #expect(bench.breaker.openings == 2, "silence is no evidence")
        bench.run(.success)
        #expect(bench.breaker.openings == 1)
        bench.run(.success)
        #expect(bench.breaker.openings == 1, "one window, one step")
        bench.now = bench.now + .seconds(10)
        bench.run(.success)
        #expect(bench.breaker.openings == 0)
    }

    @Test("switched off, it is closed; under another policy, it keeps its state and counts anew")
    func otherPolicy() {
        let bench = Bench()
        bench.trip()
        #expect(Breaker(following: bench.breaker, policy: nil, now: bench.now).isClosed)
        var policy = BreakerPolicy()
        policy.window = .seconds(30)
        #expect(Breaker(following: bench.breaker, policy: policy, now: bench.now).condition == .open)
    }
}

@Suite("A sliding window", .calculating)
struct SlidingWindowTests {
    @Test("is the sum of what came within nine to ten tenths of its length", arguments: 1...10 as ClosedRange<UInt64>)
    func sum(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var window = SlidingWindow(length: .seconds(10), now: .zero)
        var history: [Instant] = []
        var now = Instant.zero
        for _ in 0..<500 {
            now = now + Timespan(nanoseconds: Int64(random.next(below: random.next(below: 20) == 0 ? 15_000_000_000 : 400_000_000)))
            window.record(failed: true, slow: false, now: now)
            history.append(now)
            let sure = history.count { now - $0 < .seconds(9) }
            let most = history.count { now - $0 < .seconds(10) }
            #expect((sure...most).contains(Int(window.total.calls)) && window.total.failures == window.total.calls)
        }
    }
}
