internal import MeshHTTP

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
            guard let first = parts.first, let bytes = IPAddress.parse(first.utf8) else { continue }
            let bits = parts.count == 2 ? Int(parts[1]) ?? -1 : bytes.count * 8
            guard (0...bytes.count * 8).contains(bits) else { continue }
            blocks.append(Block(bytes: bytes, bits: bits))
        }
    }

    var isEmpty: Bool { blocks.isEmpty }

    /// Whether an address, given as text, is in one of the blocks.
    func contains(_ address: [UInt8]) -> Bool {
        guard !blocks.isEmpty, let bytes = IPAddress.parse(address) else { return false }
        return blocks.contains { $0.bytes.count == bytes.count && Self.agree($0.bytes, bytes, bits: $0.bits) }
    }

    private static func agree(_ left: [UInt8], _ right: [UInt8], bits: Int) -> Bool {
        for index in 0..<bits / 8 where left[index] != right[index] { return false }
        let rest = bits % 8
        guard rest > 0 else { return true }
        return (left[bits / 8] ^ right[bits / 8]) >> (8 - rest) == 0
    }
}
