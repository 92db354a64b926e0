package import MeshModel

/// When an endpoint that does worse than the others is left alone for a while.
package struct EjectionPolicy: Hashable, Sendable, Codable {
    /// Standard deviations below the mean success rate.
    package var sigma: Double
    /// How many of the endpoints may be out at once, open breakers included.
    package var most: Double
    /// Rates are compared once in this time.
    package var interval: Timespan
    /// An endpoint with fewer calls in it is not judged, and does not count.
    package var minCalls: Int
    /// With fewer endpoints that can be judged, nobody is.
    package var minEndpoints: Int
    /// The first time; times n at the n-th, up to `longest`.
    package var baseTime: Timespan
    package var longest: Timespan

    package init(
        sigma: Double = 1.9, most: Double = 0.5, interval: Timespan = .seconds(10), minCalls: Int = 100, minEndpoints: Int = 5,
        baseTime: Timespan = .seconds(30), longest: Timespan = .seconds(300)
    ) {
        self.sigma = sigma
        self.most = most
        self.interval = interval
        self.minCalls = minCalls
        self.minEndpoints = minEndpoints
        self.baseTime = baseTime
        self.longest = longest
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let standard = EjectionPolicy()
        sigma = try values.decode(.sigma, default: standard.sigma)
        most = try values.decode(.most, default: standard.most)
        interval = try values.decode(.interval, default: standard.interval)
        minCalls = try values.decode(.minCalls, default: standard.minCalls)
        minEndpoints = try values.decode(.minEndpoints, default: standard.minEndpoints)
        baseTime = try values.decode(.baseTime, default: standard.baseTime)
        longest = try values.decode(.longest, default: standard.longest)
    }
}
