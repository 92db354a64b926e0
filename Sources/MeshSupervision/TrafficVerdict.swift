package import MeshModel

/// What one replica answered.
package struct Traffic: Hashable, Sendable {
    package var requests: Int
    /// Answers from 500 on, and those that broke off.
    package var failures: Int
    /// Nil where too few requests came to say.
    package var p99: Timespan?

    package init(requests: Int, failures: Int, p99: Timespan? = nil) {
        self.requests = requests
        self.failures = failures
        self.p99 = p99
    }
}

/// Says whether new replicas do worse than old ones under the same callers.
package enum TrafficVerdict {
    /// Fewer requests than this, on either side, say nothing.
    static let leastRequests = 20
    /// How many standard errors the share of failures must be above the old one's; one in a thousand is so by chance.
    static let significance = 3.0
    /// Worse by less is nobody's reason to go back.
    static let leastDifference = 0.02
    static let slowerBy = 3.0
    static let slowerByAtLeast = Timespan.milliseconds(50)

    /// Why the current ones are worse, in one line; nil if they are not, or if that can't be told.
    ///
    /// Failures by the z-test for two proportions (pooled); times by the worst p99 of each side.
    static func objection(to current: [Rollout.Replica], comparedWith old: [Rollout.Replica]) -> String? {
        let (new, before) = (total(current), total(old))
        guard new.requests >= leastRequests, before.requests >= leastRequests else { return nil }
        let (newShare, oldShare) = (share(new), share(before))
        if newShare - oldShare >= leastDifference {
            let pooled = Double(new.failures + before.failures) / Double(new.requests + before.requests)
            let error = (pooled * (1 - pooled) * (1 / Double(new.requests) + 1 / Double(before.requests))).squareRoot()
            if error == 0 || (newShare - oldShare) / error >= significance {
                return
                    "\(new.failures) of \(new.requests) requests failed in the new version, \(before.failures) of \(before.requests) in the old one"
            }
        }
        if let newP99 = new.p99, let oldP99 = before.p99, newP99 - oldP99 >= slowerByAtLeast, newP99.seconds >= oldP99.seconds * slowerBy {
            return "p99 is \(newP99.milliseconds) ms in the new version, \(oldP99.milliseconds) ms in the old one"
        }
        return nil
    }

    private static func total(_ replicas: [Rollout.Replica]) -> Traffic {
        replicas.compactMap(\.traffic).reduce(into: Traffic(requests: 0, failures: 0)) { sum, traffic in
            sum.requests += traffic.requests
            sum.failures += traffic.failures
            if let p99 = traffic.p99 { sum.p99 = max(sum.p99 ?? .zero, p99) }
        }
    }

    private static func share(_ traffic: Traffic) -> Double { Double(traffic.failures) / Double(traffic.requests) }
}
