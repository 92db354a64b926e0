/// IP addresses between text and bytes.
package enum IPAddress {
    /// 4 or 16 bytes; an IPv4 address in IPv6 form (`::ffff:a.b.c.d`) counts as IPv4.
    package static func parse(_ text: some Collection<UInt8>) -> [UInt8]? {
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

    /// The written form (RFC 5952 for IPv6) of 4 or 16 bytes.
    package static func text(_ bytes: some Collection<UInt8>) -> [UInt8] {
        let bytes = Array(bytes)
        if bytes.count == 4 { return Array(bytes.map { String($0) }.joined(separator: ".").utf8) }
        let groups = (0..<8).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }
        // The longest run of two zero groups at least, the first of equal ones.
        var run = 0..<0
        var start = 0
        while start < 8 {
            let end = groups[start...].firstIndex { $0 != 0 } ?? 8
            if end - start > max(run.count, 1) { run = start..<end }
            start = end + 1
        }
        func joined(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        guard !run.isEmpty else { return Array(joined(groups[...]).utf8) }
        return Array("\(joined(groups[..<run.lowerBound]))::\(joined(groups[run.upperBound...]))".utf8)
    }
}
