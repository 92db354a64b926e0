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
        guard count <= Authority.longest else { return nil }
        guard let colon = Authority.hostEnd(bytes), let port = Authority.port(bytes, colon) else { return nil }
        var hasUpperCase = false
        for index in 0..<colon where bytes[index] &- 0x41 < 26 { hasUpperCase = true }
        // The root's dot says nothing that the name does not, and neither do an empty port and leading zeros.
        let hasDot = colon > 1 && bytes[colon &- 1] == ASCII.dot
        let isPlainPort = colon == count || colon &+ 1 < count && bytes[colon &+ 1] != 0x30
        self.host = ByteRange(from: 0, to: hasDot ? colon &- 1 : colon)
        self.port = port < 0 ? nil : UInt16(port)
        self.isNormal = !hasUpperCase && !hasDot && isPlainPort
    }

    /// Appends the normal form: lower case, no root dot, the port only where there is one and it is not the scheme's own.
    package func writeNormal<Sink: ByteSink>(_ bytes: UnsafeRawBufferPointer, defaultPort: UInt16? = nil, into sink: inout Sink) {
        let name = bytes[host]
        sink.append(atMost: name.count) { out in
            for index in 0..<name.count { out[index] = ASCII.lowercase(name[index]) }
            return name.count
        }
        guard let port, port != defaultPort else { return }
        sink.append(":")
        sink.append(decimal: UInt64(port))
    }

    /// Whether the host, without the port, is `name`, which is in lower case.
    package func hostEquals(_ name: UnsafeRawBufferPointer, in bytes: UnsafeRawBufferPointer) -> Bool {
        bytes[host].equalsIgnoringCase(name)
    }

    /// Whether `init` would take the bytes.
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count <= longest, let colon = hostEnd(bytes) else { return false }
        return port(bytes, colon) != nil
    }

    /// A name of 255 bytes, a colon and a port.
    private static let longest = 261

    /// The offset behind the host, where the bytes end or a colon is; nil where there is no valid host.
    @inline(__always)
    private static func hostEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return nil }
        if ASCII.byte(base, 0) == 0x5b { return addressEnd(bytes) }
        var index = 0
        while index < bytes.count, ASCII.isUnreserved(ASCII.byte(base, index)) { index &+= 1 }
        guard index > 0, index == bytes.count || ASCII.byte(base, index) == ASCII.colon else { return nil }
        return index
    }

    /// The port behind the host; -1 where there is none, nil where it is no port.
    @inline(__always)
    private static func port(_ bytes: UnsafeRawBufferPointer, _ colon: Int) -> Int32? {
        guard colon &+ 1 < bytes.count, let base = bytes.baseAddress else { return -1 }
        guard bytes.count &- colon <= 6 else { return nil }
        var value: Int32 = 0
        for index in colon &+ 1..<bytes.count {
            let byte = ASCII.byte(base, index)
            guard ASCII.isDigit(byte) else { return nil }
            value = value &* 10 &+ Int32(byte &- 0x30)
        }
        return value <= 65535 ? value : nil
    }

    /// The offset behind the bracket that closes an IPv6 address; nil where it is none. Zones are refused.
    @inline(never)
    private static func addressEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var index = 1
        var colons = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0x5d {
                guard colons >= 2, index <= 46, index &+ 1 == bytes.count || bytes[index &+ 1] == ASCII.colon else { return nil }
                return index &+ 1
            }
            if byte == ASCII.colon {
                colons &+= 1
            } else if !ASCII.isDigit(byte), (byte | 0x20) &- 0x61 >= 6, byte != ASCII.dot {
                return nil
            }
            index &+= 1
        }
        return nil
    }
}
