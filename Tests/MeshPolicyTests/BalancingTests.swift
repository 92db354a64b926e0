import MeshModel
import Testing

@testable import MeshPolicy

@Suite("A peak-sensitive mean")
struct PeakEWMATests {
    @Test(
        "decays as e^-x",
        arguments: [
            (0.0, 1.0), (0.001, 0.999_000_5), (0.5, 0.606_530_660), (1, 0.367_879_441), (2.302_585_093, 0.1), (10, 4.539_993e-5),
            (50, 1.928_75e-22),
        ])
    func exponential(row: (x: Double, value: Double)) {
        #expect(abs(exponentialDecay(row.x) / row.value - 1) < 1e-6)
    }

    @Test("of a large argument is nothing, and of a negative one whole")
    func ends() {
        #expect(exponentialDecay(1e9) == 0 && exponentialDecay(-1) == 1 && exponentialDecay(699.9) >= 0)
    }

    /// By hand: w = e^(-dt/10 s).
    @Test("leaps to a peak and comes down with a decay of ten seconds")
    func peak() {
        var mean = PeakEWMA(now: .zero)
        #expect(!mean.isKnown && mean.current(now: .zero) == 0)
        mean.latencyObserved(.milliseconds(10), now: .zero)
        #expect(mean.current(now: .zero) == 10e6)
        mean.latencyObserved(.milliseconds(100), now: .zero + .seconds(1))
        #expect(mean.current(now: .zero + .seconds(1)) == 100e6, "at once, without a mean")
        // 100 ms * e^-1 + 10 ms * (1 - e^-1) = 43.109 ms
        mean.latencyObserved(.milliseconds(10), now: .zero + .seconds(11))
        #expect(abs(mean.current(now: .zero + .seconds(11)) - 43.109_150e6) < 10)
        // Unheard of for ten seconds more: 43.109 ms * e^-1
        #expect(abs(mean.current(now: .zero + .seconds(21)) - 15.858_970e6) < 10)
    }

    @Test("costs the estimate times the calls under way, this one included")
    func cost() {
        var mean = PeakEWMA(now: .zero)
        #expect(mean.cost(inFlight: 0, now: .zero) == 0, "an unknown endpoint is tried")
        #expect(mean.cost(inFlight: 1, now: .zero) == 1e18, "and then waited for")
        mean.latencyObserved(.milliseconds(10), now: .zero)
        #expect(mean.cost(inFlight: 0, now: .zero) == 10e6)
        #expect(mean.cost(inFlight: 4, now: .zero) == 50e6)
    }

    @Test(
        "a failure counts as twice what an answer takes, or as what it took itself",
        arguments: [
            // known estimate ms (0: none), failed after ms, typical ms, estimate after ms
            (0, 1, 0, 1.0), (0, 1, 20, 40), (10, 1, 5, 20), (10, 1, 30, 60), (10, 500, 5, 500), (9000, 1, 5, 10_000),
        ])
    func penalty(row: (known: Int64, after: Int64, typical: Int64, estimate: Double)) {
        var mean = PeakEWMA(now: .zero)
        if row.known > 0 { mean.latencyObserved(.milliseconds(row.known), now: .zero) }
        mean.failureObserved(after: .milliseconds(row.after), typical: .milliseconds(row.typical), now: .zero)
        #expect(mean.current(now: .zero) == row.estimate * 1e6)
    }

    @Test("failures in a row add up, however fast they are")
    func rows() {
        var mean = PeakEWMA(now: .zero)
        for _ in 0..<6 { mean.failureObserved(after: .microseconds(100), typical: .milliseconds(5), now: .zero) }
        #expect(mean.current(now: .zero) == 320e6)
    }
}

@Suite("A choice")
struct ChoiceTests {
    @Test("of two draws each pair alike, and never one twice", arguments: [2, 3, 10])
    func pairs(count: Int) {
        var random = RandomSource(seed: 3)
        var seen = [Int](repeating: 0, count: count * count)
        let draws = 20_000
        for _ in 0..<draws {
            let (first, second) = PowerOfTwoChoices.draw(of: count, random: &random)
            #expect(first != second && (0..<count).contains(first) && (0..<count).contains(second))
            seen[first * count + second] += 1
        }
        let expected = Double(draws) / Double(count * (count - 1))
        for first in 0..<count {
            for second in 0..<count where first != second {
                // Five standard deviations of a binomial count.
                #expect(abs(Double(seen[first * count + second]) - expected) < 5 * expected.squareRoot() + 5)
            }
        }
    }

    @Test(
        "by weight falls to the usable ones, to weight 0 last, and to none where none is",
        arguments: [
            ([90.0, 10], [true, true], [0.9, 0.1]), ([90, 10], [false, true], [0, 1]),
            ([1, 1, 2], [true, true, true], [0.25, 0.25, 0.5]),
            ([1, 0], [true, true], [1, 0]), ([1, 0], [false, true], [0, 1]), ([0, 0], [true, false], [1, 0]), ([1], [false], [0]),
        ])
    func weights(row: (weights: [Double], usable: [Bool], shares: [Double])) {
        var random = RandomSource(seed: 5)
        var counts = [Int](repeating: 0, count: row.weights.count)
        for _ in 0..<10_000 {
            let drawn = WeightedChoice.draw(of: row.weights.count, random: &random) {
                row.weights[$0]
            } isUsable: {
                row.usable[$0]
            }
            if let drawn { counts[drawn] += 1 }
        }
        for (count, share) in zip(counts, row.shares) { #expect(abs(Double(count) / 10_000 - share) < 0.02) }
    }

    @Test(
        "in slow start stands by the time passed, and by a tenth at least",
        arguments: [(0.0, 0.1), (0.5, 0.1), (1, 0.1), (2.5, 0.25), (5, 0.5), (9.9, 0.99), (10, 1), (100, 1)])
    func slowStart(row: (seconds: Double, share: Double)) {
        let ramp = SlowStart(from: .zero, length: .seconds(10))
        let now = Instant.zero + .seconds(row.seconds)
        #expect(abs(ramp.share(now: now) - row.share) < 1e-9)
        var random = RandomSource(seed: 9)
        var stood = 0
        for _ in 0..<10_000 where ramp.admits(now: now, random: &random) { stood += 1 }
        #expect(abs(Double(stood) / 10_000 - row.share) < 0.02)
        #expect(SlowStart.settled.share(now: now) == 1)
    }
}

@Suite("A backoff")
struct BackoffTests {
    /// min(cap, base * 2^(n-1)) for base 25 ms and cap 250 ms.
    @Test("doubles up to its cap", arguments: [(1, 25.0), (2, 50), (3, 100), (4, 200), (5, 250), (6, 250), (60, 250)])
    func longest(row: (number: Int, milliseconds: Double)) {
        #expect(Backoff.longest(beforeRetry: row.number, policy: BackoffPolicy()).seconds == row.milliseconds / 1000)
    }

    @Test("is drawn evenly from nothing to its longest")
    func fullJitter() {
        var random = RandomSource(seed: 11)
        let spans = (0..<4000).map { _ in Backoff.span(beforeRetry: 3, policy: BackoffPolicy(), random: &random).seconds }
        #expect(spans.min()! < 0.001 && spans.max()! > 0.099 && spans.max()! <= 0.1)
        #expect(abs(spans.reduce(0, +) / 4000 - 0.05) < 0.002)
    }
}

@Suite("A latency distribution")
struct LatencyDistributionTests {
    @Test("bounds every latency by its bucket, at most a quarter above")
    func buckets() {
        var random = RandomSource(seed: 13)
        for _ in 0..<10_000 {
            let latency = Timespan(nanoseconds: 1024 + Int64(random.next() >> UInt64(26 + random.next(below: 25))))
            let bound = LatencyDistribution.upperBound(LatencyDistribution.bucket(latency))
            #expect(bound > latency && Double(bound.nanoseconds) <= 1.25 * Double(latency.nanoseconds) + 1)
        }
    }

    @Test("answers quantiles, and forgets in time")
    func quantiles() {
        var latencies = LatencyDistribution()
        #expect(latencies.median == nil)
        for millisecond in 1...100 { latencies.record(.milliseconds(Int64(millisecond))) }
        #expect((0.050...0.0625).contains(latencies.median!.seconds))
        #expect((0.099...0.125).contains(latencies.quantile(0.99)!.seconds))
        for _ in 0..<10_000 { latencies.record(.milliseconds(1)) }
        #expect(latencies.median! < .milliseconds(2))
    }

    @Test("follows a quantile to where it would be found from the start")
    func followed() {
        for seed in 0..<20 as Range<UInt64> {
            var random = RandomSource(seed: seed)
            var latencies = LatencyDistribution()
            var counts = [Int](repeating: 0, count: 128)
            for round in 0..<5_000 {
                // Now fast, now slow, so that the quantile wanders, and beyond the count at which all is halved.
                let scale = 1 + Int64(round / 700 % 3) * 40
                let latency = Timespan.microseconds(scale * Int64(1 + random.next(below: 1_000)))
                latencies.record(latency)
                counts[LatencyDistribution.bucket(latency)] += 1
                if counts.reduce(0, +) > 1024 { counts = counts.map { $0 / 2 } }
                let share = [0.5, 0.95, 0.99][random.next(below: 8) == 0 ? random.next(below: 3) : 1]
                let rank = Int((Double(counts.reduce(0, +)) * share).rounded(.up))
                var seen = 0
                let bucket = counts.firstIndex { count in
                    seen += count
                    return seen >= rank
                }
                #expect(latencies.followedQuantile(share) == LatencyDistribution.upperBound(bucket!))
            }
        }
    }
}
