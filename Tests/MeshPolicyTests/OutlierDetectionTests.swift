import MeshModel
import MeshPolicy
import Testing

@Suite("Outlier detection")
struct OutlierDetectionTests {
    /// By hand: mean, then the square root of the mean square distance from it, then `mean - sigma * that`.
    @Test(
        "the threshold is the mean less sigma standard deviations of all endpoints",
        arguments: [
            // mean 0.9, squares 4 * 0.01 + 0.16, variance 0.04, sigma 0.2.
            (rates: [1, 1, 1, 1, 0.5], sigma: 1.9, threshold: 0.9 - 1.9 * 0.2),
            // mean 0.95, squares 9 * 0.0025 + 0.2025 = 0.225, variance 0.0225, sigma 0.15.
            ([1, 1, 1, 1, 1, 1, 1, 1, 1, 0.5], 1.9, 0.95 - 0.285),
            ([0.5, 0.5, 0.5, 0.5, 0.5], 1.9, 0.5),
            // mean 0.5, variance 0.125, sigma 0.35355.
            ([0, 0.25, 0.5, 0.75, 1], 1, 0.5 - 0.353_553_390_593),
        ] as [(rates: [Double], sigma: Double, threshold: Double)])
    func threshold(row: (rates: [Double], sigma: Double, threshold: Double)) throws {
        let threshold = try #require(OutlierDetection.threshold(of: row.rates, policy: EjectionPolicy(sigma: row.sigma)))
        #expect(abs(threshold - row.threshold) < 1e-9)
    }

    @Test("nobody is judged among fewer than five")
    func fewest() {
        #expect(OutlierDetection.threshold(of: [1, 1, 1, 0], policy: EjectionPolicy()) == nil)
        #expect(OutlierDetection.threshold(of: [], policy: EjectionPolicy(minEndpoints: 0)) == nil)
    }

    @Test(
        "at most min(N - 1, max(1, floor(N * share))) are out",
        arguments: [
            (1, 0.5, 0), (2, 0.5, 1), (3, 0.5, 1), (5, 0.5, 2), (10, 0.5, 5), (10, 0.05, 1), (3, 1, 2), (100, 0.29, 29), (0, 0.5, 0),
        ])
    func most(row: (endpoints: Int, share: Double, out: Int)) {
        #expect(OutlierDetection.mostOut(of: row.endpoints, policy: EjectionPolicy(most: row.share)) == row.out)
    }

    @Test("fewer than half left is panic", arguments: [(5, 10, false), (4, 10, true), (2, 5, true), (3, 5, false), (0, 1, true)])
    func panic(row: (left: Int, endpoints: Int, isPanic: Bool)) {
        #expect(OutlierDetection.isPanic(left: row.left, of: row.endpoints) == row.isPanic)
    }

    @Test("thirty seconds more each time, five minutes at most", arguments: [(1, 30), (2, 60), (10, 300), (11, 300)])
    func time(row: (number: Int, seconds: Int)) {
        #expect(OutlierDetection.time(ofEjection: row.number, policy: EjectionPolicy()) == .seconds(row.seconds))
    }
}
