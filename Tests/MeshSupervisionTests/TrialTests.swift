import MeshModel
import TestSupport
import Testing

@testable import MeshSupervision

@Suite(.calculating) struct TrialTests {
    /// By hand: 5 of 5 against 0 of 15 is 1/C(20,5) = 1/15504; against 0 of 10 it is 1/C(15,5) = 1/3003; 1 of 2 against 0 of 2 is one
    /// half.
    static let textbook: [(bad: Int, of: Int, otherBad: Int, otherOf: Int, probability: Double)] = [
        (5, 5, 0, 15, 1.0 / 15504), (5, 5, 0, 10, 1.0 / 3003), (1, 2, 0, 2, 0.5), (2, 2, 2, 2, 1), (0, 3, 1, 3, 1),
        // 3 of 4 and 1 of 4, the lady who tastes tea: (C(4,3)C(4,1) + C(4,4)C(4,0)) / C(8,4) = 17/70.
        (3, 4, 1, 4, 17.0 / 70),
    ]

    @Test(arguments: textbook.indices) func theExactTestIsTheOneOfTheTextbook(_ index: Int) {
        let (bad, count, otherBad, otherCount, expected) = Self.textbook[index]
        let found = TrafficVerdict.probability(ofAtLeast: bad, among: count, drawnFrom: count + otherCount, with: bad + otherBad)
        #expect(abs(found - expected) < 1e-9)
    }

    @Test func largeNumbersAreNoProblem() {
        #expect(TrafficVerdict.isMore(3000, of: 100_000, than: 2000, of: 100_000))
        #expect(!TrafficVerdict.isMore(2010, of: 100_000, than: 2000, of: 100_000))
    }

    static let failing: [(new: (failures: Int, of: Int), old: (failures: Int, of: Int), isWorse: Bool)] = [
        // A breaker lets five through: that is enough.
        ((5, 5), (0, 15), true),
        // Four could be one accident.
        ((4, 4), (0, 1000), false),
        // 1/3003 happens by chance.
        ((5, 5), (0, 10), false),
        // Nothing to compare with.
        ((50, 50), (0, 0), false),
        // What both call is broken.
        ((50, 50), (48, 50), false),
        // 10 of 100: C(100,10)/C(200,10) = 7.7e-4; 15 of 100: C(100,15)/C(200,15) = 1.7e-5.
        ((10, 100), (0, 100), false),
        ((15, 100), (0, 100), true),
        // Certain, and too little to matter: 1.5 % against 0.
        ((1500, 100_000), (0, 100_000), false),
        ((2500, 100_000), (400, 100_000), true),
        // The old one is the worse.
        ((1, 100), (50, 100), false),
    ]

    @Test(arguments: failing.indices) func failuresCountWhereTheyAreMoreThanChance(_ index: Int) {
        let row = Self.failing[index]
        let reason = TrafficVerdict.objection(
            to: Traffic(requests: row.new.of, failures: row.new.failures),
            comparedWith: Traffic(requests: row.old.of, failures: row.old.failures))
        #expect((reason != nil) == row.isWorse, "\(row)")
        if row.isWorse {
            #expect(
                reason
                    == "\(row.new.failures) of \(row.new.of) requests failed in the new version, \(row.old.failures) of \(row.old.of) in the old one"
            )
        }
    }

    /// Answers that took these times: `(milliseconds, how many)`.
    private func latencies(_ times: [(Int64, Int)]) -> LatencyCounts {
        let bounds: [Int64] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]
        return LatencyCounts(
            bounds.map { bound in
                .init(below: .milliseconds(bound), count: times.reduce(0) { $0 + ($1.0 < bound ? $1.1 : 0) })
            }, total: times.reduce(0) { $0 + $1.1 })
    }

    static let slow: [(new: [(Int64, Int)], old: [(Int64, Int)], isWorse: Bool)] = [
        // The old p99 lies below 5 ms, so that 55 ms and more are too slow: answers above the bound of 100 ms.
        ([(300, 6)], [(3, 100)], true),
        ([(300, 4)], [(3, 100)], false),
        // Half of them are slow.
        ([(3, 10), (300, 10)], [(3, 100)], true),
        // 60 ms may be below the bound that decides.
        ([(60, 100)], [(3, 100)], false),
        // One in a hundred is what a p99 allows.
        ([(3, 991), (300, 9)], [(3, 1000)], false),
        ([(3, 970), (300, 30)], [(3, 1000)], true),
        // The old one is as slow, or nothing is known of it.
        ([(300, 50)], [(300, 50)], false),
        ([(300, 50)], [], false),
        // Twice as slow: 400 ms against 200 ms.
        ([(400, 100)], [(200, 100)], false),
        // Beyond all bounds there is nothing to tell apart.
        ([(60_000, 100)], [(9000, 100)], false),
    ]

    @Test(arguments: slow.indices) func slownessCountsByTheP99(_ index: Int) {
        let row = Self.slow[index]
        func traffic(_ times: [(Int64, Int)]) -> Traffic {
            Traffic(requests: times.reduce(0) { $0 + $1.1 }, latencies: latencies(times))
        }
        let reason = TrafficVerdict.objection(to: traffic(row.new), comparedWith: traffic(row.old))
        #expect((reason != nil) == row.isWorse, "\(row)")
    }

    @Test func theReasonNamesBothTimes() {
        let new = Traffic(requests: 20, latencies: latencies([(300, 20)]))
        let old = Traffic(requests: 100, latencies: latencies([(3, 100)]))
        #expect(
            TrafficVerdict.objection(to: new, comparedWith: old)
                == "p99 is 498 ms in the new version (of 20 requests), 5.0 ms in the old one (of 100)")
    }

    /// By hand: 100 answers evenly below 10 ms and above 5 ms: the 50th lies at 7.5 ms.
    @Test func quantilesAreInterpolated() {
        let counts = latencies([(7, 100)])
        #expect(counts.quantile(0.5) == .microseconds(7500))
        #expect(counts.quantile(1) == .milliseconds(10))
        #expect(latencies([(20_000, 3)]).quantile(0.5) == .milliseconds(10_000))
        #expect(LatencyCounts().quantile(0.5) == nil)
    }

    /// What comes of a trial of 2 to 10 seconds.
    static let trials: [(new: Traffic?, old: Traffic?, after: Int64, verdict: Trial.Verdict)] = [
        (nil, nil, 1, .undecided),
        (nil, nil, 2, .fine(compared: false)),
        // Enough came, and their reports.
        (Traffic(requests: 20, covers: .seconds(2)), Traffic(requests: 20, covers: .seconds(2)), 2, .fine(compared: true)),
        // The reports of the last moments are not here yet.
        (Traffic(requests: 20, covers: .seconds(1)), Traffic(requests: 20, covers: .seconds(2)), 2, .undecided),
        (Traffic(requests: 19, covers: .seconds(9)), Traffic(requests: 20, covers: .seconds(9)), 9, .undecided),
        (Traffic(requests: 19, covers: .seconds(9)), Traffic(requests: 20, covers: .seconds(9)), 10, .fine(compared: false)),
        // Nobody calls.
        (Traffic(covers: .seconds(2)), Traffic(covers: .seconds(2)), 2, .fine(compared: false)),
        (Traffic(covers: .seconds(2)), Traffic(requests: 1, covers: .seconds(2)), 2, .undecided),
        // Of the old one it is not known yet.
        (Traffic(covers: .seconds(2)), Traffic(covers: .seconds(1)), 2, .undecided),
        // It is slow, or hung, and has told nothing.
        (Traffic(), Traffic(covers: .seconds(2)), 3, .undecided),
        (Traffic(), Traffic(covers: .seconds(2)), 10, .fine(compared: false)),
        // Bad is bad at once.
        (
            Traffic(requests: 10, failures: 10, covers: .seconds(1)), Traffic(requests: 20, covers: .seconds(1)), 1,
            .worse(reason: "10 of 10 requests failed in the new version, 0 of 20 in the old one")
        ),
    ]

    @Test(arguments: trials.indices) func aTrialEndsWhenItIsKnown(_ index: Int) {
        let row = Self.trials[index]
        let trial = Trial(least: .seconds(2), longest: .seconds(10))
        #expect(trial.verdict(on: row.new, comparedWith: row.old, after: .seconds(row.after)) == row.verdict, "\(row)")
    }
}
