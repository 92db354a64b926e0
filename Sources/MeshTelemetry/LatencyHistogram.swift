package import MeshModel

/// How often which duration was seen, in fixed memory: eight buckets to each power of two, so that a rank or a quantile is
/// right to within an eighth of the value.
///
/// Source of the layout: log-linear buckets as in HdrHistogram. Unit: nanoseconds, from 1 us up.
package struct LatencyHistogram: Sendable, Hashable {
    private static let subBuckets = 8
    /// 1 us * 2^32 is more than an hour.
    private static let bucketCount = 32 * subBuckets

    private var counts = [UInt32](repeating: 0, count: bucketCount)
    package private(set) var total: UInt64 = 0

    package init() {}

    package mutating func record(_ duration: Timespan) {
        let bucket = Self.bucket(of: duration)
        if counts[bucket] < .max { counts[bucket] += 1 }
        total += 1
    }

    package mutating func merge(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] = UInt32(clamping: UInt64(counts[index]) + UInt64(other.counts[index])) }
        total += other.total
    }

    /// The share (0...1) of what was recorded that is less; of the same bucket half counts as less. Nil when empty.
    package func rank(of duration: Timespan) -> Double? {
        guard total > 0 else { return nil }
        let bucket = Self.bucket(of: duration)
        let below = counts[..<bucket].reduce(UInt64(0)) { $0 + UInt64($1) }
        return min(1, (Double(below) + Double(counts[bucket]) / 2) / Double(total))
    }

    /// The upper end of the bucket in which the `share`-th value lies. Nil when empty.
    package func quantile(_ share: Double) -> Timespan? {
        guard total > 0 else { return nil }
        let wanted = max(1, UInt64((share * Double(total)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() {
            seen += UInt64(count)
            if seen >= wanted { return Self.upperEnd(of: index) }
        }
        return Self.upperEnd(of: counts.count - 1)
    }

    private static func bucket(of duration: Timespan) -> Int {
        let units = UInt64(max(0, duration.nanoseconds)) / 1_000
        if units < UInt64(subBuckets) { return Int(units) }
        let exponent = 63 - units.leadingZeroBitCount
        let offset = Int(units >> UInt64(exponent - 3)) & (subBuckets - 1)
        return min(bucketCount - 1, (exponent - 2) * subBuckets + offset)
    }

    private static func upperEnd(of bucket: Int) -> Timespan {
        if bucket < subBuckets { return .microseconds(Int64(bucket) + 1) }
        let exponent = bucket / subBuckets + 2
        let offset = Int64(bucket % subBuckets)
        return .microseconds((Int64(subBuckets) + offset + 1) << Int64(exponent - 3))
    }
}
