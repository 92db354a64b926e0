/// A host with an optional port (RFC 3986 3.2, without user information), as Host and absolute targets carry it.
///
/// A registered name is letters, digits, `-`, `.`, `_` and `~`: percent-encodings and sub-delimiters are refused, since no name that
/// resolves has them and proxies read them differently. An empty host is refused.
package struct Authority: Hashable, Sendable, BitwiseCopyable {
    /// The name or address, brackets included, without the port.
    package let host: ByteRange
    package let port: UInt16?
    /// Whether the bytes are their own normal form.
    package let isNormal: Bool

    package init?(_ bytes: UnsafeRawBufferPointer) {
        let count = bytes.count
        guard count > 0, count <= 262 else { return nil }
        var index = 0
        var hasUpperCase = false
        if bytes[0] == 0x5b {
            guard let end = Authority.addressEnd(bytes, &hasUpperCase) else { return nil }
            index = end
        } else {
            while index < count, ASCII.isUnreserved(bytes[index]) {
                if bytes[index] &- 0x41 < 26 { hasUpperCase = true }
                index &+= 1
            }
            guard index > 0 else { return nil }
        }
        let hostEnd = index
        var port: UInt16?
        var isPlainPort = true
        if index < count {
            guard bytes[index] == ASCII.colon, count &- index <= 6 else { return nil }
            index &+= 1
            var value: UInt32 = 0
            isPlainPort = index < count && bytes[index] != 0x30
            while index < count {
                guard ASCII.isDigit(bytes[index]) else { return nil }
                value = value &* 10 &+ UInt32(bytes[index] &- 0x30)
                index &+= 1
            }
            guard value <= 65535 else { return nil }
            if hostEnd &+ 1 < count { port = UInt16(value) }
        }
        // The root's dot says nothing that the name does not.
        let hasDot = hostEnd > 1 && bytes[hostEnd &- 1] == ASCII.dot
        self.host = ByteRange(from: 0, to: hasDot ? hostEnd &- 1 : hostEnd)
        self.port = port
        self.isNormal = !hasUpperCase && !hasDot && isPlainPort
    }

    /// The offset behind the bracket that closes an IPv6 address; nil where it is none. Zones are refused.
    private static func addressEnd(_ bytes: UnsafeRawBufferPointer, _ hasUpperCase: inout Bool) -> Int? {
        var index = 1
        var colons = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0x5d { return colons >= 2 && index <= 46 ? index &+ 1 : nil }
            if byte == ASCII.colon {
                colons &+= 1
            } else if byte &- 0x41 < 6 {
                hasUpperCase = true
            } else if !ASCII.isDigit(byte), byte &- 0x61 >= 6, byte != ASCII.dot {
                return nil
            }
            index &+= 1
        }
        return nil
    }
}
