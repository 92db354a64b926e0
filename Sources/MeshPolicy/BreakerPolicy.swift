package import MeshModel

/// When a circuit breaker opens, and for how long.
package struct BreakerPolicy: Hashable, Sendable, Codable {
    /// Share of failures in the window at which it opens, once `minCalls` are in it.
    package var errorRate: Double
    /// Failures in a row at which it opens, while another endpoint is usable.
    package var consecutive: Int
    package var minCalls: Int
    package var window: Timespan
    /// The first time; it doubles with every time that follows, up to `maxOpen`.
    package var openFor: Timespan
    package var maxOpen: Timespan
    package var slow: SlowCalls?

    /// Opens also when this share of the calls in the window took longer than `over`.
    package struct SlowCalls: Hashable, Sendable, Codable {
        package var over: Timespan
        package var share: Double
        package init(over: Timespan, share: Double) {
            self.over = over
            self.share = share
        }
    }

    package init(
        errorRate: Double = 0.5, consecutive: Int = 5, minCalls: Int = 20, window: Timespan = .seconds(10), openFor: Timespan = .seconds(5),
        maxOpen: Timespan = .seconds(60), slow: SlowCalls? = nil
    ) {
        self.errorRate = errorRate
        self.consecutive = consecutive
        self.minCalls = minCalls
        self.window = window
        self.openFor = openFor
        self.maxOpen = maxOpen
        self.slow = slow
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let standard = BreakerPolicy()
        errorRate = try values.decode(.errorRate, default: standard.errorRate)
        consecutive = try values.decode(.consecutive, default: standard.consecutive)
        minCalls = try values.decode(.minCalls, default: standard.minCalls)
        window = try values.decode(.window, default: standard.window)
        openFor = try values.decode(.openFor, default: standard.openFor)
        maxOpen = try values.decode(.maxOpen, default: standard.maxOpen)
        slow = try values.decodeIfPresent(SlowCalls.self, forKey: .slow)
    }
}
