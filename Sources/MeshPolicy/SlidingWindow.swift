package import MeshModel

/// Counts of the last so many seconds, in a ring of ten buckets.
///
/// Invariant: `total` is the sum of the buckets. The window covers between nine and ten tenths of its length.
package struct SlidingWindow: Sendable {
    package struct Counts: Hashable, Sendable, BitwiseCopyable {
        package var calls: UInt32 = 0
        package var failures: UInt32 = 0
        package var slow: UInt32 = 0
    }

    private static let bucketCount = 10

    package private(set) var total = Counts()
    private var buckets = InlineArray<10, Counts>(repeating: Counts())
    private var newest = 0
    private var newestEnds: Instant
    private let bucketLength: Int64

    package init(length: Timespan, now: Instant) {
        bucketLength = max(length.nanoseconds / Int64(Self.bucketCount), 1)
        newestEnds = now + Timespan(nanoseconds: bucketLength)
    }

    package mutating func record(failed: Bool, slow: Bool, now: Instant) {
        advance(to: now)
        let counts = Counts(calls: 1, failures: failed ? 1 : 0, slow: slow ? 1 : 0)
        buckets[newest].add(counts)
        total.add(counts)
    }

    /// Drops what has become too old.
    package mutating func advance(to now: Instant) {
        guard now >= newestEnds else { return }
        let passed = (now - newestEnds).nanoseconds / bucketLength + 1
        for _ in 0..<min(passed, Int64(Self.bucketCount)) {
            newest = (newest + 1) % Self.bucketCount
            total.subtract(buckets[newest])
            buckets[newest] = Counts()
        }
        newestEnds = newestEnds + Timespan(nanoseconds: passed * bucketLength)
    }

    package mutating func clear() {
        total = Counts()
        buckets = InlineArray(repeating: Counts())
    }
}

extension SlidingWindow.Counts {
    @inline(__always) fileprivate mutating func add(_ other: Self) {
        calls &+= other.calls
        failures &+= other.failures
        slow &+= other.slow
    }

    @inline(__always) fileprivate mutating func subtract(_ other: Self) {
        calls &-= other.calls
        failures &-= other.failures
        slow &-= other.slow
    }
}
