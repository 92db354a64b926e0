import MeshHTTP
import Testing

/// Reads a request whole, in two pieces cut at every place, and byte by byte, and demands the same outcome each time.
func readRequestAllWays(_ message: [UInt8], limits: HeadLimits = HeadLimits()) -> Outcome<ReadRequest> {
    let whole = readRequest(message, limits: limits)
    #expect(readRequest(message, limits: limits, cuts: .everyByte(message.count)) == whole, "byte by byte: \(text(message))")
    for cut in 1..<max(2, message.count) {
        #expect(readRequest(message, limits: limits, cuts: .at(cut, of: message.count)) == whole, "cut at \(cut): \(text(message))")
    }
    return whole
}

@Suite struct RequestHeadTests {
    func read(_ message: String) throws -> ReadRequest {
        let outcome = readRequestAllWays(bytes(message))
        guard case .read(let head) = outcome else {
            Issue.record("\(outcome): \(message)")
            throw MessageError(.requestLine)
        }
        return head
    }

    @Test func aPlainRequestIsRead() throws {
        let head = try read("GET /orders/7?full=1&x? HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: curl/8\r\nX-Empty:\r\n\r\nrest")
        #expect(head.length == 91)
        #expect(head.line == "GET /orders/7?full=1&x? 1.1")
        #expect(head.path == "/orders/7")
        #expect(head.query == "full=1&x?")
        #expect(head.authority == "shop.example:8080")
        #expect(head.framing == .none)
        #expect(head.keepsAlive)
        #expect(!head.expectsContinue)
        #expect(head.fields == ["Host: shop.example:8080 [host]", "User-Agent: curl/8 [other]", "X-Empty:  [other]"])
    }

    @Test func fieldsKeepTheirTextAndLoseTheSpaceAroundIt() throws {
        let head = try read(
            "GET / HTTP/1.1\r\nhOsT:\t a \t\r\nX-\u{21}#$%&'*+.^_`|~9:v\tw \u{e9}\u{ff}\u{80}~\u{ff}~\r\nY:   \r\nZ: :\r\n\r\n")
        #expect(
            head.fields == [
                "hOsT: a [host]", "X-!#$%&'*+.^_`|~9: v\tw \u{e9}\u{ff}\u{80}~\u{ff}~ [other]", "Y:  [other]", "Z: : [other]",
            ])
    }

    @Test func oneEmptyLineBeforeTheRequestIsOverlooked() throws {
        let head = try read("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(head.line == "GET / 1.1")
        #expect(head.length == 29)
        #expect(readRequest(bytes("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")) == .refused(MessageError(.requestLine)))
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", BodyFraming.none, true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", .none, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", .none, true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo,\tCLOSE ,\r\n\r\n", .none, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", .none, false),
        ("GET / HTTP/1.0\r\n\r\n", .none, false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", .none, true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", .none, false),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", .length(5), true),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", .length(0), true),
        ("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:   0042  \r\n\r\n", .length(42), true),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n", .length(UInt64(Int64.max)), true),
        ("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", .length(5), false),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", .chunked, true),
        ("POST / HTTP/1.1\r\nHost: a\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n", .chunked, true),
    ])
    func framingAndPersistenceAreTold(_ message: String, _ framing: BodyFraming, _ keepsAlive: Bool) throws {
        let head = try read(message)
        #expect(head.framing == framing)
        #expect(head.keepsAlive == keepsAlive)
        #expect(head.nominated.isEmpty)
    }

    @Test func theFormsOfTargetsAreTold() throws {
        let absolute = try read("GET http://Shop.example:81/a/b?c HTTP/1.1\r\nHost: other\r\n\r\n")
        #expect(absolute.path == "/a/b" && absolute.query == "c" && absolute.authority == "Shop.example:81")
        let bare = try read("GET HTTPS://shop?c HTTP/1.1\r\nHost: shop\r\n\r\n")
        #expect(bare.path == "" && bare.query == "c" && bare.authority == "shop")
        let slashInQuery = try read("GET http://shop?c=/d HTTP/1.1\r\nHost: shop\r\n\r\n")
        #expect(slashInQuery.path == "" && slashInQuery.query == "c=/d" && slashInQuery.authority == "shop")
        let asterisk = try read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(asterisk.path == "*")
        let connect = try read("CONNECT shop:443 HTTP/1.1\r\nHost: shop:443\r\n\r\n")
        #expect(connect.path == "" && connect.authority == "shop:443")
        let version10 = try read("GET / HTTP/1.0\r\n\r\n")
        #expect(version10.authority == nil)
    }

    @Test(arguments: [
        ("GET", HTTPMethodKind.get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("DELETE", .delete), ("OPTIONS", .options),
        ("TRACE", .trace), ("PATCH", .patch), ("PROPFIND", .other), ("get", .other), ("GETS", .other), ("M-SEARCH", .other), ("X", .other),
    ])
    func methodsAreTold(_ method: String, _ kind: HTTPMethodKind) throws {
        var parser = RequestHeadParser()
        var head = RequestHead()
        let message = bytes("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try message.withUnsafeBytes { try parser.parse($0, into: &head) }
        #expect(head.methodKind == kind)
        #expect(message.text(head.method) == method)
    }

    @Test func anUpgradeNeedsConnectionToSaySo() throws {
        let message = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        #expect(try read(message + "\r\n").upgrade == nil)
        #expect(try read(message + "Connection: keep-alive, Upgrade\r\n\r\n").upgrade == "websocket")
        #expect(try read("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n").upgrade == nil)
    }

    @Test func anExpectationIsTold() throws {
        #expect(try read("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n").expectsContinue)
        #expect(try !read("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").expectsContinue)
    }

    @Test func fieldsThatConnectionNamesAreMarked() throws {
        let head = try read("GET / HTTP/1.1\r\nX-Hop: 1\r\nHost: a\r\nConnection: x-hop, close\r\nx-HOP: 2\r\nX-Hopper: 3\r\n\r\n")
        #expect(head.nominated == ["X-Hop", "x-HOP"])
    }

    @Test func manyRequestsAreReadIntoOneHead() throws {
        var parser = RequestHeadParser()
        var head = RequestHead()
        let first = bytes(
            "PUT /a?b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\nX: y\r\nX: z\r\nConnection: close\r\n\r\n")
        let second = bytes("GET / HTTP/1.1\r\nHost: b\r\n\r\n")
        for _ in 0..<3 {
            #expect(try first.withUnsafeBytes { try parser.parse($0, into: &head) } == first.count)
            #expect(try second.withUnsafeBytes { try parser.parse($0, into: &head) } == second.count)
            guard case .read(let alone) = readRequest(second) else { return }
            #expect(ReadRequest(head, in: second) == alone)
            #expect(!parser.isInsideHead)
        }
    }

    @Test func aHeadThatHasBegunIsToldFromSilence() throws {
        var parser = RequestHeadParser()
        var head = RequestHead()
        #expect(try [].withUnsafeBytes { try parser.parse($0, into: &head) } == nil)
        #expect(!parser.isInsideHead)
        #expect(try bytes("G").withUnsafeBytes { try parser.parse($0, into: &head) } == nil)
        #expect(parser.isInsideHead)
    }

    @Test func fieldsAreFoundByKind() throws {
        var parser = RequestHeadParser()
        var head = RequestHead()
        let message = bytes(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 1\r\nx-request-id: 2\r\nAccept: b\r\nmesh-new-2: c\r\nMESH_x: d\r\n\r\n")
        _ = try message.withUnsafeBytes { try parser.parse($0, into: &head) }
        #expect(head.fields.first(.xRequestID).map { message.text($0.value) } == "1")
        #expect(head.fields.only(.xRequestID) == nil)
        #expect(head.fields.only(.host).map { message.text($0.value) } == "a")
        #expect(head.fields.first(.via) == nil)
        #expect(head.fields.present == [.host, .xRequestID, .other, .otherMesh])
        #expect(head.fields.repeated == [.xRequestID, .otherMesh])
        message.withUnsafeBytes { #expect(head.fields.first(named: "accept", in: $0)?.value.count == 1) }
    }

    @Test(arguments: KnownField.allCases)
    func everyKnownNameIsRecognisedInAnyCase(_ known: KnownField) throws {
        let name = "\(known.name)"
        guard !name.isEmpty, known != .host else { return }
        // The fields that rule the message are tried as responses' trailers are read, where they mean nothing.
        for spelling in [name, name.uppercased(), name.prefix(1).uppercased() + name.dropFirst()] {
            var parser = ResponseHeadParser()
            var head = ResponseHead()
            let value = known == .contentLength ? "0" : "chunked"
            let message = bytes("HTTP/1.1 304 x\r\n\(spelling): \(value)\r\n\r\n")
            _ = try message.withUnsafeBytes { try parser.parse($0, answering: AnsweredRequest(method: .get), into: &head) }
            #expect(head.fields[0].known == known)
        }
        // One letter more, less or other is another field.
        for other in ["\(name)x", "x\(name)", String(name.dropLast()) + "q", "q" + name.dropFirst()] {
            let message = bytes("GET / HTTP/1.1\r\nHost: a\r\n\(other): 1\r\n\r\n")
            guard case .read(let head) = readRequest(message) else {
                Issue.record("not read: \(other)")
                continue
            }
            #expect(head.fields[1] == "\(other): 1 [\(other.hasPrefix("mesh-") ? "otherMesh" : "other")]")
        }
    }
}
