package import MeshModel

/// The fields that every span has.
@frozen
package struct SpanHeader: Sendable, BitwiseCopyable {
    package var kind: SpanKind
    package var traceID: TraceID
    package var spanID: SpanID
    /// Nil for the root of a trace.
    package var parent: SpanID?
    package var start: Instant
    package var end: Instant
    package var status: SpanStatus
    /// Of a root: whether its trace is kept.
    package var decision: KeepReason?

    @inlinable
    package init(
        kind: SpanKind, traceID: TraceID, spanID: SpanID, parent: SpanID?, start: Instant, end: Instant, status: SpanStatus = .unset,
        decision: KeepReason? = nil
    ) {
        self.kind = kind
        self.traceID = traceID
        self.spanID = spanID
        self.parent = parent
        self.start = start
        self.end = end
        self.status = status
        self.decision = decision
    }
}

/// How one span is laid out, little-endian, version 1:
///
///     0  u16 length of the whole record      4  trace id, 2 x u64      28  parent id (0: none), u64
///     2  u8  version                        20  span id, u64           36  start, i64, monotonic ns
///     3  u8  kind << 4 | decides << 3 | truncated << 2 | status        44  duration, u64, ns
///     52 items: a key byte (`RecordItem`, `AttributeKey`), then its payload, until the end
///
/// Invariants: a reader skips a record of an unknown version by its length; in a record that decides on its trace, the first item is
/// `mesh.kept`, so that its value stands at a known place.
enum RecordLayout {
    static let version: UInt8 = 1
    static let headerLength = 52
    static let maximumLength = 8192
    /// Longer strings are cut, so that one header value cannot crowd out the rest.
    static let maximumString = 1024

    static let truncatedBit: UInt8 = 0x04
    static let decidesBit: UInt8 = 0x08
    /// Of the raw value of a `KeepReason`, in a record that decides.
    static let decisionOffset = headerLength + 2
}

/// Writes the items of one span into its recorder's scratch space: no allocation, no failure.
///
/// What does not fit is left out, and the record is marked truncated.
package struct SpanWriter: ~Copyable {
    let base: UnsafeMutableRawPointer
    private(set) var count: Int
    private(set) var isTruncated = false

    init(base: UnsafeMutableRawPointer, header: SpanHeader) {
        self.base = base
        count = RecordLayout.headerLength
        base.storeBytes(of: RecordLayout.version, toByteOffset: 2, as: UInt8.self)
        base.storeBytes(of: header.kind.rawValue << 4 | header.status.rawValue, toByteOffset: 3, as: UInt8.self)
        base.storeBytes(of: header.traceID.high.littleEndian, toByteOffset: 4, as: UInt64.self)
        base.storeBytes(of: header.traceID.low.littleEndian, toByteOffset: 12, as: UInt64.self)
        base.storeBytes(of: header.spanID.value.littleEndian, toByteOffset: 20, as: UInt64.self)
        base.storeBytes(of: (header.parent?.value ?? 0).littleEndian, toByteOffset: 28, as: UInt64.self)
        base.storeBytes(of: header.start.nanoseconds.littleEndian, toByteOffset: 36, as: Int64.self)
        let duration = UInt64(max(0, (header.end - header.start).nanoseconds))
        base.storeBytes(of: duration.littleEndian, toByteOffset: 44, as: UInt64.self)
        if let decision = header.decision {
            let flags = base.load(fromByteOffset: 3, as: UInt8.self) | RecordLayout.decidesBit
            base.storeBytes(of: flags, toByteOffset: 3, as: UInt8.self)
            byte(AttributeKey.kept.rawValue)
            byte(RecordValue.reason)
            byte(decision.rawValue)
        }
    }

    /// Completes the record and returns its bytes, which live as long as the scratch space is not used again.
    mutating func finish() -> UnsafeRawBufferPointer {
        base.storeBytes(of: UInt16(count).littleEndian, as: UInt16.self)
        if isTruncated {
            base.storeBytes(of: base.load(fromByteOffset: 3, as: UInt8.self) | RecordLayout.truncatedBit, toByteOffset: 3, as: UInt8.self)
        }
        return UnsafeRawBufferPointer(start: base, count: count)
    }

    // MARK: Names

    package mutating func name(_ text: StaticString) { string(RecordItem.name, bytes(of: text)) }
    package mutating func name(_ bytes: UnsafeRawBufferPointer) { string(RecordItem.name, bytes) }
    package mutating func name(_ text: String) { string(RecordItem.name, text) }

    /// `POST /orders/**`: the method, a space and the route, as OpenTelemetry names HTTP server spans.
    package mutating func name(method: UnsafeRawBufferPointer, route: UnsafeRawBufferPointer) {
        let length = method.count + 1 + route.count
        guard length <= RecordLayout.maximumString, reserve(4 + length) else { return }
        byte(RecordItem.name)
        byte(RecordValue.string)
        short(UInt16(length))
        copy(method)
        byte(0x20)
        copy(route)
    }

    // MARK: Attributes

    package mutating func add(_ key: AttributeKey, _ text: StaticString) { string(key.rawValue, bytes(of: text)) }
    package mutating func add(_ key: AttributeKey, _ bytes: UnsafeRawBufferPointer) { string(key.rawValue, bytes) }
    package mutating func add(_ key: AttributeKey, _ text: String) { string(key.rawValue, text) }

    package mutating func add(_ key: AttributeKey, _ value: some BinaryInteger) {
        guard reserve(12) else { return }
        byte(key.rawValue)
        integer(Int64(truncatingIfNeeded: value))
    }

    package mutating func add(_ key: AttributeKey, _ value: Bool) {
        guard reserve(2) else { return }
        byte(key.rawValue)
        byte(value ? RecordValue.true : RecordValue.false)
    }

    package mutating func add(_ key: AttributeKey, _ value: InstanceID) {
        guard reserve(18) else { return }
        byte(key.rawValue)
        byte(RecordValue.uuid)
        base.storeBytes(of: value.high.bigEndian, toByteOffset: count, as: UInt64.self)
        base.storeBytes(of: value.low.bigEndian, toByteOffset: count + 8, as: UInt64.self)
        count += 16
    }

    package mutating func add(_ value: ResponseFlag) {
        guard reserve(3) else { return }
        byte(AttributeKey.flag.rawValue)
        byte(RecordValue.flag)
        byte(value.rawValue)
    }

    /// An attribute of application code, by any name.
    package mutating func add(_ key: String, _ value: AttributeValue) {
        if let known = AttributeKey.named[key] {
            guard reserve(1 + value.encodedBound) else { return }
            byte(known.rawValue)
        } else {
            let length = key.utf8.count
            guard length <= 255, reserve(2 + length + value.encodedBound) else {
                isTruncated = true
                return
            }
            byte(RecordItem.customAttribute)
            byte(UInt8(length))
            append(key)
        }
        append(value)
    }

    /// A point in time within the span; its attributes follow it.
    package mutating func event(_ name: String, after offset: Timespan, _ attributes: [(String, AttributeValue)] = []) {
        let kept = attributes.prefix(255)
        let bound = kept.reduce(16 + min(name.utf8.count, RecordLayout.maximumString)) {
            $0 + 2 + min(255, $1.0.utf8.count) + $1.1.encodedBound
        }
        guard reserve(bound) else { return }
        byte(RecordItem.event)
        integer(offset.nanoseconds)
        append(.string(name))
        byte(UInt8(kept.count))
        for (key, value) in kept {
            let keyBytes = key.utf8.prefix(255)
            byte(RecordItem.customAttribute)
            byte(UInt8(keyBytes.count))
            for unit in keyBytes { byte(unit) }
            append(value)
        }
    }

    /// Another span that this one has to do with: the trace of a stranger that called the edge.
    package mutating func link(_ trace: TraceID, _ span: SpanID) {
        guard reserve(25) else { return }
        byte(RecordItem.link)
        base.storeBytes(of: trace.high.littleEndian, toByteOffset: count, as: UInt64.self)
        base.storeBytes(of: trace.low.littleEndian, toByteOffset: count + 8, as: UInt64.self)
        base.storeBytes(of: span.value.littleEndian, toByteOffset: count + 16, as: UInt64.self)
        count += 24
    }

    // MARK: Bytes

    private mutating func reserve(_ length: Int) -> Bool {
        if count + length <= RecordLayout.maximumLength { return true }
        isTruncated = true
        return false
    }

    private func bytes(of text: StaticString) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    private mutating func byte(_ value: UInt8) {
        base.storeBytes(of: value, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    private mutating func short(_ value: UInt16) {
        base.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt16.self)
        count += 2
    }

    private mutating func copy(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        (base + count).copyMemory(from: source, byteCount: bytes.count)
        count += bytes.count
    }

    /// Native strings hand out their bytes; a bridged one is copied byte by byte.
    private mutating func append(_ text: String) {
        let start = count
        if let length = text.utf8.withContiguousStorageIfAvailable({ bytes -> Int in
            if let source = bytes.baseAddress { (base + start).copyMemory(from: source, byteCount: bytes.count) }
            return bytes.count
        }) {
            count += length
        } else {
            for unit in text.utf8 { byte(unit) }
        }
    }

    private mutating func string(_ key: UInt8, _ bytes: UnsafeRawBufferPointer) {
        let cut = SpanWriter.cut(bytes)
        if cut.count < bytes.count { isTruncated = true }
        guard reserve(4 + cut.count) else { return }
        byte(key)
        byte(RecordValue.string)
        short(UInt16(cut.count))
        copy(cut)
    }

    private mutating func string(_ key: UInt8, _ text: String) {
        guard reserve(1 + AttributeValue.string(text).encodedBound) else { return }
        byte(key)
        append(.string(text))
    }

    private mutating func integer(_ value: Int64) {
        byte(RecordValue.integer)
        var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        byte(UInt8(rest))
    }

    private mutating func append(_ value: AttributeValue) {
        switch value {
        case .string(let text):
            byte(RecordValue.string)
            let length = text.utf8.count
            if length <= RecordLayout.maximumString {
                short(UInt16(length))
                append(text)
            } else {
                isTruncated = true
                Array(text.utf8).withUnsafeBytes { bytes in
                    let cut = SpanWriter.cut(bytes)
                    short(UInt16(cut.count))
                    copy(cut)
                }
            }
        case .integer(let number): integer(number)
        case .double(let number):
            byte(RecordValue.double)
            base.storeBytes(of: number.bitPattern.littleEndian, toByteOffset: count, as: UInt64.self)
            count += 8
        case .bool(let bool): byte(bool ? RecordValue.true : RecordValue.false)
        case .array(let elements):
            let kept = elements.prefix(AttributeValue.maximumElements)
            if kept.count < elements.count { isTruncated = true }
            byte(RecordValue.array)
            byte(UInt8(kept.count))
            for element in kept {
                if case .array = element {
                    append(.string("\(element)"))
                } else {
                    append(element)
                }
            }
        }
    }

    /// The longest prefix within the limit that does not split a UTF-8 character.
    private static func cut(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard bytes.count > RecordLayout.maximumString else { return bytes }
        var end = RecordLayout.maximumString
        while end > 0, bytes[end] & 0xc0 == 0x80 { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[..<end])
    }
}

/// Encodes spans that do not go through a ring.
package final class SpanScratch {
    private let base = UnsafeMutableRawPointer.allocate(byteCount: RecordLayout.maximumLength, alignment: 16)

    package init() {}

    deinit { base.deallocate() }

    package func record(_ header: SpanHeader, _ items: (inout SpanWriter) -> Void) -> [UInt8] {
        var writer = SpanWriter(base: base, header: header)
        items(&writer)
        return Array(writer.finish())
    }
}
