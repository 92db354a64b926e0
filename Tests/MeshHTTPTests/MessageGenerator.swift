import MeshHTTP
import MeshModel

/// Makes messages that are valid, and spoils them.
struct MessageGenerator {
    var random: RandomSource

    init(seed: UInt64) { random = RandomSource(seed: seed) }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[random.next(below: elements.count)] }

    mutating func string(_ characters: String, _ counts: ClosedRange<Int>) -> String {
        let scalars = Array(characters.unicodeScalars)
        var result = ""
        for _ in 0..<counts.lowerBound + random.next(below: counts.count) { result.unicodeScalars.append(pick(scalars)) }
        return result
    }

    static let names = KnownField.allCases.map { "\($0.name)" } + ["accept", "user-agent", "x-a.b_c", "cookie", "mesh-else", "sec-ch-ua-1"]
    static let ruling: Set<String> = [
        "", "host", "content-length", "transfer-encoding", "connection", "expect", "upgrade",
    ]

    mutating func field() -> String {
        var name = pick(Self.names)
        while Self.ruling.contains(name) { name = string("abcxyz-XYZ0123!~", 1...20) }
        while Self.ruling.contains(name.lowercased()) { name += "x" }
        if random.next(below: 3) == 0 { name = name.uppercased() }
        let value = random.next(below: 8) == 0 ? "" : string("abc DEF,;=\"\t\u{e9}\u{ff}~/:0123", 0...60)
        return "\(name):\(string(" \t", 0...2))\(value)\(string(" \t", 0...2))"
    }

    /// A valid request without its body, and the framing it announces.
    mutating func request() -> (String, BodyFraming) {
        var lines = (0..<random.next(below: 12)).map { _ in field() }
        lines.insert(
            "\(pick(["Host", "host", "HOST"])): \(pick(["a", "shop.example:8080", "[::1]:80", "127.0.0.1"]))",
            at: random.next(below: lines.count + 1))
        var framing = BodyFraming.none
        switch random.next(below: 4) {
        case 0:
            let length = random.next(below: 2000)
            lines.insert("Content-Length: \(length)", at: random.next(below: lines.count + 1))
            framing = .length(UInt64(length))
        case 1:
            lines.insert("Transfer-Encoding: \(pick(["chunked", "Chunked"]))", at: random.next(below: lines.count + 1))
            framing = .chunked
        default: break
        }
        if random.next(below: 3) == 0 { lines.append("Connection: \(pick(["close", "keep-alive", "te, X-Hop", "upgrade"]))") }
        let target = pick(["/", "/a/b;c?d=e", "http://a:80/x?y", "/" + string("abc%2F._~/", 0...80)])
        return ("\(pick(["GET", "POST", "PATCH", "X-Y"])) \(target) HTTP/1.1\r\n\(lines.joined(separator: "\r\n"))\r\n\r\n", framing)
    }

    mutating func response() -> String {
        var lines = (0..<random.next(below: 8)).map { _ in field() }
        switch random.next(below: 3) {
        case 0: lines.append("Content-Length: \(random.next(below: 2000))")
        case 1: lines.append("Transfer-Encoding: chunked")
        default: break
        }
        let head = "HTTP/1.\(random.next(below: 2)) \(pick([100, 103, 200, 204, 304, 404, 503])) \(pick(["", "OK", "Not \u{e9}"]))"
        return "\(head)\r\n\(lines.map { $0 + "\r\n" }.joined())\r\n"
    }

    mutating func chunkedBody() -> [UInt8] {
        var body: [UInt8] = []
        for _ in 0..<random.next(below: 4) {
            let data = string("abc\r\n0", 1...40)
            body += bytes("\(String(bytes(data).count, radix: 16))\(pick(["", "", ";a=b", " ;x"]))\r\n\(data)\r\n")
        }
        return body + bytes("0\r\n\(pick(["", "", "Digest: a\r\n", "X: \r\nY: z\r\n"]))\r\n")
    }

    /// Pieces that attacks are made of.
    static let spoilers = [
        "\r", "\n", "\r\n", "\r\n\r\n", "\u{0}", " ", "\t", ":", ",", ";", "\u{b}", "\u{7f}", "\u{ff}", "\u{80}", "0", "chunked",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n", "Host: b\r\n", "Connection: host\r\n", "HTTP/1.1", "ffffffffffffffff", "%", "[", "]", "#", "?",
        "@", "-", "+", "\r\n ",
    ]

    mutating func spoil(_ message: [UInt8]) -> [UInt8] {
        var result = message
        for _ in 0...random.next(below: 3) {
            let at = random.next(below: result.count + 1)
            switch random.next(below: 6) {
            case 0: result.insert(contentsOf: bytes(pick(Self.spoilers)), at: at)
            case 1 where at < result.count: result[at] = UInt8(truncatingIfNeeded: random.next())
            case 2 where at < result.count: result[at] ^= 1 << UInt8(random.next(below: 8))
            case 3 where at < result.count: result.remove(at: at)
            case 4:
                let end = min(result.count, at + random.next(below: 20))
                result.insert(contentsOf: Array(result[at..<end]), at: random.next(below: result.count + 1))
            case 5: result.removeSubrange(at..<min(result.count, at + random.next(below: 10)))
            default: break
            }
        }
        return result
    }
}
