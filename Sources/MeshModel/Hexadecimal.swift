/// Lower-case base 16, as trace contexts and UUIDs are written.
@usableFromInline
package enum Hexadecimal {
    @inlinable package static func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble }

    /// The value of one digit; upper case is refused unless `anyCase`, since W3C Trace Context allows lower case only.
    @inlinable package static func value(_ byte: UInt8, anyCase: Bool = false) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte &- 0x30
        case 0x61...0x66: byte &- 0x57
        case 0x41...0x46 where anyCase: byte &- 0x37
        default: nil
        }
    }

    /// Reads exactly 16 digits; nil when one of them is none.
    @inlinable package static func read64(_ bytes: UnsafeRawBufferPointer, anyCase: Bool = false) -> UInt64? {
        guard bytes.count == 16 else { return nil }
        var result: UInt64 = 0
        for byte in bytes {
            guard let nibble = value(byte, anyCase: anyCase) else { return nil }
            result = result << 4 | UInt64(nibble)
        }
        return result
    }

    /// Writes 16 digits to the front of `bytes`, which must have room for them.
    @inlinable package static func write(_ value: UInt64, to bytes: UnsafeMutableRawBufferPointer) {
        for index in 0..<16 {
            bytes[index] = digit(UInt8(truncatingIfNeeded: value >> UInt64(60 - 4 * index)) & 0xf)
        }
    }

    package static func string(_ values: UInt64...) -> String {
        String(unsafeUninitializedCapacity: values.count * 16) { buffer in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for (index, value) in values.enumerated() { write(value, to: UnsafeMutableRawBufferPointer(rebasing: raw[(index * 16)...])) }
            return values.count * 16
        }
    }
}
