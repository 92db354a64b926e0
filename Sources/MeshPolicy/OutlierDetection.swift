package import MeshModel

/// Which endpoints do so much worse than the others that calls are better off without them.
///
/// A breaker judges an endpoint by itself; this compares them, so that it finds the one of ten that fails every fifth call.
/// Source: Envoy, "Outlier detection", success rate; its defaults, and its standard deviation, which is that of all endpoints and
/// not of a sample.
package enum OutlierDetection {
    /// Below this share of endpoints in use, ejections do more harm than good: calls go to all (Envoy's panic threshold).
    package static let panicBelow = 0.5

    /// What an endpoint answered since rates were compared last.
    package struct Counts: Hashable, Sendable, BitwiseCopyable {
        package var calls: UInt32 = 0
        package var failures: UInt32 = 0
        package init() {}

        package var successRate: Double { calls == 0 ? 1 : Double(calls - failures) / Double(calls) }
    }

    /// `mean - sigma * stdev` of the success rates; nil where too few can be judged.
    package static func threshold(of rates: [Double], policy: EjectionPolicy) -> Double? {
        guard rates.count >= policy.minEndpoints, !rates.isEmpty else { return nil }
        let mean = rates.reduce(0, +) / Double(rates.count)
        let variance = rates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rates.count)
        return mean - policy.sigma * variance.squareRoot()
    }

    /// `min(N - 1, max(1, floor(N * most)))`.
    package static func mostOut(of endpoints: Int, policy: EjectionPolicy) -> Int {
        // A share such as 0.29 of 100 is meant as 29.
        max(0, min(endpoints - 1, max(1, Int(Double(endpoints) * policy.most + 1e-9))))
    }

    package static func isPanic(left: Int, of endpoints: Int) -> Bool { Double(left) < panicBelow * Double(endpoints) }

    /// - Parameter number: how often it was ejected, this time included, without having been well for as many intervals.
    package static func time(ofEjection number: Int, policy: EjectionPolicy) -> Timespan {
        .seconds(min(policy.baseTime.seconds * Double(number), policy.longest.seconds))
    }
}
