/// What a balancer says of a connection before its first byte: the PROXY protocol, versions 1 and 2 (HAProxy's specification of 2020).
///
/// Invariant: as many bytes are read as the header has; it is never guessed whether one is there.
package struct ProxyHeader: Hashable, Sendable {
    /// Bytes of the connection that belong to it.
    package var length: Int
    /// The client's address as text; nil where the balancer speaks for itself (`LOCAL`) or does not say.
    package var client: [UInt8]?

    /// Why bytes are no such header.
    package struct Invalid: Error, Hashable, Sendable {}

    /// The longest line of version 1, with its end.
    package static let mostLine = 107
    /// Of version 2, addresses and extensions together.
    package static let mostBlock = 4096

    private static let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]

    /// - Parameter bytes: the connection's first ones.
    /// - Returns: nil while more are needed.
    package init?(_ bytes: UnsafeRawBufferPointer) throws(Invalid) {
        if bytes.prefix(Self.signature.count).elementsEqual(Self.signature.prefix(bytes.count)) {
            guard let header = try Self.binary(bytes) else { return nil }
            self = header
        } else {
            guard let header = try Self.line(bytes) else { return nil }
            self = header
        }
    }

    private init(length: Int, client: [UInt8]?) {
        self.length = length
        self.client = client
    }

    // MARK: - Version 1

    private static func line(_ bytes: UnsafeRawBufferPointer) throws(Invalid) -> ProxyHeader? {
        let begin: StaticString = "PROXY "
        let start = UnsafeRawBufferPointer(start: begin.utf8Start, count: min(begin.utf8CodeUnitCount, bytes.count))
        guard bytes.prefix(start.count).elementsEqual(start) else { throw Invalid() }
        guard let end = bytes.prefix(mostLine).firstIndex(of: ASCII.lineFeed) else {
            if bytes.count >= mostLine { throw Invalid() }
            return nil
        }
        guard end > 0, bytes[end - 1] == ASCII.carriageReturn else { throw Invalid() }
        let words = bytes[..<(end - 1)].split(separator: ASCII.space, omittingEmptySubsequences: false)
        guard words.count >= 2 else { throw Invalid() }
        // The rest of the line is to be ignored then.
        if words[1].elementsEqual("UNKNOWN".utf8) { return ProxyHeader(length: end + 1, client: nil) }
        let isIPv4 = words[1].elementsEqual("TCP4".utf8)
        guard isIPv4 || words[1].elementsEqual("TCP6".utf8), words.count == 6 else { throw Invalid() }
        for address in words[2...3] where !isAddress(address, isIPv4: isIPv4) { throw Invalid() }
        for port in words[4...5] where !isPort(port) { throw Invalid() }
        return ProxyHeader(length: end + 1, client: Array(words[2]))
    }

    private static func isAddress(_ text: some Collection<UInt8>, isIPv4: Bool) -> Bool {
        guard let bytes = IPAddress.parse(text) else { return false }
        return isIPv4 ? bytes.count == 4 && !text.contains(UInt8(ascii: ":")) : text.contains(UInt8(ascii: ":"))
    }

    private static func isPort(_ text: some Collection<UInt8>) -> Bool {
        guard (1...5).contains(text.count), text.allSatisfy({ (0x30...0x39).contains($0) }) else { return false }
        return text.reduce(0) { $0 * 10 + Int($1 - 0x30) } <= 65535
    }

    // MARK: - Version 2

    private static func binary(_ bytes: UnsafeRawBufferPointer) throws(Invalid) -> ProxyHeader? {
        guard bytes.count >= 16 else { return nil }
        guard bytes[12] >> 4 == 2, bytes[12] & 15 <= 1 else { throw Invalid() }
        let block = Int(bytes[14]) << 8 | Int(bytes[15])
        guard block <= mostBlock else { throw Invalid() }
        guard bytes.count >= 16 + block else { return nil }
        // 0 is LOCAL: the balancer's own connection, for instance to see whether we live.
        guard bytes[12] & 15 == 1 else { return ProxyHeader(length: 16 + block, client: nil) }
        let size: Int
        switch bytes[13] >> 4 {
        case 1: size = 4
        case 2: size = 16
        // Unspecified, or a Unix socket.
        default: return ProxyHeader(length: 16 + block, client: nil)
        }
        guard block >= 2 * size + 4 else { throw Invalid() }
        return ProxyHeader(length: 16 + block, client: IPAddress.text(bytes[16..<(16 + size)]))
    }
}
