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

    mutating func value() throws(SpanDecodingError) -> AttributeValue {
        let type = try byte()
        return try value(of: type, nested: false)
    }

    private mutating func value(of type: UInt8, nested: Bool) throws(SpanDecodingError) -> AttributeValue {
        switch type {
        case RecordValue.string: return .string(String(decoding: try take(Int(try short())), as: UTF8.self))
        case RecordValue.integer: return .integer(try integer())
        case RecordValue.double: return .double(Double(bitPattern: try word()))
        case RecordValue.false: return .bool(false)
        case RecordValue.true: return .bool(true)
        case RecordValue.uuid:
            return .string(
                InstanceID(high: UInt64(bigEndian: try word().littleEndian), low: UInt64(bigEndian: try word().littleEndian)).description)
        case RecordValue.flag:
            let raw = try byte()
            return .string(ResponseFlag(rawValue: raw)?.code ?? "flag-\(raw)")
        case RecordValue.array where !nested:
            var elements: [AttributeValue] = []
            for _ in 0..<(try byte()) { elements.append(try value(of: try byte(), nested: true)) }
            return .array(elements)
        default: throw .malformed("an attribute of type \(type)")
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
    package var traceID: TraceID { TraceID(high: word(at: 4), low: word(at: 12)) }
    package var spanID: SpanID { SpanID(word(at: 20)) }
    package var parent: SpanID? {
        let value = word(at: 28)
        return value == 0 ? nil : SpanID(value)
    }
    package var start: Instant { Instant(nanoseconds: Int64(bitPattern: word(at: 36))) }
    package var duration: Timespan { Timespan(nanoseconds: Int64(clamping: word(at: 44))) }

    package enum Item {
        case name(String)
        case attribute(AttributeKey, AttributeValue)
        case custom(String, AttributeValue)
        case event(offset: Timespan, name: String, attributes: Int)
        case link(TraceID, SpanID)
    }

    /// Hands out every item in order. Throws on bytes that no writer wrote.
    package func forEachItem(_ body: (Item) -> Void) throws(SpanDecodingError) {
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[RecordLayout.headerLength...]))
        while reader.remaining > 0 {
            let key = try reader.byte()
            switch key {
            case RecordItem.name: body(.name(try reader.value().description))
            case RecordItem.customAttribute:
                let name = String(decoding: try reader.take(Int(try reader.byte())), as: UTF8.self)
                body(.custom(name, try reader.value()))
            case RecordItem.event:
                guard case .integer(let offset) = try reader.value() else { throw .malformed("an event without a time") }
                let name = try reader.value().description
                body(.event(offset: Timespan(nanoseconds: offset), name: name, attributes: Int(try reader.byte())))
            case RecordItem.link:
                let trace = TraceID(high: try reader.word(), low: try reader.word())
                body(.link(trace, SpanID(try reader.word())))
            default:
                let value = try reader.value()
                // A key that a later version added: its value is kept under its number.
                if let known = AttributeKey(rawValue: key) {
                    body(.attribute(known, value))
                } else {
                    body(.custom("mesh.key_\(key)", value))
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
}
