import MeshModel
import MeshPolicy
import Testing

@Suite("Adaptive throttling")
struct AdaptiveThrottleTests {
    @Test(
        "rejects with max(0, (requests - 2 * accepts) / (requests + 1)), at most 0.8, from 5 a second on",
        arguments: [
            (requests: 49, accepts: 0, probability: 0.0), (50, 0, 0.8), (100, 100, 0), (100, 50, 0), (99, 30, 0.39), (99, 45, 0.09),
            (999, 100, 0.799), (10_000, 0, 0.8),
        ])
    func formula(row: (requests: Int, accepts: Int, probability: Double)) {
        #expect(abs(AdaptiveThrottle.probability(requests: row.requests, accepts: row.accepts) - row.probability) < 1e-9)
    }

    @Test("counts nothing while nothing is shed, and rejects what was shed lately, by its own criticality")
    func criticality() {
        var random = RandomSource(seed: 1)
        var throttle = AdaptiveThrottle(now: .zero)
        for _ in 0..<1000 { throttle.attemptAnswered(.standard, wasShed: false, now: .zero) }
        #expect(throttle.isIdle)
        for _ in 0..<200 {
            throttle.attemptAnswered(.sheddable, wasShed: true, now: .zero)
            throttle.attemptAnswered(.critical, wasShed: false, now: .zero)
        }
        #expect(throttle.probability(for: .sheddable) == 0.8 && throttle.probability(for: .critical) == 0)
        let wanted = (0..<100).count { _ in throttle.callWanted(.sheddable, now: .zero, random: &random) }
        #expect((5...40).contains(wanted) && throttle.rejected == 100 - wanted)
        let critical = (0..<100).count { _ in throttle.callWanted(.critical, now: .zero, random: &random) }
        #expect(critical == 100)
    }

    @Test("forgets after ten seconds without an answer that sheds")
    func forgets() {
        var random = RandomSource(seed: 1)
        var throttle = AdaptiveThrottle(now: .zero)
        for _ in 0..<200 { throttle.attemptAnswered(.standard, wasShed: true, now: .zero) }
        let wanted = (0..<100).count { _ in throttle.callWanted(.standard, now: .zero + .seconds(11), random: &random) }
        #expect(wanted == 100 && throttle.isIdle)
    }
}
