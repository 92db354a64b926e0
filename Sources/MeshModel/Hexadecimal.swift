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
        precondition(bytes.count >= 16, "no room for the digits")
        bytes.storeBytes(of: digits(UInt32(truncatingIfNeeded: value >> 32)).littleEndian, as: UInt64.self)
        bytes.storeBytes(of: digits(UInt32(truncatingIfNeeded: value)).littleEndian, toByteOffset: 8, as: UInt64.self)
    }

    /// Eight digits, the first in the lowest byte: the nibbles are spread over the bytes of a word, and all are turned into
    /// letters at once. No sum carries from one byte to the next.
    @inlinable static func digits(_ value: UInt32) -> UInt64 {
        var word = UInt64(value.byteSwapped)
        word = (word | word << 16) & 0x0000_ffff_0000_ffff
        word = (word | word << 8) & 0x00ff_00ff_00ff_00ff
        word = (word >> 4 | word << 8) & 0x0f0f_0f0f_0f0f_0f0f
        let letters = (word &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return word &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
    }

    package static func string(_ values: UInt64...) -> String {
        String(unsafeUninitializedCapacity: values.count * 16) { buffer in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for (index, value) in values.enumerated() { write(value, to: UnsafeMutableRawBufferPointer(rebasing: raw[(index * 16)...])) }
            return values.count * 16
        }
    }
}
