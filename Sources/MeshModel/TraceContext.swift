/// What travels with a request so that its spans form one trace (W3C Trace Context, level 2).
@frozen
@usableFromInline
package struct TraceContext: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline package var traceID: TraceID
    /// The span that an incoming context names as the parent, and an outgoing one as the sender.
    @usableFromInline package var spanID: SpanID
    @usableFromInline package var flags: UInt8

    package static let sampledFlag: UInt8 = 0x01
    package static let randomFlag: UInt8 = 0x02

    @inlinable package init(traceID: TraceID, spanID: SpanID, flags: UInt8) {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
    }

    /// Length of the header value in version 00.
    package static let headerLength = 55

    /// Reads a `traceparent` value; nil for one that must be ignored: a bad shape, version ff, an all-zero id.
    /// A higher version is read by its first four fields, as the recommendation asks.
    package init?(traceparent bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.headerLength, bytes[2] == 0x2d, bytes[35] == 0x2d, bytes[52] == 0x2d,
            let versionHigh = Hexadecimal.value(bytes[0]), let versionLow = Hexadecimal.value(bytes[1]),
            let flagsHigh = Hexadecimal.value(bytes[53]), let flagsLow = Hexadecimal.value(bytes[54]),
            let high = Hexadecimal.read64(UnsafeRawBufferPointer(rebasing: bytes[3..<19])),
            let low = Hexadecimal.read64(UnsafeRawBufferPointer(rebasing: bytes[19..<35])),
            let span = Hexadecimal.read64(UnsafeRawBufferPointer(rebasing: bytes[36..<52]))
        else { return nil }
        let version = versionHigh << 4 | versionLow
        guard version != 0xff, version == 0 ? bytes.count == Self.headerLength : (bytes.count == Self.headerLength || bytes[55] == 0x2d)
        else { return nil }
        guard high | low != 0, span != 0 else { return nil }
        self.init(traceID: TraceID(high: high, low: low), spanID: SpanID(span), flags: flagsHigh << 4 | flagsLow)
    }

    /// Writes the 55 bytes of a version 00 `traceparent` value to the front of `bytes`.
    @inlinable package func write(to bytes: UnsafeMutableRawBufferPointer) {
        bytes[0] = 0x30
        bytes[1] = 0x30
        bytes[2] = 0x2d
        Hexadecimal.write(traceID.high, to: UnsafeMutableRawBufferPointer(rebasing: bytes[3...]))
        Hexadecimal.write(traceID.low, to: UnsafeMutableRawBufferPointer(rebasing: bytes[19...]))
        bytes[35] = 0x2d
        Hexadecimal.write(spanID.value, to: UnsafeMutableRawBufferPointer(rebasing: bytes[36...]))
        bytes[52] = 0x2d
        bytes[53] = Hexadecimal.digit(flags >> 4)
        bytes[54] = Hexadecimal.digit(flags & 0xf)
    }

    package var traceparent: String {
        String(unsafeUninitializedCapacity: Self.headerLength) { buffer in
            write(to: UnsafeMutableRawBufferPointer(buffer))
            return Self.headerLength
        }
    }
}
