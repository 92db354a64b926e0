package import MeshModel

/// What replicas answered in some time.
package struct Traffic: Hashable, Sendable {
    /// Answered, broken off, or given up by their callers.
    package var requests: Int
    /// Answers from 500 on, those that broke off, and those that their callers did not wait for.
    package var failures: Int
    package var latencies: LatencyCounts
    /// How much of the time since the rollout put old and new side by side is known.
    package var covers: Timespan

    package init(requests: Int = 0, failures: Int = 0, latencies: LatencyCounts = LatencyCounts(), covers: Timespan = .zero) {
        self.requests = requests
        self.failures = failures
        self.latencies = latencies
        self.covers = covers
    }

    /// Of several replicas together; covered is what all of them cover. Nil where none tells anything.
    static func together(_ all: [Traffic]) -> Traffic? {
        guard var sum = all.first else { return nil }
        for traffic in all.dropFirst() {
            sum.requests += traffic.requests
            sum.failures += traffic.failures
            sum.latencies.add(traffic.latencies)
            sum.covers = min(sum.covers, traffic.covers)
        }
        return sum
    }
}

/// Answers below 500 by how long they took, as instances count them.
package struct LatencyCounts: Hashable, Sendable {
    package struct Bucket: Hashable, Sendable {
        /// Answers that took less than this are counted.
        package var bound: Timespan
        package var count: Int

        package init(below bound: Timespan, count: Int) {
            self.bound = bound
            self.count = count
        }
    }

    /// By ascending bounds; each counts what those before it count, too.
    package private(set) var buckets: [Bucket]
    /// With those above the last bound.
    package private(set) var total: Int

    package init(_ buckets: [Bucket] = [], total: Int = 0) {
        self.buckets = buckets
        self.total = total
    }

    /// Counts of other bounds, as an older instance may have, are left out.
    mutating func add(_ other: LatencyCounts) {
        if buckets.isEmpty { buckets = other.buckets.map { Bucket(below: $0.bound, count: 0) } }
        guard buckets.map(\.bound) == other.buckets.map(\.bound) else { return }
        for index in buckets.indices { buckets[index].count += other.buckets[index].count }
        total += other.total
    }

    /// Interpolated within its bucket, as Prometheus' `histogram_quantile` does; the last bound for what lies above it. Nil where
    /// nothing was counted.
    package func quantile(_ share: Double) -> Timespan? {
        guard total > 0, let last = buckets.last else { return nil }
        let rank = share * Double(total)
        var below = (bound: Timespan.zero, count: 0)
        for bucket in buckets {
            if Double(bucket.count) >= rank, bucket.count > below.count {
                let part = (rank - Double(below.count)) / Double(bucket.count - below.count)
                return below.bound + (bucket.bound - below.bound) * max(0, part)
            }
            below = (bucket.bound, bucket.count)
        }
        return last.bound
    }

    /// The first bound that is no less than `time`, and how many answers took at least so long; nil above the last bound.
    func slower(than time: Timespan) -> (bound: Timespan, count: Int)? {
        buckets.first { $0.bound >= time }.map { ($0.bound, total - $0.count) }
    }
}
