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
    package private(set) var sum = Timespan.zero

    package init() {}

    package mutating func record(_ duration: Timespan) {
        let bucket = Self.bucket(of: duration)
        if counts[bucket] < .max { counts[bucket] += 1 }
        total += 1
        sum.nanoseconds &+= duration.nanoseconds
    }

    package mutating func merge(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] = UInt32(clamping: UInt64(counts[index]) + UInt64(other.counts[index])) }
        total += other.total
        sum.nanoseconds &+= other.sum.nanoseconds
    }

    /// What was recorded since `earlier`, an earlier state of the same histogram; all of it where that is none.
    package func since(_ earlier: LatencyHistogram) -> LatencyHistogram {
        guard earlier.total <= total, zip(counts, earlier.counts).allSatisfy({ $0 >= $1 }) else { return self }
        var result = self
        for index in result.counts.indices { result.counts[index] -= earlier.counts[index] }
        result.total -= earlier.total
        result.sum.nanoseconds &-= earlier.sum.nanoseconds
        return result
    }

    /// How many were recorded up to each of `bounds`, which rise; what lies in the bucket of a bound counts as below it.
    package func cumulative(_ bounds: [Timespan]) -> [UInt64] {
        var result: [UInt64] = []
        var seen: UInt64 = 0
        var next = 0
        for bound in bounds {
            let last = Self.bucket(of: bound)
            while next <= last {
                seen += UInt64(counts[next])
                next += 1
            }
            result.append(seen)
        }
        return result
    }

    /// Gives what was recorded half its weight, so that what follows counts for more.
    package mutating func halve() {
        total = 0
        for index in counts.indices {
            counts[index] /= 2
            total += UInt64(counts[index])
        }
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

extension LatencyHistogram: Codable {
    /// The sum in nanoseconds, then index and count of each bucket that is not empty, in turn.
    package init(from decoder: any Decoder) throws {
        self.init()
        let numbers = try decoder.singleValueContainer().decode([Int64].self)
        sum = .nanoseconds(numbers.first ?? 0)
        for position in stride(from: 1, to: numbers.count - 1, by: 2) {
            guard (0..<Int64(Self.bucketCount)).contains(numbers[position]) else { continue }
            let bucket = Int(numbers[position])
            counts[bucket] = UInt32(clamping: numbers[position + 1])
            total += UInt64(counts[bucket])
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode([sum.nanoseconds] + counts.enumerated().flatMap { $1 == 0 ? [] : [Int64($0), Int64($1)] })
    }
}
