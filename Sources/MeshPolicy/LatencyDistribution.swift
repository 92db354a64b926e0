package import MeshModel

/// What the answers of one edge take, coarse and forgetful: enough to ask whether another try can be in time.
///
/// Four buckets an octave from a microsecond on, so that a quantile is at most a quarter too high. Beyond 1024 answers all counts
/// are halved: the last few thousand rule.
package struct LatencyDistribution: Sendable {
    private static let bucketCount = 128
    private var counts = [UInt16](repeating: 0, count: bucketCount)
    private var total = 0
    /// Where the quantile lay that was asked for last, and how many answers lie up to the end of that bucket.
    private var followed = 0
    private var upToFollowed = 0

    package init() {}

    /// How many answers rule now.
    package var count: Int { total }

    package mutating func record(_ latency: Timespan) {
        let bucket = Self.bucket(latency)
        counts[bucket] += 1
        total += 1
        if bucket <= followed { upToFollowed += 1 }
        if total > 1024 { halve() }
    }

    /// The upper bound of the bucket that the quantile lies in; nil before the first answer.
    package func quantile(_ share: Double) -> Timespan? {
        var copy = self
        return copy.followedQuantile(share)
    }

    /// As `quantile`, for whoever asks for one and the same again and again: it is looked for where it lay last, a step or two away.
    package mutating func followedQuantile(_ share: Double) -> Timespan? {
        guard total > 0 else { return nil }
        let rank = max(1, Int((Double(total) * share).rounded(.up)))
        while upToFollowed < rank, followed < Self.bucketCount - 1 {
            followed += 1
            upToFollowed += Int(counts[followed])
        }
        while followed > 0, upToFollowed - Int(counts[followed]) >= rank {
            upToFollowed -= Int(counts[followed])
            followed -= 1
        }
        return Self.upperBound(followed)
    }

    package var median: Timespan? { quantile(0.5) }

    private mutating func halve() {
        total = 0
        for bucket in 0..<Self.bucketCount {
            counts[bucket] /= 2
            total += Int(counts[bucket])
            if bucket == followed { upToFollowed = total }
        }
    }

    /// Four times the octave above 1024 ns, and two bits below the leading one.
    static func bucket(_ latency: Timespan) -> Int {
        let value = UInt64(max(latency.nanoseconds, 1024))
        let octave = 63 - value.leadingZeroBitCount
        let quarter = Int(value >> UInt64(octave - 2)) & 3
        return min((octave - 10) * 4 + quarter, bucketCount - 1)
    }

    static func upperBound(_ bucket: Int) -> Timespan {
        Timespan(nanoseconds: Int64(5 + bucket & 3) << Int64(bucket / 4 + 8))
    }
}
