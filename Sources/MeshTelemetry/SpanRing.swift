import Synchronization

/// A bounded ring of span records between one producing and one consuming thread: neither waits for the other.
///
/// Invariants: `head <= tail <= head + capacity`; the bytes in `head..<tail` are whole records, published by the release of
/// `tail`; only the producer moves `tail`, only the consumer moves `head`. A record that does not fit is dropped and counted.
package final class SpanRing: @unchecked Sendable {
    package static let defaultCapacity = 1 << 20

    package let capacity: Int
    private let storage: UnsafeMutableRawPointer
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)
    private let drops = Atomic<UInt64>(0)
    private let alarm = Atomic<Bool>(false)
    /// The producer's last sight of `head`: never ahead of it.
    private var knownHead = 0

    /// `capacity` is rounded up to a power of two.
    package init(capacity: Int = SpanRing.defaultCapacity) {
        var rounded = 256
        while rounded < capacity { rounded <<= 1 }
        self.capacity = rounded
        storage = .allocate(byteCount: rounded, alignment: 64)
    }

    deinit { storage.deallocate() }

    package enum WriteOutcome: Sendable {
        case written
        /// Written, and the ring has just become three quarters full: wake the consumer.
        case writtenAndFilling
        case dropped
    }

    /// Producer only.
    package func write(_ record: UnsafeRawBufferPointer) -> WriteOutcome {
        let start = tail.load(ordering: .relaxed)
        var used = start - knownHead + record.count
        if used > capacity / 4 * 3 {
            knownHead = head.load(ordering: .acquiring)
            used = start - knownHead + record.count
        }
        guard used <= capacity, let source = record.baseAddress else {
            drops.add(1, ordering: .relaxed)
            return .dropped
        }
        let offset = start & (capacity - 1)
        let first = min(record.count, capacity - offset)
        (storage + offset).copyMemory(from: source, byteCount: first)
        if first < record.count { storage.copyMemory(from: source + first, byteCount: record.count - first) }
        tail.store(start + record.count, ordering: .releasing)
        if used > capacity / 4 * 3, !alarm.exchange(true, ordering: .relaxed) { return .writtenAndFilling }
        return .written
    }

    /// Consumer only: appends whole records to `bytes`, at most `limit` bytes of them, and returns how many records.
    ///
    /// At least one record is taken if there is one.
    package func drain(into bytes: inout [UInt8], limit: Int) -> Int {
        alarm.store(false, ordering: .relaxed)
        let start = head.load(ordering: .relaxed)
        let available = tail.load(ordering: .acquiring) - start
        var length = 0
        var records = 0
        while length < available {
            let next = Int(byte(at: start + length)) | Int(byte(at: start + length + 1)) << 8
            if records > 0, length + next > limit { break }
            length += next
            records += 1
        }
        guard length > 0 else { return 0 }
        let offset = start & (capacity - 1)
        let first = min(length, capacity - offset)
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: storage + offset, count: first))
        if first < length { bytes.append(contentsOf: UnsafeRawBufferPointer(start: storage, count: length - first)) }
        head.store(start + length, ordering: .releasing)
        return records
    }

    /// Records that found no room, since the ring was made.
    package var dropped: UInt64 { drops.load(ordering: .relaxed) }

    private func byte(at position: Int) -> UInt8 { storage.load(fromByteOffset: position & (capacity - 1), as: UInt8.self) }
}
