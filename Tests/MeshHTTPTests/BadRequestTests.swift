import MeshHTTP
import Testing

/// Requests that must be refused, because two readers could take them for different ones, or because the limits say so.
@Suite struct BadRequestTests {
    static let startLines: [(String, MessageError.Reason)] = [
        ("GET /\r\n", .requestLine), ("GET  / HTTP/1.1\r\n", .requestLine), (" GET / HTTP/1.1\r\n", .requestLine),
        ("GET / HTTP/1.1 \r\n", .version), ("GET /\tHTTP/1.1\r\n", .target), ("GET\t/ HTTP/1.1\r\n", .requestLine),
        ("GET / x HTTP/1.1\r\n", .version), ("GET /  HTTP/1.1\r\n", .version), ("GET\r\n", .requestLine), ("\u{16}\u{3}\u{1}\r\n", .method),
        ("G{T / HTTP/1.1\r\n", .method), ("G\u{e9}T / HTTP/1.1\r\n", .method), ("GET\u{0} / HTTP/1.1\r\n", .method),
        (String(repeating: "G", count: 33) + " / HTTP/1.1\r\n", .method),
        ("GET / HTTP/1.1\n", .bareLineFeed), ("GET / HTTP/1.1\rX", .bareCarriageReturn), ("GET /\nHTTP/1.1\r\n", .bareLineFeed),
        ("\nGET / HTTP/1.1\r\n", .bareLineFeed), ("\rGET / HTTP/1.1\r\n", .bareCarriageReturn), ("GET\n/ HTTP/1.1\r\n", .bareLineFeed),
        ("GET /\u{0} HTTP/1.1\r\n", .target), ("GET /\u{7f} HTTP/1.1\r\n", .target), ("GET /\u{e9} HTTP/1.1\r\n", .target),
        ("GET /a#b HTTP/1.1\r\n", .target), ("GET /a?b#c HTTP/1.1\r\n", .target), ("GET /a?b\u{0} HTTP/1.1\r\n", .target),
        ("GET a HTTP/1.1\r\n", .targetForm), ("GET * HTTP/1.1\r\n", .targetForm), ("OPTIONS ** HTTP/1.1\r\n", .targetForm),
        ("GET ftp://a/ HTTP/1.1\r\n", .targetForm), ("GET http:/a HTTP/1.1\r\n", .targetForm), ("GET ?a HTTP/1.1\r\n", .targetForm),
        ("GET shop:443 HTTP/1.1\r\n", .targetForm), ("CONNECT /a HTTP/1.1\r\n", .targetForm), ("CONNECT shop HTTP/1.1\r\n", .targetForm),
        ("CONNECT http://a/ HTTP/1.1\r\n", .targetForm), ("CONNECT a:1?b HTTP/1.1\r\n", .targetForm),
        ("GET http:///a HTTP/1.1\r\n", .invalidHost), ("GET http://u@a/ HTTP/1.1\r\n", .invalidHost),
        ("GET http://a:x/ HTTP/1.1\r\n", .invalidHost),
        ("GET / http/1.1\r\n", .version), ("GET / HTTP/11\r\n", .version), ("GET / HTTP/1.\r\n", .version),
        ("GET / HTTP/1.10\r\n", .version),
        ("GET / HTTP/1\r\n", .version), ("GET / HTTP/a.b\r\n", .version), ("GET / XTTP/1.1\r\n", .version),
        ("GET / HTTP 1.1\r\n", .version),
        ("GET / HTTP/2.0\r\n", .versionUnsupported), ("GET / HTTP/0.9\r\n", .versionUnsupported),
        ("GET / HTTP/1.2\r\n", .versionUnsupported),
        ("PRI * HTTP/2.0\r\n", .versionUnsupported),
    ]

    @Test(arguments: startLines)
    func badStartLinesAreRefused(_ line: String, _ reason: MessageError.Reason) {
        #expect(readRequestAllWays(bytes(line + "Host: a\r\n\r\n")) == .refused(MessageError(reason)))
    }

    static let fields: [(String, MessageError.Reason)] = [
        // Names.
        (": x\r\n", .emptyFieldName), ("X : y\r\n", .spaceBeforeColon), ("X\t: y\r\n", .spaceBeforeColon),
        ("X y: z\r\n", .spaceBeforeColon),
        ("X\r\n", .missingColon), ("X", .missingColon), ("X\u{0}: y\r\n", .fieldName), ("X\u{e9}: y\r\n", .fieldName),
        ("X(: y\r\n", .fieldName),
        ("\"X\": y\r\n", .fieldName), ("X@: y\r\n", .fieldName), ("X[]: y\r\n", .fieldName), ("X{: y\r\n", .fieldName),
        ("X\u{7f}: y\r\n", .fieldName),
        ("Content\u{d}Length: 5\r\n", .missingColon), ("X/Y: z\r\n", .fieldName), ("X;: z\r\n", .fieldName), ("X=: z\r\n", .fieldName),
        // Folding.
        (" X: y\r\n", .foldedLine), ("\tX: y\r\n", .foldedLine), ("X: y\r\n z\r\n", .foldedLine), ("X: y\r\n\tz\r\n", .foldedLine),
        // Values and line ends.
        ("X: a\u{0}b\r\n", .fieldValue), ("X: a\u{1}b\r\n", .fieldValue), ("X: \u{8}\r\n", .fieldValue), ("X: a\u{1f}\r\n", .fieldValue),
        ("X: a\u{7f}\r\n", .fieldValue), ("X: a\u{b}\r\n", .fieldValue), ("X: a\u{c}b\r\n", .fieldValue),
        ("X: \u{ff}\u{7f}\r\n", .fieldValue), ("X: \u{ff}~~~~~~~~\u{7f}\r\n", .fieldValue),
        ("X: \t\t\t\t\t\t\t\t\t\t\u{0}\r\n", .fieldValue),
        ("X: y\n", .bareLineFeed), ("X: y\nZ: w\r\n", .bareLineFeed), ("X: y\rZ: w\r\n", .bareCarriageReturn),
        ("X: \r\r\n", .bareCarriageReturn),
        ("\nX: y\r\n", .bareLineFeed), ("\rX: y\r\n", .bareCarriageReturn), ("X:\ny\r\n", .bareLineFeed), ("X\n: y\r\n", .bareLineFeed),
        // Host.
        ("Host: b\r\n", .repeatedHost), ("host: a\r\n", .repeatedHost),
        // Connection and Expect.
        ("Connection: host\r\n", .connectionOptions), ("Connection: close, Content-Length\r\nContent-Length: 0\r\n", .connectionOptions),
        ("Connection: a b\r\n", .connectionOptions), ("Connection: \"close\"\r\n", .connectionOptions),
        ("Connection: " + String(repeating: "a,", count: 33) + "\r\n", .connectionOptions),
        ("Expect: 200-ok\r\n", .expectation), ("Expect: 100-continue\r\nExpect: x\r\n", .expectation), ("Expect: \r\n", .expectation),
        // Content-Length.
        ("Content-Length: \r\n", .contentLength), ("Content-Length: -1\r\n", .contentLength), ("Content-Length: +1\r\n", .contentLength),
        ("Content-Length: 1 1\r\n", .contentLength), ("Content-Length: 0x1\r\n", .contentLength),
        ("Content-Length: 1.0\r\n", .contentLength),
        ("Content-Length: 1e1\r\n", .contentLength), ("Content-Length: 5, 5\r\n", .contentLength),
        ("Content-Length: 5,6\r\n", .contentLength),
        ("Content-Length: 5;\r\n", .contentLength), ("Content-Length: \u{b2}\r\n", .contentLength),
        ("Content-Length: 1_0\r\n", .contentLength),
        ("Content-Length: 9223372036854775808\r\n", .contentLength), ("Content-Length: 18446744073709551616\r\n", .contentLength),
        ("Content-Length: 99999999999999999999999999\r\n", .contentLength),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", .repeatedContentLength),
        ("Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n", .repeatedContentLength),
        // Transfer-Encoding.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .contentLengthAndTransferEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", .contentLengthAndTransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n", .unknownTransferCoding),
        ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", .unknownTransferCoding),
        ("Transfer-Encoding: identity, chunked\r\n", .unknownTransferCoding),
        ("Transfer-Encoding: \r\n", .transferEncoding), ("Transfer-Encoding: gzip\r\n", .transferEncoding),
        ("Transfer-Encoding: identity\r\n", .transferEncoding),
        ("Transfer-Encoding: chunked, gzip\r\n", .transferEncoding), ("Transfer-Encoding: chunked, chunked\r\n", .transferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", .transferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", .transferEncoding),
        ("Transfer-Encoding: xchunked\r\n", .transferEncoding), ("Transfer-Encoding: chunkedx\r\n", .transferEncoding),
        ("Transfer-Encoding: chunked;a=b\r\n", .transferEncoding), ("Transfer-Encoding: \"chunked\"\r\n", .transferEncoding),
        ("Transfer-Encoding: chunked,\r\n", .transferEncoding), ("Transfer-Encoding: ,chunked\r\n", .transferEncoding),
        ("Transfer-Encoding: chun ked\r\n", .transferEncoding), ("Transfer-Encoding: ch\u{fc}nked\r\n", .transferEncoding),
    ]

    @Test(arguments: fields)
    func badFieldsAreRefused(_ lines: String, _ reason: MessageError.Reason) {
        #expect(readRequestAllWays(bytes("POST / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n\r\n")) == .refused(MessageError(reason)))
    }

    @Test func version10HasNoTransferEncoding() {
        let message = bytes("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(readRequestAllWays(message) == .refused(MessageError(.transferEncodingInVersion10)))
    }

    @Test func hostMustBeThere() {
        #expect(readRequestAllWays(bytes("GET / HTTP/1.1\r\n\r\n")) == .refused(MessageError(.missingHost)))
        #expect(readRequestAllWays(bytes("GET http://a/ HTTP/1.1\r\n\r\n")) == .refused(MessageError(.missingHost)))
    }

    @Test(arguments: [
        "", "a b", "a/b", "a@b", "a,b", "a:b", "a:1:2", ":80", "a:65536", "a:123456", "a:-1", "[::1", "[::1]x", "[::1]:x", "[x]", "[]",
        "[1]", "a%2e", "a\\b",
        "h\u{e9}", "a\tb", "[fe80::1%25eth0]", "a?b", "a#b", "<a>", String(repeating: "a", count: 262),
    ])
    func hostsThatAreNoneAreRefused(_ host: String) {
        #expect(readRequestAllWays(bytes("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")) == .refused(MessageError(.invalidHost)))
        #expect(readRequestAllWays(bytes("GET / HTTP/1.0\r\nHost: \(host)\r\n\r\n")) == .refused(MessageError(.invalidHost)))
    }

    @Test(arguments: ["a", "a:80", "a:", "A-b.c_d~e:65535", "127.0.0.1:8080", "[::1]", "[2001:DB8::1]:443", "[::ffff:1.2.3.4]", "a."])
    func hostsThatAreSomeAreTaken(_ host: String) {
        guard case .read(let head) = readRequestAllWays(bytes("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")) else {
            Issue.record("refused: \(host)")
            return
        }
        #expect(head.authority == host)
    }

    @Test func statusesAreThoseOfTheStandard() {
        #expect(MessageError(.requestLine).status == 400)
        #expect(MessageError(.targetTooLong).status == 414)
        #expect(MessageError(.headTooLarge).status == 431)
        #expect(MessageError(.tooManyFields).status == 431)
        #expect(MessageError(.versionUnsupported).status == 505)
        #expect(MessageError(.unknownTransferCoding).status == 501)
        #expect(MessageError(.expectation).status == 417)
        for reason in MessageError.Reason.allCases { #expect(!"\(reason.description)".isEmpty && (400...505).contains(reason.status)) }
    }

    @Test func limitsHoldToTheByte() {
        let limits = HeadLimits(bytes: 120, fields: 3, target: 20)
        func target(_ count: Int) -> [UInt8] { bytes("GET /" + String(repeating: "a", count: count - 1) + " HTTP/1.1\r\nHost: a\r\n\r\n") }
        #expect(readRequestAllWays(target(20), limits: limits).isRead)
        #expect(readRequestAllWays(target(21), limits: limits) == .refused(MessageError(.targetTooLong)))
        let query = bytes("GET /?" + String(repeating: "a", count: 19) + " HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(readRequestAllWays(query, limits: limits) == .refused(MessageError(.targetTooLong)))

        func fields(_ count: Int) -> [UInt8] {
            bytes("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: count - 1) + "\r\n")
        }
        #expect(readRequestAllWays(fields(3), limits: limits).isRead)
        #expect(readRequestAllWays(fields(4), limits: limits) == .refused(MessageError(.tooManyFields)))

        func head(_ count: Int) -> [UInt8] {
            bytes("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "y", count: count - 32) + "\r\n\r\n")
        }
        #expect(head(120).count == 120)
        #expect(readRequestAllWays(head(120), limits: limits).isRead)
        #expect(readRequestAllWays(head(121), limits: limits) == .refused(MessageError(.headTooLarge)))
        #expect(readRequestAllWays(head(500), limits: limits) == .refused(MessageError(.headTooLarge)))
    }

    @Test func anEndlessLineIsRefusedAtTheLimit() {
        let target = bytes("GET /" + String(repeating: "a", count: 9000))
        #expect(readRequest(target) == .refused(MessageError(.targetTooLong)))
        #expect(readRequest(target, cuts: .everyByte(target.count)) == .refused(MessageError(.targetTooLong)))
        let method = bytes(String(repeating: "A", count: 50))
        #expect(readRequest(method) == .refused(MessageError(.method)))
        let value = bytes("GET / HTTP/1.1\r\nX: " + String(repeating: "a", count: 33 << 10))
        #expect(readRequest(value) == .refused(MessageError(.headTooLarge)))
        #expect(readRequest(value, cuts: .everyByte(value.count)) == .refused(MessageError(.headTooLarge)))
    }

    @Test func bytesThatWereLookedAtAreNotLookedAtAgain() throws {
        var parser = RequestHeadParser()
        var head = RequestHead()
        var message = bytes("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 100))
        #expect(try message.withUnsafeBytes { try parser.parse($0, into: &head) } == nil)
        // A sender cannot change them; here it shows that a line is left alone until its line feed has come.
        message[60] = 0
        message += bytes("bbb")
        #expect(try message.withUnsafeBytes { try parser.parse($0, into: &head) } == nil)
        message += bytes("\r\n\r\n")
        #expect(throws: MessageError(.fieldValue)) { try message.withUnsafeBytes { try parser.parse($0, into: &head) } }
    }
}

extension Outcome {
    var isRead: Bool { if case .read = self { true } else { false } }
    var isRefused: Bool { if case .refused = self { true } else { false } }
}
