package import MeshModel

/// What one process used lately: samples at even times, the oldest of which give way.
package struct UsageHistory: Hashable, Sendable {
    package static let every = Timespan.seconds(Int64(2))
    /// Five minutes.
    package static let kept = 150

    /// Of the process that was sampled last, oldest first.
    package private(set) var samples: [ProcessSample] = []

    package init() {}

    package mutating func add(_ sample: ProcessSample) {
        if samples.last?.processID != sample.processID { samples = [] }
        samples.append(sample)
        if samples.count > Self.kept { samples.removeFirst() }
    }

    package var last: ProcessSample? { samples.last }

    /// Between the last two samples, of one core; nil before there are two.
    package var cpuPercent: Double? {
        guard samples.count > 1 else { return nil }
        return samples[samples.count - 1].cpuPercent(since: samples[samples.count - 2])
    }

    /// The last so many of them, oldest first.
    package func cpuPercents(_ count: Int) -> [Double] {
        let recent = samples.suffix(count + 1)
        return zip(recent, recent.dropFirst()).map { $1.cpuPercent(since: $0) }
    }

    package func isDue(_ now: Instant) -> Bool { last.map { now - $0.taken >= Self.every } ?? true }
}
