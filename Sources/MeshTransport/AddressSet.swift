/// Addresses and CIDR blocks, as `trusted_proxies` lists them.
struct AddressSet {
    private struct Block {
        var bytes: [UInt8]
        var bits: Int
    }

    private var blocks: [Block] = []

    init() {}

    /// Entries that are no address are left out: the configuration's check has named them.
    init(_ entries: [String]) {
        for entry in entries {
            let parts = entry.split(separator: "/", maxSplits: 1)
            guard let first = parts.first, let bytes = Self.parse(first.utf8) else { continue }
            let bits = parts.count == 2 ? Int(parts[1]) ?? -1 : bytes.count * 8
            guard (0...bytes.count * 8).contains(bits) else { continue }
            blocks.append(Block(bytes: bytes, bits: bits))
        }
    }

    /// Whether an address, given as text, is in one of the blocks.
    func contains(_ address: [UInt8]) -> Bool {
        guard !blocks.isEmpty, let bytes = Self.parse(address) else { return false }
        return blocks.contains { $0.bytes.count == bytes.count && Self.agree($0.bytes, bytes, bits: $0.bits) }
    }

    private static func agree(_ left: [UInt8], _ right: [UInt8], bits: Int) -> Bool {
        for index in 0..<bits / 8 where left[index] != right[index] { return false }
        let rest = bits % 8
        guard rest > 0 else { return true }
        return (left[bits / 8] ^ right[bits / 8]) >> (8 - rest) == 0
    }

    /// 4 or 16 bytes; an IPv4 address in IPv6 form (`::ffff:a.b.c.d`) counts as IPv4.
    static func parse(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.contains(UInt8(ascii: ":")) else { return parseIPv4(text) }
        // At most one `::`, which stands for as many zero groups as are missing.
        let string = String(decoding: text, as: UTF8.self)
        guard let gap = string.firstRange(of: "::") else {
            return groups(string[...]).flatMap { $0.count == 16 ? mapped($0) : nil }
        }
        guard let head = groups(string[..<gap.lowerBound]), let tail = groups(string[gap.upperBound...]), head.count + tail.count <= 14
        else { return nil }
        return mapped(head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail)
    }

    private static func mapped(_ bytes: [UInt8]) -> [UInt8] {
        bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff ? Array(bytes[12...]) : bytes
    }

    private static func groups(_ text: Substring) -> [UInt8]? {
        guard !text.isEmpty else { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, part.contains(".") {
                guard let last = parseIPv4(part.utf8) else { return nil }
                bytes += last
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.first != UInt8(ascii: "+"), let group = UInt16(part, radix: 16) else {
                    return nil
                }
                bytes += [UInt8(group >> 8), UInt8(group & 0xff)]
            }
        }
        return bytes
    }

    private static func parseIPv4(_ text: some Collection<UInt8>) -> [UInt8]? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                let byte = UInt8(String(decoding: part, as: UTF8.self))
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
