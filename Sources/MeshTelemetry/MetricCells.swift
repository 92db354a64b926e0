import MeshModel
import Metrics
import Synchronization

// What one measurement of swift-metrics writes to: atomics, so that recording takes no lock.

/// Invariant: bits of a `Double`.
struct AtomicDouble: ~Copyable {
    private let bits: Atomic<UInt64>

    init(_ value: Double) { bits = Atomic(value.bitPattern) }

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    borrowing func store(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    borrowing func add(_ amount: Double) {
        var current = bits.load(ordering: .relaxed)
        while true {
            let wanted = (Double(bitPattern: current) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: current, desired: wanted, ordering: .relaxed)
            if exchanged { return }
            current = original
        }
    }
}

final class CounterCell: CounterHandler, FloatingPointCounterHandler, Sendable {
    private let total = AtomicDouble(0)

    var value: Double { total.value }

    func increment(by amount: Int64) { total.add(Double(amount)) }
    func increment(by amount: Double) { if amount > 0 { total.add(amount) } }
    func reset() { total.store(0) }
}

final class GaugeCell: MeterHandler, RecorderHandler, Sendable {
    private let current = AtomicDouble(0)

    var value: Double { current.value }

    func set(_ value: Int64) { current.store(Double(value)) }
    func set(_ value: Double) { current.store(value) }
    func increment(by amount: Double) { current.add(amount) }
    func decrement(by amount: Double) { current.add(-amount) }
    func record(_ value: Int64) { current.store(Double(value)) }
    func record(_ value: Double) { current.store(value) }
}

/// Few buckets, fixed, so that series of all instances can be added up.
final class HistogramCell: TimerHandler, RecorderHandler, Sendable {
    /// From a millisecond to ten seconds, for times.
    static let seconds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// Powers of four, for everything else.
    static let amounts: [Double] = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262_144, 1_048_576, 4_194_304, 16_777_216]
    private static let bucketCount = 14

    private let bounds: [Double]
    /// The last one is for what is above every bound.
    private let counts = InlineArray<14, Atomic<UInt64>> { _ in Atomic(0) }
    private let sum = AtomicDouble(0)

    init(bounds: [Double]) {
        precondition(bounds.count == Self.bucketCount - 1, "a bucket for every bound")
        self.bounds = bounds
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        var bucket = 0
        while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
        counts[bucket].wrappingAdd(1, ordering: .relaxed)
        sum.add(value)
    }

    /// With labels that are still to come.
    var sample: MetricSample {
        var buckets: [MetricBucket] = []
        var seen: UInt64 = 0
        for index in bounds.indices {
            seen += counts[index].load(ordering: .relaxed)
            buckets.append(MetricBucket(bound: bounds[index], count: seen))
        }
        return MetricSample(
            sum: sum.value, count: seen + counts[Self.bucketCount - 1].load(ordering: .relaxed), buckets: buckets)
    }
}
