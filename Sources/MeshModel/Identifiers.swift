/// The id of a trace: 16 bytes, never all zero (W3C Trace Context).
@frozen
@usableFromInline
package struct TraceID: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    @usableFromInline package var high: UInt64
    @usableFromInline package var low: UInt64

    @inlinable package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads 32 lower-case digits; nil for anything else and for the all-zero id.
    package init?(_ text: some StringProtocol) {
        guard let (high, low) = readPair(text), high | low != 0 else { return nil }
        self.init(high: high, low: low)
    }

    @inlinable package static func random(_ random: inout RandomSource) -> TraceID {
        TraceID(high: random.next(), low: random.next() | 1)
    }

    @usableFromInline package var description: String { Hexadecimal.string(high, low) }
}

/// The id of a span: 8 bytes, never zero.
@frozen
@usableFromInline
package struct SpanID: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    @usableFromInline package var value: UInt64

    @inlinable package init(_ value: UInt64) { self.value = value }

    @inlinable package static func random(_ random: inout RandomSource) -> SpanID { SpanID(random.next() | 1) }

    @usableFromInline package var description: String { Hexadecimal.string(value) }
}

/// The identity of one run of one process: a UUID, new at every start, so that what is kept by it (pools, breakers, load)
/// never outlives the process that it speaks of, although paths and ports are reused.
@frozen
@usableFromInline
package struct InstanceID: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    @usableFromInline package var high: UInt64
    @usableFromInline package var low: UInt64

    @inlinable package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A random UUID, version 4 (RFC 9562).
    package static func random(_ random: inout RandomSource) -> InstanceID {
        InstanceID(
            high: random.next() & 0xffff_ffff_ffff_0fff | 0x4000,
            low: random.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        )
    }

    /// Reads the form with hyphens, in either case.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 36, let (high, low) = readPair(String(text.filter { $0 != "-" }), anyCase: true) else { return nil }
        self.init(high: high, low: low)
    }

    @usableFromInline package var description: String {
        let digits = Array(Hexadecimal.string(high, low))
        return [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]].map { String($0) }.joined(separator: "-")
    }
}

private func readPair(_ text: some StringProtocol, anyCase: Bool = false) -> (UInt64, UInt64)? {
    let digits = Array(text.utf8)
    guard digits.count == 32 else { return nil }
    return digits.withUnsafeBytes { bytes in
        guard let high = Hexadecimal.read64(UnsafeRawBufferPointer(rebasing: bytes[..<16]), anyCase: anyCase),
            let low = Hexadecimal.read64(UnsafeRawBufferPointer(rebasing: bytes[16...]), anyCase: anyCase)
        else { return nil }
        return (high, low)
    }
}

extension InstanceID: Codable {
    @usableFromInline package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = InstanceID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a UUID: \(text)")
        }
        self = id
    }
    @usableFromInline package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension InstanceID {
    /// A UUID of version 8 (RFC 9562, 5.8) from two FNV-1a hashes of a text.
    package init(stableFor text: String) {
        func hash(_ basis: UInt64) -> UInt64 { text.utf8.reduce(basis) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 } }
        self.init(
            high: hash(0xcbf2_9ce4_8422_2325) & 0xffff_ffff_ffff_0fff | 0x8000,
            low: hash(0x8422_2325_cbf2_9ce4) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000)
    }
}
