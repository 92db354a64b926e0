import MeshHTTP
import Testing

/// Reads a response whole, in two pieces cut at every place, and byte by byte, and demands the same outcome each time.
func readResponseAllWays(_ message: [UInt8], to request: AnsweredRequest = AnsweredRequest(method: .get)) -> Outcome<ReadResponse> {
    let whole = readResponse(message, to: request)
    #expect(readResponse(message, to: request, cuts: .everyByte(message.count)) == whole, "byte by byte: \(text(message))")
    for cut in 1..<max(2, message.count) {
        #expect(readResponse(message, to: request, cuts: .at(cut, of: message.count)) == whole, "cut at \(cut): \(text(message))")
    }
    return whole
}

@Suite struct ResponseHeadTests {
    func read(_ message: String, _ method: HTTPMethodKind = .get, offersUpgrade: Bool = false) throws -> ReadResponse {
        let outcome = readResponseAllWays(bytes(message), to: AnsweredRequest(method: method, offersUpgrade: offersUpgrade))
        guard case .read(let head) = outcome else {
            Issue.record("\(outcome): \(message)")
            throw MessageError(.statusLine)
        }
        return head
    }

    @Test func aPlainResponseIsRead() throws {
        let head = try read("HTTP/1.1 201 Made it\r\nContent-Length: 3\r\nmesh-retry: no\r\n\r\nabc")
        #expect(head.line == "1.1 201 Made it")
        #expect(head.length == 59)
        #expect(head.fields == ["Content-Length: 3 [contentLength]", "mesh-retry: no [meshRetry]"])
    }

    @Test func aReasonMayBeEmptyOrMissing() throws {
        #expect(try read("HTTP/1.1 200 \r\n\r\n").line == "1.1 200 ")
        #expect(try read("HTTP/1.1 200\r\n\r\n").line == "1.1 200 ")
        #expect(try read("HTTP/1.1 200 \u{e9}\t~ a\r\n\r\n").line == "1.1 200 \u{e9}\t~ a")
    }

    static let framings: [(String, HTTPMethodKind, BodyFraming, Bool)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", .get, .length(5), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", .get, .chunked, true),
        ("HTTP/1.1 200 OK\r\n", .get, .untilClose, false),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", .get, .untilClose, false),
        ("HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n", .get, .length(0), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n", .get, .length(5), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n", .get, .length(5), true),
        ("HTTP/1.0 200 OK\r\n", .get, .untilClose, false),
        // No body whatever the fields say.
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", .head, .none, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", .head, .none, true),
        ("HTTP/1.1 200 OK\r\n", .head, .none, true),
        ("HTTP/1.1 304 X\r\nContent-Length: 5\r\n", .get, .none, true),
        ("HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n", .get, .none, true),
        ("HTTP/1.1 204 X\r\n", .get, .none, true), ("HTTP/1.1 204 X\r\nContent-Length: 0\r\n", .get, .none, true),
        ("HTTP/1.1 100 X\r\n", .post, .none, true), ("HTTP/1.1 103 X\r\nLink: a\r\n", .get, .none, true),
        // CONNECT.
        ("HTTP/1.1 200 X\r\n", .connect, .tunnel, false), ("HTTP/1.1 200 X\r\nContent-Length: 5\r\n", .connect, .tunnel, false),
        ("HTTP/1.1 407 X\r\nContent-Length: 5\r\n", .connect, .length(5), true),
    ]

    @Test(arguments: framings)
    func framingAndPersistenceAreTold(_ message: String, _ method: HTTPMethodKind, _ framing: BodyFraming, _ keepsAlive: Bool) throws {
        let head = try read(message + "\r\n", method)
        #expect(head.framing == framing)
        #expect(head.keepsAlive == keepsAlive)
    }

    @Test func aSwitchOfProtocolsMustHaveBeenAskedFor() throws {
        let message = "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        let head = try read(message, offersUpgrade: true)
        #expect(head.framing == .tunnel && head.upgrade == "websocket" && !head.keepsAlive)
        #expect(readResponseAllWays(bytes(message)) == (502, .unaskedUpgrade))
        let asked = AnsweredRequest(method: .get, offersUpgrade: true)
        #expect(readResponseAllWays(bytes("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n"), to: asked) == (502, .unaskedUpgrade))
        #expect(readResponseAllWays(bytes("HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n"), to: asked) == (502, .unaskedUpgrade))
    }

    @Test func interimHeadsAreToldFromFinalOnes() throws {
        var parser = ResponseHeadParser()
        var head = ResponseHead()
        let message = bytes("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let request = AnsweredRequest(method: .get)
        let length = try #require(try message.withUnsafeBytes { try parser.parse($0, answering: request, into: &head) })
        #expect(head.isInterim && head.status == 103)
        let rest = Array(message[length...])
        #expect(try rest.withUnsafeBytes { try parser.parse($0, answering: request, into: &head) } == rest.count)
        #expect(!head.isInterim && head.status == 200 && head.fields.count == 1)
    }

    static let bad: [(String, MessageError.Reason)] = [
        ("HTTP/1.1 2000 X\r\n", .statusLine), ("HTTP/1.1 20 X\r\n", .statusLine), ("HTTP/1.1 2x0 X\r\n", .statusLine),
        ("HTTP/1.1  200 X\r\n", .statusLine),
        ("HTTP/1.1 099 X\r\n", .statusCode), ("HTTP/1.1 600 X\r\n", .statusCode), ("HTTP/1.1 999 X\r\n", .statusCode),
        ("HTTP/2.0 200 X\r\n", .versionUnsupported), ("HTTP/1.2 200 X\r\n", .versionUnsupported), ("http/1.1 200 X\r\n", .version),
        ("ICY 200 OK\r\n", .version), ("SSH-2.0-x\r\n", .version), ("\r\nHTTP/1.1 200 X\r\n", .version), (" HTTP/1.1 200 X\r\n", .version),
        ("HTTP/1.1 200 a\u{0}\r\n", .fieldValue), ("HTTP/1.1 200 X\n", .bareLineFeed), ("HTTP/1.1 200\n", .bareLineFeed),
        ("HTTP/1.1 200 X\rY\r\n", .bareCarriageReturn), ("HTTP/1.1 200\rY\r\n", .bareCarriageReturn),
        ("HTTP/1.1 200 X\r\nX : y\r\n", .spaceBeforeColon), ("HTTP/1.1 200 X\r\nX: y\r\n z\r\n", .foldedLine),
        ("HTTP/1.1 200 X\r\nX: \u{0}\r\n", .fieldValue),
        ("HTTP/1.1 200 X\r\nContent-Length: 5\r\nContent-Length: 6\r\n", .repeatedContentLength),
        ("HTTP/1.1 200 X\r\nContent-Length: 5, 5\r\n", .contentLength), ("HTTP/1.1 200 X\r\nContent-Length: -5\r\n", .contentLength),
        ("HTTP/1.1 200 X\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", .contentLengthAndTransferEncoding),
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: gzip, chunked\r\n", .unknownTransferCoding),
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: identity\r\n", .transferEncoding),
        ("HTTP/1.0 200 X\r\nTransfer-Encoding: chunked\r\n", .transferEncodingInVersion10),
        ("HTTP/1.1 204 X\r\nContent-Length: 5\r\n", .bodyNotAllowed), ("HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n", .bodyNotAllowed),
        ("HTTP/1.1 100 X\r\nContent-Length: 5\r\n", .bodyNotAllowed), ("HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n", .bodyNotAllowed),
        ("HTTP/1.1 304 X\r\nContent-Length: x\r\n", .contentLength),
        ("HTTP/1.1 200 X\r\nConnection: content-length\r\nContent-Length: 5\r\n", .connectionOptions),
    ]

    @Test(arguments: bad)
    func badResponsesAreRefused(_ message: String, _ reason: MessageError.Reason) {
        #expect(readResponseAllWays(bytes(message + "\r\n")) == (502, reason))
    }

    @Test func limitsHold() {
        let large = bytes("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 33 << 10))
        #expect(readResponse(large) == (502, .headTooLarge))
        #expect(readResponse(large, cuts: .everyByte(large.count)) == (502, .headTooLarge))
        let many = bytes("HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 101) + "\r\n")
        #expect(readResponse(many) == (502, .tooManyFields))
        let reason = bytes("HTTP/1.1 200 " + String(repeating: "x", count: 33 << 10))
        #expect(readResponse(reason) == (502, .headTooLarge))
    }
}

extension Outcome {
    /// A refusal with another status than the reason's own.
    static func == (outcome: Outcome, refusal: (status: Int, reason: MessageError.Reason)) -> Bool {
        guard case .refused(let error) = outcome else { return false }
        return error.status == refusal.status && error.reason == refusal.reason
    }
}
