/// The bytes that HTTP/1.1 gives a meaning to, and its character classes as bit sets (RFC 9110 5.6, RFC 3986 2).
@frozen
@usableFromInline
package enum ASCII {
    @inlinable package static var tab: UInt8 { 0x09 }
    @inlinable package static var lineFeed: UInt8 { 0x0a }
    @inlinable package static var carriageReturn: UInt8 { 0x0d }
    @inlinable package static var space: UInt8 { 0x20 }
    @inlinable package static var hash: UInt8 { 0x23 }
    @inlinable package static var percent: UInt8 { 0x25 }
    @inlinable package static var comma: UInt8 { 0x2c }
    @inlinable package static var hyphen: UInt8 { 0x2d }
    @inlinable package static var dot: UInt8 { 0x2e }
    @inlinable package static var slash: UInt8 { 0x2f }
    @inlinable package static var colon: UInt8 { 0x3a }
    @inlinable package static var semicolon: UInt8 { 0x3b }
    @inlinable package static var question: UInt8 { 0x3f }
    @inlinable package static var delete: UInt8 { 0x7f }

    @inlinable package static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    @inlinable package static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
    @inlinable package static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
    @inlinable package static func lowercase(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
    /// VCHAR, obs-text, SP and HTAB: what a field value or a reason phrase may hold.
    @inlinable package static func isText(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7f || byte == 0x09 }

    /// `tchar` of RFC 9110 5.6.2.
    @inlinable package static func isToken(_ byte: UInt8) -> Bool {
        contains(byte, low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe)
    }

    /// `unreserved` of RFC 3986 2.3: letters, digits and `-._~`.
    @inlinable package static func isUnreserved(_ byte: UInt8) -> Bool {
        contains(byte, low: 0x03ff_6000_0000_0000, high: 0x47ff_fffe_87ff_fffe)
    }

    /// `pchar` of RFC 3986 3.3 and `/`, without the percent sign.
    @inlinable package static func isPath(_ byte: UInt8) -> Bool {
        contains(byte, low: 0x2fff_ffd2_0000_0000, high: 0x47ff_fffe_87ff_ffff)
    }

    @inlinable @inline(__always)
    static func contains(_ byte: UInt8, low: UInt64, high: UInt64) -> Bool {
        guard byte < 0x80 else { return false }
        return (byte < 0x40 ? low : high) &>> UInt64(byte & 0x3f) & 1 != 0
    }
}

extension ASCII {
    /// Eight bytes from `offset`, the first in the lowest bits.
    @inline(__always)
    static func word(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// At most eight characters as the word that `word(_:_:)` reads, zeros behind them.
    @inline(__always)
    static func word(_ text: StaticString) -> UInt64 {
        var result: UInt64 = 0
        for index in 0..<text.utf8CodeUnitCount { result |= UInt64(text.utf8Start[index]) &<< UInt64(index &* 8) }
        return result
    }

    /// Four characters likewise.
    @inline(__always)
    static func half(_ text: StaticString) -> UInt32 { UInt32(truncatingIfNeeded: word(text)) }

    @inline(__always)
    static func byte(_ base: UnsafeRawPointer, _ offset: Int) -> UInt8 { base.load(fromByteOffset: offset, as: UInt8.self) }

    /// Whether CR LF is at `offset`; both bytes must be there.
    @inline(__always)
    static func isLineEnd(_ base: UnsafeRawPointer, _ offset: Int) -> Bool {
        UInt16(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self)) == 0x0a0d
    }

    /// The first offset in `start..<end` whose byte is neither a letter nor a hyphen; `end` when there is none.
    ///
    /// Sixteen bytes at once; never reads at or after `end`. Sums carry out of bytes beyond ASCII only, which are hits themselves, so
    /// the lowest hit is exact.
    @inline(__always)
    static func skipLettersAndHyphens(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var index = start
        while index &+ 16 <= end {
            let first = otherThanLettersAndHyphens(word(base, index))
            let second = otherThanLettersAndHyphens(word(base, index &+ 8))
            if first | second != 0 {
                return first != 0
                    ? index &+ first.trailingZeroBitCount &>> 3 : index &+ 8 &+ second.trailingZeroBitCount &>> 3
            }
            index &+= 16
        }
        if index &+ 8 <= end {
            // Without a hit there are 64 zeros: eight bytes.
            index &+= otherThanLettersAndHyphens(word(base, index)).trailingZeroBitCount &>> 3
        }
        while index < end {
            let byte = byte(base, index)
            guard isLetter(byte) || byte == hyphen else { return index }
            index &+= 1
        }
        return index
    }

    /// The high bit of each byte that is neither a letter nor a hyphen; exact up to the lowest one.
    @inline(__always)
    private static func otherThanLettersAndHyphens(_ bytes: UInt64) -> UInt64 {
        let lower = bytes | 0x2020_2020_2020_2020
        let letter = (lower &+ 0x1f1f_1f1f_1f1f_1f1f) & ~(lower &+ 0x0505_0505_0505_0505)
        let notHyphen = (bytes ^ 0x2d2d_2d2d_2d2d_2d2d) &+ 0x7f7f_7f7f_7f7f_7f7f
        return (~letter & notHyphen | bytes) & 0x8080_8080_8080_8080
    }

    /// The first offset in `start..<end` whose byte is no text (see `isText`); `end` when there is none.
    ///
    /// The word test may stop too early (a tab, 0x7e behind 0xff), never too late; the byte it stopped at is then looked at alone.
    @inline(__always)
    static func skipText(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var index = start
        while true {
            words: do {
                while index &+ 16 <= end {
                    let first = noText(word(base, index))
                    let second = noText(word(base, index &+ 8))
                    if (first | second) & 0x8080_8080_8080_8080 != 0 {
                        let lower = first & 0x8080_8080_8080_8080
                        if lower != 0 {
                            index &+= lower.trailingZeroBitCount &>> 3
                        } else {
                            index &+= 8 &+ (second & 0x8080_8080_8080_8080).trailingZeroBitCount &>> 3
                        }
                        break words
                    }
                    index &+= 16
                }
                if index &+ 8 <= end {
                    // Without a hit there are 64 zeros: eight bytes.
                    index &+= (noText(word(base, index)) & 0x8080_8080_8080_8080).trailingZeroBitCount &>> 3
                }
            }
            guard index < end else { return index }
            let byte = byte(base, index)
            guard byte != carriageReturn, isText(byte) else { return index }
            index &+= 1
        }
    }

    /// The high bit of each byte that may be no text, among others; see `skipText`.
    @inline(__always)
    private static func noText(_ bytes: UInt64) -> UInt64 {
        ((bytes &- 0x2020_2020_2020_2020) | (bytes &+ 0x0101_0101_0101_0101)) & ~bytes
    }

    /// The first line feed in `start..<end`; nil when there is none.
    static func lineFeed(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int? {
        var index = start
        while index &+ 8 <= end {
            let bytes = word(base, index) ^ 0x0a0a_0a0a_0a0a_0a0a
            let hits = (bytes &- 0x0101_0101_0101_0101) & ~bytes & 0x8080_8080_8080_8080
            if hits != 0 { return index &+ hits.trailingZeroBitCount &>> 3 }
            index &+= 8
        }
        while index < end {
            if byte(base, index) == lineFeed { return index }
            index &+= 1
        }
        return nil
    }
}
