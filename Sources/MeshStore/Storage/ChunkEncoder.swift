import MeshModel
import MeshTelemetry

/// Turns records as they came into the shorter form in which one file keeps them, and gathers what its index wants to know.
struct ChunkEncoder {
    var names = NameTable()
    private var policy = NamePolicy()
    /// Numbers of instances that were named by their uuid.
    private var uuids: [InstanceID: Int] = [:]
    private var identities: [UInt64] = []
    private var positions: [UInt64: Int] = [:]
    private var items: [UInt8] = []
    /// Of application attributes of the last chunk.
    private(set) var tags: [Int64] = []

    mutating func rollBack() {
        names.rollBack()
        uuids = [:]
    }

    /// The records of one process, one after the other, all of them readable.
    mutating func encode(_ records: UnsafeRawBufferPointer, since anchor: Instant) -> [UInt8] {
        tags.removeAll(keepingCapacity: true)
        index(records)
        var output: [UInt8] = []
        output.reserveCapacity(records.count / 2)
        var reached = anchor.nanoseconds
        var cursor = SpanCursor(records)
        while let view = try? cursor.next() {
            encodeItems(of: view)
            output.append(view.bytes[3])
            let parent = view.parent?.value
            let position = parent.flatMap { place(of: $0) }
            if let position {
                output.append(UInt8(position + ChunkFormat.firstInChunk))
            } else {
                output.append(parent == nil ? ChunkFormat.noParent : ChunkFormat.parentFollows)
            }
            output.append(fixed: view.spanID.value)
            if position == nil, let parent { output.append(fixed: parent) }
            let start = view.start.nanoseconds
            output.append(varint: ChunkFormat.zigzag(start &- reached))
            reached = start
            output.append(varint: UInt64(max(0, view.duration.nanoseconds)))
            output.append(varint: UInt64(items.count))
            output.append(contentsOf: items)
        }
        return output
    }

    private mutating func index(_ records: UnsafeRawBufferPointer) {
        identities.removeAll(keepingCapacity: true)
        positions.removeAll(keepingCapacity: true)
        var cursor = SpanCursor(records)
        while identities.count < ChunkFormat.addressable, let view = try? cursor.next() { identities.append(view.spanID.value) }
        guard identities.count > 16 else { return }
        for (position, identity) in identities.enumerated() { positions[identity] = position }
    }

    private func place(of identity: UInt64) -> Int? {
        positions.isEmpty ? identities.firstIndex(of: identity) : positions[identity]
    }

    private mutating func encodeItems(of view: SpanView) {
        items.removeAll(keepingCapacity: true)
        var belongingToEvent = 0
        // Walked once already when it was taken in, so this cannot fail.
        try? view.forEachItem { item in
            switch item {
            case .name(let value):
                items.append(ChunkFormat.Tag.name)
                encode(value, key: UInt64(ChunkFormat.Tag.name))
            case .attribute(let key, let value):
                if belongingToEvent > 0 { belongingToEvent -= 1 }
                items.append(key.rawValue)
                encode(value, key: UInt64(key.rawValue))
            case .unknown(let key, let value):
                if belongingToEvent > 0 { belongingToEvent -= 1 }
                items.append(key)
                encode(value, key: UInt64(key))
            case .custom(let key, let value):
                let isOfEvent = belongingToEvent > 0
                if isOfEvent { belongingToEvent -= 1 }
                items.append(ChunkFormat.Tag.custom)
                encode(text: key, key: UInt64(ChunkFormat.Tag.custom))
                // Apart from those of known keys.
                encode(value, key: Fingerprint.of(key) | 1 << 63)
                if !isOfEvent { tag(key, value) }
            case .event(let offset, let name, let attributes):
                items.append(ChunkFormat.Tag.event)
                items.append(varint: ChunkFormat.zigzag(offset.nanoseconds))
                encode(name, key: UInt64(ChunkFormat.Tag.event))
                items.append(varint: UInt64(attributes))
                belongingToEvent = attributes
            case .link(let trace, let span):
                items.append(ChunkFormat.Tag.link)
                items.append(fixed: trace.high)
                items.append(fixed: trace.low)
                items.append(fixed: span.value)
            }
        }
    }

    private mutating func encode(_ value: RawValue, key: UInt64) {
        switch value {
        case .bytes(let bytes): encode(text: bytes, key: key)
        case .integer(let number):
            items.append(ChunkFormat.Value.integer)
            items.append(varint: ChunkFormat.zigzag(number))
        case .double(let number):
            items.append(ChunkFormat.Value.double)
            items.append(fixed: number.bitPattern)
        case .bool(let bool): items.append(bool ? ChunkFormat.Value.true : ChunkFormat.Value.false)
        case .uuid(let id): encode(id, key: key)
        case .flag(let raw):
            items.append(ChunkFormat.Value.flag)
            items.append(raw)
        case .reason(let raw):
            items.append(ChunkFormat.Value.reason)
            items.append(raw)
        case .array(let count, _):
            items.append(ChunkFormat.Value.array)
            items.append(UInt8(count))
            value.forEachElement { encode($0, key: key) }
        }
    }

    private mutating func encode(text: UnsafeRawBufferPointer, key: UInt64) {
        if let number = policy.number(of: text, key: key, in: &names) {
            items.append(ChunkFormat.Value.named)
            items.append(varint: UInt64(number))
        } else if text.count == 36, let id = InstanceID(canonical: text) {
            items.append(ChunkFormat.Value.uuid)
            items.append(fixed: id.high)
            items.append(fixed: id.low)
        } else {
            items.append(ChunkFormat.Value.text)
            items.append(varint: UInt64(text.count))
            items.append(contentsOf: text)
        }
    }

    private mutating func encode(_ id: InstanceID, key: UInt64) {
        if let number = uuids[id] {
            items.append(ChunkFormat.Value.named)
            items.append(varint: UInt64(number))
            return
        }
        var text = id.description
        text.withUTF8 { encode(text: UnsafeRawBufferPointer($0), key: key) }
        if let number = text.withUTF8({ names.number(of: UnsafeRawBufferPointer($0)) }), uuids.count < 65_536 { uuids[id] = number }
    }

    private mutating func tag(_ key: UnsafeRawBufferPointer, _ value: RawValue) {
        switch value {
        case .bytes(let bytes): tags.append(TagFingerprint.of(key: key, value: bytes))
        case .integer, .double, .bool, .uuid, .flag, .reason:
            var text = value.value.description
            tags.append(text.withUTF8 { TagFingerprint.of(key: key, value: UnsafeRawBufferPointer($0)) })
        case .array: value.forEachElement { tag(key, $0) }
        }
    }
}

extension [UInt8] {
    @inline(__always)
    mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    @inline(__always)
    mutating func append(fixed value: UInt64) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}

extension InstanceID {
    /// The form in which a uuid is written out again: lower case, with hyphens.
    init?(canonical text: UnsafeRawBufferPointer) {
        guard text.count == 36, text[8] == 0x2d, text[13] == 0x2d, text[18] == 0x2d, text[23] == 0x2d else { return nil }
        var values: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for (position, byte) in text.enumerated() where ![8, 13, 18, 23].contains(position) {
            guard let digit = Hexadecimal.value(byte) else { return nil }
            if digits < 16 { values.0 = values.0 << 4 | UInt64(digit) } else { values.1 = values.1 << 4 | UInt64(digit) }
            digits += 1
        }
        self.init(high: values.0, low: values.1)
    }
}
