package import MeshModel

/// The process that recorded a span.
package struct SpanOrigin: Hashable, Sendable {
    package var instance: InstanceID
    package var service: String
    package var tier: String
    package var version: String?
    /// Which monotonic clock it reads (`HostClock.identity`): the same for all processes of one host; 0 where it was not told.
    package var clock: UInt64

    package init(instance: InstanceID, service: String, tier: String, version: String? = nil, clock: UInt64 = 0) {
        self.instance = instance
        self.service = service
        self.tier = tier
        self.version = version
        self.clock = clock
    }

    /// How it stands in a batch, and as the first message on a line to the daemon: u8 version of the form, u8 length and bytes of
    /// service, tier and version (0: none), 16 bytes instance, u64 clock (from form 2 on).
    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = [Self.form]
        for text in [service, tier, version ?? ""] {
            let units = text.utf8.prefix(255)
            bytes.append(UInt8(units.count))
            bytes.append(contentsOf: units)
        }
        for word in [instance.high, instance.low, clock] { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
        return bytes
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(SpanDecodingError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
    }

    init(from reader: inout ByteReader) throws(SpanDecodingError) {
        let form = try reader.byte()
        guard (Self.firstForm...Self.form).contains(form) else { throw .unknownVersion(form) }
        func text() throws(SpanDecodingError) -> String {
            let length = Int(try reader.byte())
            return String(decoding: try reader.take(length), as: UTF8.self)
        }
        service = try text()
        tier = try text()
        let release = try text()
        version = release.isEmpty ? nil : release
        instance = InstanceID(high: try reader.word(), low: try reader.word())
        clock = form >= 2 ? try reader.word() : 0
    }

    private static let form: UInt8 = 2
    /// Without a clock: what an instance of an earlier release says.
    private static let firstForm: UInt8 = 1
}

/// Finished spans of one process on their way to the store.
///
/// On the wire, little-endian: the origin (`SpanOrigin.encoded`), i64 anchor instant, i64 anchor wall time, u64 dropped, u32 count of records, then the records.
package struct SpanBatch: Hashable, Sendable {
    package var origin: SpanOrigin
    package var anchor: TimeAnchor
    /// Spans that this process lost since it started: the sum, so that a lost batch does not hide it.
    package var dropped: UInt64
    /// How many records there are.
    package var count: Int
    /// The records, one after the other.
    package var records: [UInt8]

    package init(origin: SpanOrigin, anchor: TimeAnchor, dropped: UInt64, count: Int, records: [UInt8]) {
        self.origin = origin
        self.anchor = anchor
        self.dropped = dropped
        self.count = count
        self.records = records
    }

    package func encoded() -> [UInt8] {
        var bytes = origin.encoded()
        bytes.reserveCapacity(records.count + 128)
        func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
        append(anchor.instant.nanoseconds)
        append(anchor.wall.nanoseconds)
        append(dropped)
        append(UInt32(count))
        bytes.append(contentsOf: records)
        return bytes
    }

    /// Reads what `encoded` wrote; the records are walked, so that a batch in hand has whole ones.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(SpanDecodingError) {
        var reader = ByteReader(bytes)
        origin = try SpanOrigin(from: &reader)
        anchor = TimeAnchor(
            instant: Instant(nanoseconds: Int64(bitPattern: try reader.word())),
            wall: UnixTime(nanoseconds: Int64(bitPattern: try reader.word()))
        )
        dropped = try reader.word()
        count = Int(try reader.half())
        let rest = try reader.take(reader.remaining)
        var found = 0
        var cursor = SpanCursor(rest)
        while try cursor.next() != nil { found += 1 }
        guard found == count else { throw .wrongCount(stated: count, found: found) }
        records = Array(rest)
    }

    package init(decoding bytes: [UInt8]) throws(SpanDecodingError) {
        // A typed throw does not pass through `withUnsafeBytes`: carry the outcome out as a value.
        let outcome: Result<SpanBatch, SpanDecodingError> = bytes.withUnsafeBytes { raw in
            do throws(SpanDecodingError) { return .success(try SpanBatch(decoding: raw)) } catch { return .failure(error) }
        }
        self = try outcome.get()
    }

    /// All spans, as far as they can be read; a record of a later version is left out and counted.
    package func decoded() throws(SpanDecodingError) -> (spans: [DecodedSpan], unreadable: Int) {
        var spans: [DecodedSpan] = []
        var unreadable = 0
        let outcome: Result<Void, SpanDecodingError> = records.withUnsafeBytes { raw in
            do throws(SpanDecodingError) {
                var cursor = SpanCursor(raw)
                while let view = try cursor.next() {
                    if view.version == RecordLayout.version {
                        spans.append(try DecodedSpan(view, origin: origin, anchor: anchor))
                    } else {
                        unreadable += 1
                    }
                }
                return .success(())
            } catch { return .failure(error) }
        }
        try outcome.get()
        return (spans, unreadable)
    }
}

/// Why bytes are no spans.
package enum SpanDecodingError: Error, Hashable, CustomStringConvertible {
    case unknownVersion(UInt8)
    case truncated
    case malformed(String)
    case wrongCount(stated: Int, found: Int)

    package var description: String {
        switch self {
        case .unknownVersion(let version): "span data of version \(version) is not understood: update the daemon"
        case .truncated: "span data ends in the middle of a record"
        case .malformed(let what): "malformed span data: \(what)"
        case .wrongCount(let stated, let found): "a batch said to hold \(stated) spans holds \(found)"
        }
    }
}
