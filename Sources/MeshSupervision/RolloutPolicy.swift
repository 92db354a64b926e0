package import MeshModel

/// How the replicas of a service are replaced: `deploy` in mesh.yaml.
package struct RolloutPolicy: Hashable, Sendable, Codable {
    package enum Strategy: Hashable, Sendable, Codable {
        /// A few at a time, within `maxSurge` and `maxUnavailable`.
        case rolling
        /// All old ones end before the first new one starts; requests wait meanwhile.
        case recreate
        /// All new ones start beside the old ones and get no calls until all are healthy; then they get all, and the old ones stand by
        /// until the new ones have shown that they do no worse than those did before.
        case blueGreen
        /// New ones get these shares of the calls, one after the other, each for `pause`; then it goes on as rolling does.
        case canary(steps: [Double], pause: Timespan)
    }

    /// A number of replicas, or a share of the wanted ones.
    package enum Bound: Hashable, Sendable, Codable {
        case count(Int)
        case share(Double)
    }

    package var strategy: Strategy
    /// How many more than wanted may run; a share is rounded up.
    package var maxSurge: Bound
    /// How many fewer than wanted may be healthy; a share is rounded down.
    package var maxUnavailable: Bound
    /// How many ready ones are enough where nothing old is left to replace; a share is rounded up. Nil: all.
    package var minAvailable: Bound?
    /// For so long a new replica must have been ready before it counts.
    package var minHealthyTime: Timespan
    /// For so long an old replica may finish what it has begun.
    package var drain: Timespan

    package init(
        strategy: Strategy = .rolling, maxSurge: Bound = .count(1), maxUnavailable: Bound = .count(0), minAvailable: Bound? = nil,
        minHealthyTime: Timespan = .seconds(1), drain: Timespan = .seconds(15)
    ) {
        self.strategy = strategy
        self.maxSurge = maxSurge
        self.maxUnavailable = maxUnavailable
        self.minAvailable = minAvailable
        self.minHealthyTime = minHealthyTime
        self.drain = drain
    }

    /// The bounds for so many wanted replicas. Not both are 0, since then nothing could ever be replaced (as in Kubernetes).
    func bounds(for wanted: Int) -> (surge: Int, unavailable: Int) {
        let surge = maxSurge.resolved(for: wanted, .up)
        let unavailable = min(wanted, maxUnavailable.resolved(for: wanted, .down))
        return surge == 0 && unavailable == 0 ? (1, 0) : (surge, unavailable)
    }

    /// How many of so many wanted replicas must be ready for the service to be: one at least, and no more than there are.
    package func enough(of wanted: Int) -> Int {
        min(wanted, max(1, minAvailable?.resolved(for: wanted, .up) ?? wanted))
    }
}

extension RolloutPolicy.Bound {
    fileprivate func resolved(for wanted: Int, _ rounding: FloatingPointRoundingRule) -> Int {
        switch self {
        case .count(let count): max(0, count)
        case .share(let share): Int((max(0, share) * Double(wanted)).rounded(rounding))
        }
    }
}
