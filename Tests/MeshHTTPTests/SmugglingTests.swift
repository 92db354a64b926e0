import MeshHTTP
import Testing

/// Everything that a connection carried: the target and body of each request, and why it was given up, if it was.
func readConnection(_ bytes: [UInt8]) -> (requests: [String], refusal: MessageError.Reason?) {
    var requests: [String] = []
    var rest = bytes
    var parser = RequestHeadParser()
    var head = RequestHead()
    while !rest.isEmpty {
        do throws(MessageError) {
            guard let length = try GuardedBytes.with(rest, { bytes throws(MessageError) in try parser.parse(bytes, into: &head) }) else {
                break
            }
            let name = "\(rest.text(head.method)) \(rest.text(head.target))"
            rest.removeFirst(length)
            let body = try readBody(rest, head.framing).get()
            guard body.isEnded else { break }
            requests.append(body.data.isEmpty ? name : "\(name) \(body.data)")
            rest.removeFirst(body.length)
        } catch {
            return (requests, error.reason)
        }
    }
    return (requests, nil)
}

/// Connections as request smugglers write them. What stands in the body of one request must never be read as another.
@Suite struct SmugglingTests {
    static let hidden = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test(arguments: [
        // Length against chunks, both ways round.
        "Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n12\r\n",
        // Transfer-Encoding in disguise: one reader sees it, the other does not.
        "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\u{0}\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nTransfer\u{d}-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunk\u{e9}d\r\n\r\n0\r\n\r\n",
        // Two lengths, or one that readers take differently.
        "Content-Length: 0\r\nContent-Length: 34\r\n\r\n", "Content-Length: 34\r\nContent-Length: 34\r\n\r\n",
        "Content-Length: 0, 34\r\n\r\n",
        "Content-Length: +0\r\n\r\n", "Content-Length: 0x22\r\n\r\n", "Content-Length: 1 0\r\n\r\n",
        "Content-Length: 18446744073709551616\r\n\r\n",
        "Content-Length : 34\r\n\r\n", "Content-Length:\r\n 34\r\n\r\n", "Content-Length: 34\u{0}\r\n\r\n", "Content-Length: 34\n\r\n",
        "Content\rLength: 34\r\n\r\n",
        // Connection takes a framing field away.
        "Connection: content-length\r\nContent-Length: 34\r\n\r\n", "Connection: host\r\n\r\n",
        // Line ends.
        "X: y\n\nGET /admin HTTP/1.1\r\n\r\n", "X: y\r\r\n\r\n", "\nX: y\r\n\r\n",
        // Hosts.
        "Host: b\r\n\r\n", "host:\r\n\r\n",
    ])
    func aRequestWithTwoReadingsIsRefused(_ lines: String) {
        let (requests, refusal) = readConnection(bytes("POST / HTTP/1.1\r\nHost: a\r\n\(lines)\(Self.hidden)"))
        #expect(requests.isEmpty)
        #expect(refusal != nil)
    }

    @Test(arguments: [
        // Sizes that wrap around, and sizes that some readers cut short.
        "100000000000000005\r\nhello\r\n0\r\n\r\n", "5\u{0}\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
        "5 6\r\nhello\r\n0\r\n\r\n", "5,0\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\n\nhello\r\n0\r\n\r\n",
        // Line ends inside an extension, and chunks that do not end where they say.
        "5;a\nb\r\nhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n", "5\r\nhelloxx0\r\n\r\n", "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\r\n0\r\n\r\n", "2\r\nxx0\r\n\r\n",
        // The end.
        "0\r\n\n", "0\r\nX\r\n\r\n", "0\r\n: y\r\n\r\n", "0\r\nX: y\n\r\n", "0\n\n", "0\r\nContent-Length: 34\r\n\r\n",
        "0\r\nTransfer-Encoding: x\r\n\r\n",
        "-0\r\n\r\n", "0;\u{0}\r\n\r\n",
    ])
    func aChunkWithTwoReadingsIsRefused(_ body: String) {
        let message = bytes("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)\(Self.hidden)")
        let (requests, refusal) = readConnection(message)
        #expect(requests.isEmpty)
        #expect(refusal != nil)
    }

    @Test func whatLooksLikeARequestInABodyIsNone() {
        let length = Self.hidden.utf8.count
        let last = "GET /last HTTP/1.1\r\nHost: a\r\n\r\n"
        for body in [
            "Content-Length: \(length)\r\n\r\n\(Self.hidden)",
            "Transfer-Encoding: chunked\r\n\r\n\(String(length, radix: 16))\r\n\(Self.hidden)\r\n0\r\n\r\n",
        ] {
            let (requests, refusal) = readConnection(bytes("POST / HTTP/1.1\r\nHost: a\r\n\(body)\(last)"))
            #expect(requests == ["POST / \(Self.hidden)", "GET /last"])
            #expect(refusal == nil)
        }
    }

    @Test func pipelinedRequestsAreReadOneByOne() {
        let one = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
        let two = "PUT /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX: y\r\n\r\n"
        let three = "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nde\r\n"
        let (requests, refusal) = readConnection(bytes(one + two + three + one + "G{T"))
        #expect(requests == ["GET /1", "PUT /2 abc", "POST /3 de", "GET /1"])
        #expect(refusal == .method)
    }
}
