package import MeshModel

/// When a second attempt is sent beside a first one that has not been answered, to another endpoint.
///
/// Source: Dean and Barroso, "The Tail at Scale" (CACM 2013), hedged requests; gRFC A6.
package struct HedgePolicy: Hashable, Sendable, Codable {
    package enum Delay: Hashable, Sendable, Codable {
        case fixed(Timespan)
        /// Of what the edge's answers take.
        case quantile(Double)
    }

    package var after: Delay
    /// Hedges per call in the long run: what more load there may be.
    package var most: Double

    package init(after: Delay = .quantile(0.95), most: Double = 0.05) {
        self.after = after
        self.most = most
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let standard = HedgePolicy()
        after = try values.decode(.after, default: standard.after)
        most = try values.decode(.most, default: standard.most)
    }

    /// How long the first attempt may take; nil while so few answers are known that none of them need lie above the quantile.
    package func delay(_ latencies: inout LatencyDistribution) -> Timespan? {
        switch after {
        case .fixed(let span): return span
        case .quantile(let share):
            guard Double(latencies.count) * (1 - share) >= 1 else { return nil }
            return latencies.followedQuantile(share)
        }
    }
}
