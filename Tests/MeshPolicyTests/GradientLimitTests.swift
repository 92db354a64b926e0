import MeshModel
import MeshPolicy
import Testing

@Suite("Gradient2")
struct GradientLimitTests {
    private func settled(_ windows: Int, mean: Double = 10, peak: Int = 1000) -> GradientLimit {
        var limit = GradientLimit(now: .zero)
        for _ in 0..<windows { limit.windowEnded(mean: mean, peak: peak) }
        return limit
    }

    /// From 20: 0.8 * 20 + 0.2 * (20 + 4) = 20.8, and 0.8 more each window.
    @Test("grows by a fifth of the queue while requests take what they always took")
    func grows() {
        #expect(abs(settled(1).limit - 20.8) < 1e-9)
        #expect(abs(settled(10).limit - 28) < 1e-9)
        #expect(settled(10_000).limit == GradientLimit.most)
    }

    /// Ten windows of 10 make the average 10 and the limit 28. By hand for the eleventh: long = 10 + (s - 10) * 2 / 601.
    @Test(
        "follows the published formula",
        arguments: [
            // Up to one and a half times as long is tolerated: g = 1.
            (short: 14.0, limit: 28.8),
            // long = 10 + 10 * 2/601 = 10.03328; g = 1.5 * 10.03328 / 20 = 0.752496; 0.8 * 28 + 0.2 * (0.752496 * 28 + 4).
            (20.0, 0.8 * 28 + 0.2 * (0.752_495_84 * 28 + 4)),
            // g = 1.5 * 10.29950 / 100 = 0.154 is not below a half: 22.4 + 0.2 * (14 + 4) = 26.
            (100.0, 26.0),
            (5.0, 28.8),
        ])
    func formula(row: (short: Double, limit: Double)) {
        var limit = settled(10)
        limit.windowEnded(mean: row.short, peak: 28)
        #expect(abs(limit.limit - row.limit) < 1e-6)
    }

    @Test("does not move while less than half of it is used, and never falls below its least")
    func idle() {
        var limit = settled(10)
        limit.windowEnded(mean: 1000, peak: 13)
        limit.windowEnded(mean: 10, peak: 13)
        #expect(abs(limit.limit - 28) < 1e-9)
        for _ in 0..<100 { limit.windowEnded(mean: 10_000, peak: 1000) }
        #expect(limit.limit == GradientLimit.least)
    }

    @Test("believes a recovery: a long average of more than twice the short one comes down by a twentieth a window")
    func recovers() {
        var limit = settled(10, mean: 100)
        var steps = 0
        while limit.limit < 40, steps < 1000 {
            limit.windowEnded(mean: 10, peak: 1000)
            steps += 1
        }
        #expect(steps < 20)
    }

    @Test("a window has a tenth of a second and ten requests")
    func windows() {
        var limit = GradientLimit(now: .zero)
        for step in 1...9 { limit.served(in: .milliseconds(5), inFlight: 20, now: .zero + .milliseconds(Int64(step) * 100)) }
        #expect(limit.limit == GradientLimit.initial)
        limit.served(in: .milliseconds(5), inFlight: 20, now: .zero + .milliseconds(1000))
        #expect(abs(limit.limit - 20.8) < 1e-9)
        for _ in 0..<50 { limit.served(in: .milliseconds(5), inFlight: 20, now: .zero + .milliseconds(1050)) }
        #expect(abs(limit.limit - 20.8) < 1e-9)
    }
}
