import MeshHTTP
import Testing

@Suite struct RequestHeadTests {
    @Test func aPlainRequestIsRead() throws {
        let message = bytes("GET /orders/7?full=1&x HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: curl/8\r\nX-Empty:\r\n\r\nrest")
        guard case .read(let head) = readRequest(message) else {
            Issue.record("not read: \(readRequest(message))")
            return
        }
        #expect(head.length == message.count - 4)
        #expect(head.line == "GET /orders/7?full=1&x 1.1")
        #expect(head.path == "/orders/7")
        #expect(head.query == "full=1&x")
        #expect(head.authority == "shop.example:8080")
        #expect(head.framing == .none)
        #expect(head.keepsAlive)
        #expect(head.fields == ["Host: shop.example:8080 [host]", "User-Agent: curl/8 [other]", "X-Empty:  [other]"])
    }
}
