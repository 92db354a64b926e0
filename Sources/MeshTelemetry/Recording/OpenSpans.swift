package import MeshModel
internal import Synchronization

/// A request that was begun and not ended: what a killed process leaves of what it was doing.
package struct OpenSpan: Hashable, Sendable {
    package var kind: SpanKind
    package var traceID: TraceID
    package var spanID: SpanID
    package var parent: SpanID?
    package var start: Instant
    package var name: String
}

/// The place in shared memory of one open span.
///
/// Invariant: the kind is written last, by a release, and taken away first, so that a slot is whole or free.
///
///     0  u64 kind (0: free)   8  trace id, 2 x u64   24  span id   32  parent id (0: none)   40  start   48  u8 length, name
struct OpenSpanSlot {
    static let length = 128
    static let longestName = length - 49

    let base: UnsafeMutableRawPointer

    func write(_ kind: SpanKind, _ trace: TraceID, _ span: SpanID, _ parent: SpanID?, _ start: Instant, _ name: UnsafeRawBufferPointer) {
        base.storeBytes(of: trace.high, toByteOffset: 8, as: UInt64.self)
        base.storeBytes(of: trace.low, toByteOffset: 16, as: UInt64.self)
        base.storeBytes(of: span.value, toByteOffset: 24, as: UInt64.self)
        base.storeBytes(of: parent?.value ?? 0, toByteOffset: 32, as: UInt64.self)
        base.storeBytes(of: start.nanoseconds, toByteOffset: 40, as: Int64.self)
        let count = min(name.count, Self.longestName)
        base.storeBytes(of: UInt8(count), toByteOffset: 48, as: UInt8.self)
        if let source = name.baseAddress { (base + 49).copyMemory(from: source, byteCount: count) }
        state.pointee.store(UInt64(kind.rawValue), ordering: .releasing)
    }

    func clear() { state.pointee.store(0, ordering: .releasing) }

    private var state: UnsafeMutablePointer<Atomic<UInt64>> { base.assumingMemoryBound(to: Atomic<UInt64>.self) }

    func read() -> OpenSpan? {
        guard let raw = UInt8(exactly: state.pointee.load(ordering: .acquiring)), let kind = SpanKind(rawValue: raw) else { return nil }
        func word(_ offset: Int) -> UInt64 { base.load(fromByteOffset: offset, as: UInt64.self) }
        let count = min(Int(base.load(fromByteOffset: 48, as: UInt8.self)), Self.longestName)
        let span = word(24)
        let parent = word(32)
        guard span != 0, word(8) | word(16) != 0 else { return nil }
        return OpenSpan(
            kind: kind, traceID: TraceID(high: word(8), low: word(16)), spanID: SpanID(span), parent: parent == 0 ? nil : SpanID(parent),
            start: Instant(nanoseconds: Int64(bitPattern: word(40))),
            name: String(decoding: UnsafeRawBufferPointer(start: base + 49, count: count), as: UTF8.self))
    }
}
