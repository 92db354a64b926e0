internal import Synchronization

/// The writing end of a bounded ring of span records in shared memory: it never waits for the reader, which may be another process,
/// or none.
///
/// Invariants: the bytes up to `tail` are whole records, published by the release of `tail`, so that a crash in the middle of one
/// leaves none of it; only the writer moves `tail`, only the reader moves `head`. A record that does not fit is dropped and counted.
package final class SpanRing: @unchecked Sendable {
    package static let defaultCapacity = 1 << 20
    package static let defaultOpenSpans = 256

    package let capacity: Int
    let segment: SpanSegment
    let number: Int
    private let storage: UnsafeMutableRawPointer
    private let control: SpanRingControl
    /// The writer's last sight of `head`: never ahead of it.
    private var knownHead = 0

    init(_ segment: SpanSegment, _ number: Int) {
        self.segment = segment
        self.number = number
        capacity = segment.capacity
        storage = segment.storage(number)
        control = segment.control(number)
    }

    /// A ring alone in its memory.
    package convenience init(capacity: Int = SpanRing.defaultCapacity, openSpans: Int = SpanRing.defaultOpenSpans) throws {
        self.init(try SpanSegment(rings: 1, capacity: capacity, openSpans: openSpans), 0)
    }

    package enum WriteOutcome: Sendable {
        case written
        /// Written, and the ring has just become three quarters full: call the reader.
        case writtenAndFilling
        case dropped
    }

    /// Writer only.
    package func write(_ record: UnsafeRawBufferPointer) -> WriteOutcome {
        let start = control.tail.pointee.load(ordering: .relaxed)
        var used = start - knownHead + record.count
        if used > capacity / 4 * 3 {
            knownHead = control.head.pointee.load(ordering: .acquiring)
            used = start - knownHead + record.count
        }
        guard used <= capacity, let source = record.baseAddress else {
            control.drops.pointee.add(1, ordering: .relaxed)
            return .dropped
        }
        let offset = start & (capacity - 1)
        let first = min(record.count, capacity - offset)
        (storage + offset).copyMemory(from: source, byteCount: first)
        if first < record.count { storage.copyMemory(from: source + first, byteCount: record.count - first) }
        control.tail.pointee.store(start + record.count, ordering: .releasing)
        if used > capacity / 4 * 3, control.alarm.pointee.exchange(1, ordering: .relaxed) == 0 { return .writtenAndFilling }
        return .written
    }

    /// Records that found no room, since the ring was made.
    package var dropped: UInt64 { control.drops.pointee.load(ordering: .relaxed) }
}

/// The reading end of a ring, in whatever process: it trusts nothing that it finds.
package struct SpanRingReader: @unchecked Sendable {
    private let segment: SpanSegment
    private let number: Int
    private let control: SpanRingControl
    private let storage: UnsafeMutableRawPointer
    private var position: Int
    private var countedDrops: UInt64 = 0
    /// Nothing more is read once the two ends contradict each other.
    package private(set) var isBroken = false
    /// Bytes that were no records and were passed over.
    package private(set) var damagedBytes = 0

    init(_ segment: SpanSegment, _ number: Int) {
        self.segment = segment
        self.number = number
        control = segment.control(number)
        storage = segment.storage(number)
        position = control.head.pointee.load(ordering: .acquiring)
    }

    /// The other end of a ring of this process.
    package init(_ ring: SpanRing) { self.init(ring.segment, ring.number) }

    /// Appends every whole record that has come to `bytes`, and makes room for others.
    ///
    /// They are copied before they are looked at, so that nothing changes under the one who reads them.
    ///
    /// - Returns: how many.
    @discardableResult
    package mutating func drain(into bytes: inout [UInt8]) -> Int {
        guard !isBroken else { return 0 }
        control.alarm.pointee.store(0, ordering: .relaxed)
        let tail = control.tail.pointee.load(ordering: .acquiring)
        let (available, overflow) = tail.subtractingReportingOverflow(position)
        guard !overflow, position >= 0, (0...segment.capacity).contains(available) else {
            isBroken = true
            return 0
        }
        guard available > 0 else { return 0 }
        let start = bytes.count
        let offset = position & (segment.capacity - 1)
        let first = min(available, segment.capacity - offset)
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: storage + offset, count: first))
        if first < available { bytes.append(contentsOf: UnsafeRawBufferPointer(start: storage, count: available - first)) }
        position = tail
        control.head.pointee.store(tail, ordering: .releasing)
        let whole = bytes.withUnsafeBytes { SpanCursor.wholeRecords(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        if whole.bytes < available {
            damagedBytes += available - whole.bytes
            bytes.removeLast(available - whole.bytes)
        }
        return whole.count
    }

    /// Records that found no room since this was asked last.
    package mutating func newDrops() -> UInt64 {
        let drops = control.drops.pointee.load(ordering: .relaxed)
        defer { countedDrops = drops }
        return drops >= countedDrops ? drops - countedDrops : 0
    }

    /// The spans that are open, for one who knows that their process has ended.
    package func openSpans() -> [OpenSpan] {
        (0..<segment.openSpans).compactMap { OpenSpanSlot(base: segment.openSlots(number) + $0 * OpenSpanSlot.length).read() }
    }
}
