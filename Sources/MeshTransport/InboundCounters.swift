internal import MeshModel
internal import Synchronization

/// What one event loop answered, since the process began; health checks not counted. Written by its loop, read by anybody.
final class InboundCounters: Sendable {
    private let requests = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)
    private let abandoned = Atomic<UInt64>(0)
    private let buckets = InlineArray<14, Atomic<UInt64>> { _ in Atomic(0) }

    /// - Parameter status: of the answer; nil for one that was broken off.
    func answered(_ status: Int?, took span: Timespan) {
        requests.wrappingAdd(1, ordering: .relaxed)
        guard let status, status < 500 else {
            failures.wrappingAdd(1, ordering: .relaxed)
            return
        }
        var bucket = 0
        while bucket < InboundTraffic.bounds.count, span.milliseconds >= InboundTraffic.bounds[bucket] { bucket += 1 }
        buckets[bucket].wrappingAdd(1, ordering: .relaxed)
    }

    /// The caller went before the answer began.
    func callerLeft() { abandoned.wrappingAdd(1, ordering: .relaxed) }

    func add(to traffic: inout InboundTraffic) {
        traffic.abandoned += abandoned.load(ordering: .relaxed)
        traffic.requests += requests.load(ordering: .relaxed)
        traffic.failures += failures.load(ordering: .relaxed)
        var seen: UInt64 = 0
        for index in InboundTraffic.bounds.indices {
            seen += buckets[index].load(ordering: .relaxed)
            traffic.within[index] += seen
        }
    }
}

/// What a process was asked, and how it answered, since it began.
package struct InboundTraffic: Hashable, Sendable {
    /// Upper bounds of latencies, in milliseconds.
    package static let bounds: [Int64] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

    /// That were answered, or broken off by this process.
    package var requests: UInt64 = 0
    /// Answers of 500 and more, and those that were broken off.
    package var failures: UInt64 = 0
    /// Requests whose callers went before they were answered: mostly since it took too long.
    package var abandoned: UInt64 = 0
    /// Requests that were turned away, since this process had too many.
    package var shed: UInt64 = 0
    /// How many it may work on at once now; nil for any number.
    package var limit: Double?
    /// Answers below 500 that took less than each bound.
    package var within = [UInt64](repeating: 0, count: bounds.count)

    /// By the names that the control protocol has for them.
    package var counters: [String: UInt64] {
        var counters = [
            "inbound.requests": requests, "inbound.failures": failures, "inbound.abandoned": abandoned, "inbound.shed": shed,
        ]
        if let limit { counters["inbound.limit"] = UInt64(limit) }
        for (bound, count) in zip(Self.bounds, within) { counters["inbound.latency.le.\(bound)"] = count }
        return counters
    }

    package init() {}

    /// What came since it was `earlier`; all of it where a total went back, as it does when a process begins anew.
    package func since(_ earlier: InboundTraffic) -> InboundTraffic {
        guard requests >= earlier.requests, failures >= earlier.failures, abandoned >= earlier.abandoned,
            zip(within, earlier.within).allSatisfy({ $0 >= $1 })
        else { return self }
        var difference = self
        difference.requests -= earlier.requests
        difference.failures -= earlier.failures
        difference.abandoned -= earlier.abandoned
        for (index, count) in earlier.within.enumerated() { difference.within[index] -= count }
        return difference
    }

    /// What `counters` tells, read back; nil where an instance counts no requests.
    package init?(counters: [String: UInt64]) {
        guard let requests = counters["inbound.requests"] else { return nil }
        self.requests = requests
        failures = counters["inbound.failures"] ?? 0
        abandoned = counters["inbound.abandoned"] ?? 0
        shed = counters["inbound.shed"] ?? 0
        limit = counters["inbound.limit"].map(Double.init)
        within = Self.bounds.map { counters["inbound.latency.le.\($0)"] ?? 0 }
    }
}
