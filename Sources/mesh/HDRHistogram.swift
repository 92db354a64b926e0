/// How often which latency was seen, to three significant digits, in fixed memory.
///
/// Source: HdrHistogram (G. Tene): to each power of two 1024 buckets. Unit: microseconds, up to a day.
struct HDRHistogram: Sendable {
    private static let subBits = 10
    private static let limit: UInt64 = 86_400_000_000

    private var counts = [UInt64](repeating: 0, count: Self.index(of: Self.limit) + 1)
    private(set) var count: UInt64 = 0
    private(set) var highest: UInt64 = 0
    private var sum: UInt64 = 0

    mutating func record(microseconds value: UInt64) {
        let value = min(value, Self.limit)
        counts[Self.index(of: value)] += 1
        count += 1
        sum += value
        highest = max(highest, value)
    }

    var mean: Double? { count == 0 ? nil : Double(sum) / Double(count) }

    /// The value that this share (0...1) of all are no larger than, to within a thousandth; nil when empty.
    func value(at share: Double) -> UInt64? {
        guard count > 0 else { return nil }
        let wanted = max(1, UInt64((share * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for index in counts.indices where counts[index] > 0 {
            seen += counts[index]
            if seen >= wanted { return min(Self.upperEnd(of: index), highest) }
        }
        return highest
    }

    private static func index(of value: UInt64) -> Int {
        guard value >= 1 << (subBits + 1) else { return Int(value) }
        let shift = 63 - value.leadingZeroBitCount - subBits
        return shift << subBits + Int(value >> UInt64(shift))
    }

    private static func upperEnd(of index: Int) -> UInt64 {
        guard index >= 1 << (subBits + 1) else { return UInt64(index) }
        let shift = index >> subBits - 1
        return UInt64(index - shift << subBits + 1) << UInt64(shift) - 1
    }
}
