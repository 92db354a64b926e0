import MeshModel
import MeshTelemetry

/// Reads what `ChunkEncoder` wrote.
struct ChunkDecoder {
    /// What is wanted of each span: all, or only what its place in the tree needs (no attributes, events or links).
    enum Depth { case whole, skeleton }

    /// By number, from 1; 0 is empty.
    let names: [String]
    let depth: Depth

    /// Appends the spans of one chunk; throws on bytes that no encoder wrote, after those that could be read.
    func decode(
        _ bytes: UnsafeRawBufferPointer, of trace: TraceID, from origin: SpanOrigin, since base: Instant, at anchor: TimeAnchor,
        into spans: inout [DecodedSpan]
    ) throws(SpanDecodingError) {
        let first = spans.count
        var parents: [(span: Int, position: Int)] = []
        var reader = ChunkReader(bytes)
        var reached = base.nanoseconds
        while reader.remaining > 0 {
            let head = try reader.byte()
            guard let kind = SpanKind(rawValue: head >> 4) else { throw .malformed("an unknown kind of span") }
            let above = try reader.byte()
            let identity = try reader.fixed()
            var parent: SpanID?
            if above == ChunkFormat.parentFollows {
                parent = SpanID(try reader.fixed())
            } else if above != ChunkFormat.noParent {
                parents.append((spans.count, Int(above) - ChunkFormat.firstInChunk))
            }
            reached &+= ChunkFormat.unzigzag(try reader.varint())
            let start = Instant(nanoseconds: reached)
            let duration = Timespan(nanoseconds: Int64(clamping: try reader.varint()))
            var items = ChunkReader(try reader.take(Int(clamping: try reader.varint())))
            var span = DecodedSpan(
                traceID: trace, spanID: SpanID(identity), parent: parent, origin: origin, kind: kind, name: "",
                start: anchor.wall(at: start), monotonicStart: start, duration: duration,
                status: SpanStatus(rawValue: head & 3) ?? .unset, isTruncated: head & 4 != 0)
            if depth == .whole {
                try decodeItems(&items, into: &span)
                span.deriveAttributes()
            }
            spans.append(span)
        }
        for (span, position) in parents where first + position < spans.count { spans[span].parent = spans[first + position].spanID }
    }

    private func decodeItems(_ reader: inout ChunkReader, into span: inout DecodedSpan) throws(SpanDecodingError) {
        var belongingToEvent = 0
        span.name = span.kind.name
        func keep(_ attribute: DecodedSpan.Attribute) {
            if belongingToEvent > 0 {
                belongingToEvent -= 1
                span.events[span.events.count - 1].attributes.append(attribute)
            } else {
                span.attributes.append(attribute)
            }
        }
        while reader.remaining > 0 {
            let tag = try reader.byte()
            switch tag {
            case ChunkFormat.Tag.name: span.name = try value(&reader).description
            case ChunkFormat.Tag.custom:
                let key = try value(&reader).description
                keep(.init(key, try value(&reader)))
            case ChunkFormat.Tag.event:
                let offset = ChunkFormat.unzigzag(try reader.varint())
                let name = try value(&reader).description
                span.events.append(.init(name: name, time: UnixTime(nanoseconds: span.start.nanoseconds &+ offset), attributes: []))
                belongingToEvent = Int(clamping: try reader.varint())
            case ChunkFormat.Tag.link:
                let trace = TraceID(high: try reader.fixed(), low: try reader.fixed())
                span.links.append(.init(traceID: trace, spanID: SpanID(try reader.fixed())))
            default: keep(.init(AttributeKey(rawValue: tag)?.name ?? "mesh.key_\(tag)", try value(&reader)))
            }
        }
    }

    private func value(_ reader: inout ChunkReader) throws(SpanDecodingError) -> AttributeValue {
        switch try reader.byte() {
        case ChunkFormat.Value.text: return .string(String(decoding: try reader.take(Int(clamping: try reader.varint())), as: UTF8.self))
        case ChunkFormat.Value.named:
            let number = Int(clamping: try reader.varint())
            guard names.indices.contains(number) else { throw .malformed("a name that the file does not have") }
            return .string(names[number])
        case ChunkFormat.Value.integer: return .integer(ChunkFormat.unzigzag(try reader.varint()))
        case ChunkFormat.Value.double: return .double(Double(bitPattern: try reader.fixed()))
        case ChunkFormat.Value.false: return .bool(false)
        case ChunkFormat.Value.true: return .bool(true)
        case ChunkFormat.Value.uuid: return .string(InstanceID(high: try reader.fixed(), low: try reader.fixed()).description)
        case ChunkFormat.Value.flag:
            let raw = try reader.byte()
            return .string(ResponseFlag(rawValue: raw)?.code ?? "flag-\(raw)")
        case ChunkFormat.Value.reason:
            let raw = try reader.byte()
            return .string(KeepReason(rawValue: raw)?.name ?? "reason-\(raw)")
        case ChunkFormat.Value.array:
            var elements: [AttributeValue] = []
            for _ in 0..<(try reader.byte()) { elements.append(try value(&reader)) }
            return .array(elements)
        case let type: throw .malformed("a value of type \(type)")
        }
    }
}

/// Reads varints and never beyond the end.
private struct ChunkReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count - offset }

    mutating func byte() throws(SpanDecodingError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func take(_ length: Int) throws(SpanDecodingError) -> UnsafeRawBufferPointer {
        guard length >= 0, length <= remaining else { throw .truncated }
        defer { offset += length }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
    }

    mutating func fixed() throws(SpanDecodingError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated }
        defer { offset += 8 }
        return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    mutating func varint() throws(SpanDecodingError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 64 else { throw .malformed("an integer of more than 64 bits") }
            value |= UInt64(next & 0x7f) << shift
            if next & 0x80 == 0 { return value }
            shift += 7
        }
    }
}
