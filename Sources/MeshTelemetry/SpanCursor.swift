package import MeshModel

/// Reads little-endian values and never beyond the end.
struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count - offset }

    mutating func take(_ length: Int) throws(SpanDecodingError) -> UnsafeRawBufferPointer {
        guard length >= 0, length <= remaining else { throw .truncated }
        defer { offset += length }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
    }

    mutating func byte() throws(SpanDecodingError) -> UInt8 { try take(1)[0] }
    mutating func short() throws(SpanDecodingError) -> UInt16 {
        UInt16(littleEndian: try take(2).loadUnaligned(as: UInt16.self))
    }
    mutating func half() throws(SpanDecodingError) -> UInt32 {
        UInt32(littleEndian: try take(4).loadUnaligned(as: UInt32.self))
    }
    mutating func word() throws(SpanDecodingError) -> UInt64 {
        UInt64(littleEndian: try take(8).loadUnaligned(as: UInt64.self))
    }

    /// Zigzag LEB128, as `SpanWriter` writes it.
    mutating func integer() throws(SpanDecodingError) -> Int64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 64 else { throw .malformed("an integer of more than 64 bits") }
            value |= UInt64(next & 0x7f) << shift
            if next & 0x80 == 0 { break }
            shift += 7
        }
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func value() throws(SpanDecodingError) -> RawValue {
        let type = try byte()
        guard type == RecordValue.array else { return try scalar(of: type) }
        let count = Int(try byte())
        let start = offset
        for _ in 0..<count { _ = try scalar(of: try byte()) }
        return .array(count: count, UnsafeRawBufferPointer(rebasing: bytes[start..<offset]))
    }

    mutating func scalar(of type: UInt8) throws(SpanDecodingError) -> RawValue {
        switch type {
        case RecordValue.string: return .bytes(try take(Int(try short())))
        case RecordValue.integer: return .integer(try integer())
        case RecordValue.double: return .double(Double(bitPattern: try word()))
        case RecordValue.false: return .bool(false)
        case RecordValue.true: return .bool(true)
        case RecordValue.uuid:
            let high = UInt64(bigEndian: try word().littleEndian)
            return .uuid(InstanceID(high: high, low: UInt64(bigEndian: try word().littleEndian)))
        case RecordValue.flag: return .flag(try byte())
        case RecordValue.reason: return .reason(try byte())
        default: throw .malformed("an attribute of type \(type)")
        }
    }
}

/// A value where it lies, for readers that pick a few and need no copy of the rest.
package enum RawValue {
    case bytes(UnsafeRawBufferPointer)
    case integer(Int64)
    case double(Double)
    case bool(Bool)
    case uuid(InstanceID)
    case flag(UInt8)
    case reason(UInt8)
    case array(count: Int, UnsafeRawBufferPointer)

    package var text: String? {
        if case .bytes(let bytes) = self { String(decoding: bytes, as: UTF8.self) } else { nil }
    }

    /// The elements of an array, in order; of anything else none.
    package func forEachElement(_ body: (RawValue) -> Void) {
        guard case .array(let count, let bytes) = self else { return }
        var reader = ByteReader(bytes)
        for _ in 0..<count {
            // Walked once already when it was read, so this cannot fail.
            guard let type = try? reader.byte(), let element = try? reader.scalar(of: type) else { break }
            body(element)
        }
    }

    package var value: AttributeValue {
        switch self {
        case .bytes(let bytes): return .string(String(decoding: bytes, as: UTF8.self))
        case .integer(let number): return .integer(number)
        case .double(let number): return .double(number)
        case .bool(let bool): return .bool(bool)
        case .uuid(let id): return .string(id.description)
        case .flag(let raw): return .string(ResponseFlag(rawValue: raw)?.code ?? "flag-\(raw)")
        case .reason(let raw): return .string(KeepReason(rawValue: raw)?.name ?? "reason-\(raw)")
        case .array:
            var elements: [AttributeValue] = []
            forEachElement { elements.append($0.value) }
            return .array(elements)
        }
    }
}

/// One record in place: the fixed fields are read without copying, the items when asked for.
///
/// Invariant: valid only while the bytes under it are.
package struct SpanView {
    package let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private func word(at offset: Int) -> UInt64 { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }

    package var version: UInt8 { bytes[2] }
    package var kind: SpanKind? { SpanKind(rawValue: bytes[3] >> 4) }
    package var status: SpanStatus { SpanStatus(rawValue: bytes[3] & 3) ?? .unset }
    package var isTruncated: Bool { bytes[3] & RecordLayout.truncatedBit != 0 }
    /// Nil for a record that decides nothing.
    package var decision: KeepReason? {
        guard bytes[3] & RecordLayout.decidesBit != 0, bytes.count > RecordLayout.decisionOffset else { return nil }
        return KeepReason(rawValue: bytes[RecordLayout.decisionOffset])
    }
    package var traceID: TraceID { TraceID(high: word(at: 4), low: word(at: 12)) }
    package var spanID: SpanID { SpanID(word(at: 20)) }
    package var parent: SpanID? {
        let value = word(at: 28)
        return value == 0 ? nil : SpanID(value)
    }
    package var start: Instant { Instant(nanoseconds: Int64(bitPattern: word(at: 36))) }
    package var duration: Timespan { Timespan(nanoseconds: Int64(clamping: word(at: 44))) }

    package enum Item {
        case name(RawValue)
        case attribute(AttributeKey, RawValue)
        case custom(UnsafeRawBufferPointer, RawValue)
        /// A known key of a later version.
        case unknown(UInt8, RawValue)
        /// The next `attributes` attributes are the event's.
        case event(offset: Timespan, name: RawValue, attributes: Int)
        case link(TraceID, SpanID)
    }

    /// Hands out every item in order, where it lies. Throws on bytes that no writer wrote.
    package func forEachItem(_ body: (Item) -> Void) throws(SpanDecodingError) {
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[RecordLayout.headerLength...]))
        while reader.remaining > 0 {
            let key = try reader.byte()
            switch key {
            case RecordItem.name: body(.name(try reader.value()))
            case RecordItem.customAttribute:
                let name = try reader.take(Int(try reader.byte()))
                body(.custom(name, try reader.value()))
            case RecordItem.event:
                guard case .integer(let offset) = try reader.value() else { throw .malformed("an event without a time") }
                let name = try reader.value()
                body(.event(offset: Timespan(nanoseconds: offset), name: name, attributes: Int(try reader.byte())))
            case RecordItem.link:
                let trace = TraceID(high: try reader.word(), low: try reader.word())
                body(.link(trace, SpanID(try reader.word())))
            default:
                let value = try reader.value()
                if let known = AttributeKey(rawValue: key) {
                    body(.attribute(known, value))
                } else {
                    body(.unknown(key, value))
                }
            }
        }
    }
}

/// Walks records that stand one after the other.
package struct SpanCursor {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next record, or nil at the end. Throws when the rest is no whole record.
    package mutating func next() throws(SpanDecodingError) -> SpanView? {
        guard offset < bytes.count else { return nil }
        guard bytes.count - offset >= RecordLayout.headerLength else { throw .truncated }
        let length = Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
        guard length >= RecordLayout.headerLength else { throw .malformed("a record of \(length) bytes") }
        guard length <= bytes.count - offset else { throw .truncated }
        defer { offset += length }
        return SpanView(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length]))
    }

    /// How many whole records there are from the start on, and how many bytes those take.
    static func wholeRecords(_ bytes: UnsafeRawBufferPointer) -> (count: Int, bytes: Int) {
        var offset = 0
        var count = 0
        while bytes.count - offset >= RecordLayout.headerLength {
            let length = Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
            guard (RecordLayout.headerLength...RecordLayout.maximumLength).contains(length), length <= bytes.count - offset else { break }
            offset += length
            count += 1
        }
        return (count, offset)
    }
}
