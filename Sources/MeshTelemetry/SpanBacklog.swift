/// The batches that wait for a sink that refuses: bounded, the oldest lost first, since the latest say most about now.
///
/// Invariant: at most `limit` bytes of records wait; every span lost is counted.
package struct SpanBacklog: Sendable {
    package let limit: Int
    private var batches: [SpanBatch] = []
    private var first = 0
    package private(set) var bytes = 0
    package private(set) var dropped: UInt64 = 0

    package init(limit: Int) { self.limit = limit }

    package var isEmpty: Bool { first == batches.count }
    package var count: Int { batches.count - first }

    package mutating func append(_ batch: SpanBatch) {
        batches.append(batch)
        bytes += batch.records.count
        while bytes > limit, !isEmpty { dropped += UInt64(removeFirst().count) }
    }

    /// Offers batches in order until one is refused.
    package mutating func offer(to sink: (SpanBatch) -> Bool) {
        while !isEmpty, sink(batches[first]) { _ = removeFirst() }
    }

    /// Counts all that wait as lost.
    package mutating func abandon() {
        while !isEmpty { dropped += UInt64(removeFirst().count) }
    }

    @discardableResult
    private mutating func removeFirst() -> SpanBatch {
        let batch = batches[first]
        first += 1
        bytes -= batch.records.count
        if first > 32, first * 2 > batches.count {
            batches.removeFirst(first)
            first = 0
        }
        return batch
    }
}
