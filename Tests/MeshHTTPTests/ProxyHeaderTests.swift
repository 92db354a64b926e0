import MeshHTTP
import MeshModel
import Testing

@Suite struct ProxyHeaderTests {
    private func read(_ bytes: [UInt8]) throws -> ProxyHeader? { try bytes.withUnsafeBytes { try ProxyHeader($0) } }

    private func client(_ header: ProxyHeader?) -> String? { header?.client.map { String(decoding: $0, as: UTF8.self) } }

    private static let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]

    private static func binary(command: UInt8 = 0x21, family: UInt8, _ block: [UInt8]) -> [UInt8] {
        signature + [command, family, UInt8(block.count >> 8), UInt8(block.count & 255)] + block
    }

    static let valid: [(bytes: [UInt8], client: String?)] = [
        (Array("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".utf8), "192.0.2.1"),
        (Array("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n".utf8), "2001:db8::1"),
        (Array("PROXY UNKNOWN\r\n".utf8), nil), (Array("PROXY UNKNOWN ffff:: whatever 0 0\r\n".utf8), nil),
        (binary(family: 0x11, [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 0xbb]), "192.0.2.1"),
        (
            binary(family: 0x21, [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [1] + [UInt8](repeating: 9, count: 20)),
            "2001:db8::1"
        ),
        // With extensions behind the addresses.
        (binary(family: 0x11, [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 0xbb, 4, 0, 1, 0]), "192.0.2.1"),
        (binary(command: 0x20, family: 0, []), nil), (binary(family: 0x31, [UInt8](repeating: 0, count: 216)), nil),
    ]

    @Test(arguments: valid.indices) func isReadToItsEndHoweverItComes(_ index: Int) throws {
        let (bytes, expected) = Self.valid[index]
        for count in 0..<bytes.count { #expect(try read(Array(bytes[..<count])) == nil, "\(count)") }
        for rest in [[], Array("GET / HTTP/1.1\r\n".utf8)] {
            let header = try #require(try read(bytes + rest))
            #expect(header.length == bytes.count && client(header) == expected)
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "PROXY\r\n", "PROXY TCP4\r\n", "PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", "PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n", "PROXY TCP4 ::1 ::1 1 1\r\n",
        "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n",
        "proxy UNKNOWN\r\n",
        "PROXY UNKNOWN " + String(repeating: "x", count: 100) + "\r\n", "\r\n\r\n\0\r\nQUIX",
    ])
    func anythingElseIsRefused(_ text: String) {
        #expect(throws: ProxyHeader.Invalid.self) { try read(Array(text.utf8)) }
    }

    @Test func aBinaryHeaderThatContradictsItselfIsRefused() {
        for bytes in [
            Self.binary(command: 0x11, family: 0x11, [UInt8](repeating: 0, count: 12)), Self.binary(command: 0x22, family: 0x11, []),
            Self.binary(family: 0x11, [1, 2, 3]), Self.binary(family: 0x21, [UInt8](repeating: 0, count: 12)),
            Self.signature + [0x21, 0x11, 0xff, 0xff],
        ] {
            #expect(throws: ProxyHeader.Invalid.self) { try read(bytes) }
        }
    }

    @Test(arguments: [
        "192.0.2.1", "::", "::1", "2001:db8::1", "1::", "2001:db8:0:1:1:1:1:1", "2001:0:0:1::1", "fe80::1:0:0:1", "1:2:3:4:5:6:7:8",
    ])
    func addressesAreWrittenInTheirNormalForm(_ text: String) throws {
        #expect(String(decoding: IPAddress.text(try #require(IPAddress.parse(text.utf8))), as: UTF8.self) == text)
    }

    @Test(arguments: 0..<200) func noiseIsAnErrorAndNeverACrash(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var bytes = Self.valid[Int(random.next() % UInt64(Self.valid.count))].bytes
        for _ in 0..<(random.next() % 4 + 1) { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
        if let header = try? read(bytes) { #expect(header.length <= bytes.count) }
    }
}
