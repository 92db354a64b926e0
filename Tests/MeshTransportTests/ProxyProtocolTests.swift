import MeshExchange
import MeshModel
import NIOHTTP2
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct ProxyProtocolTests {
    private func options(_ change: @escaping @Sendable (inout SnapshotConfiguration) -> Void = { _ in }) -> MeshUnderTest.Options {
        var options = MeshUnderTest.Options()
        options.change = {
            $0.proxyProtocol = true
            change(&$0)
        }
        return options
    }

    /// Answers with the client that it was told of.
    private func upstream() throws -> ScriptedUpstream {
        try ScriptedUpstream.answering { head in
            let client = field("x-forwarded-for", head) ?? ""
            return "HTTP/1.1 200 OK\r\ncontent-length: \(client.utf8.count)\r\n\r\n\(client)"
        }
    }

    @Test func theServiceIsToldTheClientBehindTheBalancer() async throws {
        let upstream = try upstream()
        try await MeshUnderTest.run([upstream.address], options()) { mesh in
            let client = try mesh.connect()
            // In pieces, and for all requests of the connection.
            try client.send("PROXY TCP4 192.0.2.7 198.51")
            try client.send(".100.2 5000 80\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("192.0.2.7".utf8))
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("192.0.2.7".utf8))
            let own = try mesh.connect()
            try own.send("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try own.receiveMessage().body == Array("127.0.0.1".utf8))
        }
    }

    @Test func itStandsBeforeTLSAndHTTP2() async throws {
        let upstream = try upstream()
        let folder = try CertificateFolder()
        let files = try folder.files("one", TestCertificates.one)
        try await MeshUnderTest.run([upstream.address], options { $0.tls = InboundTLS(certificates: [files]) }) { mesh in
            let socket = try mesh.connect()
            try socket.send("PROXY TCP6 2001:db8::7 ::1 5000 443\r\n")
            #expect(try TLSPeer.client(socket, name: "one.example").get("/").body == "2001:db8::7")
        }
        try await MeshUnderTest.run([upstream.address], options()) { mesh in
            let socket = try mesh.connect()
            try socket.send("PROXY TCP4 192.0.2.9 198.51.100.2 5000 80\r\n")
            let client = try HTTP2Peer(socket, mode: .client)
            #expect(try client.message(client.request()).text == "192.0.2.9")
        }
    }

    @Test func aConnectionThatDoesNotBeginWithItEnds() async throws {
        try await MeshUnderTest.run([], options()) { mesh in
            for text in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PROXY TCP4 x y 1 2\r\n"] {
                let client = try mesh.connect()
                try client.send(text)
                #expect(client.sawEnd())
            }
        }
    }

    @Test func onlyTrustedProxiesMaySayIt() async throws {
        let upstream = try upstream()
        for (trusted, isServed) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
            try await MeshUnderTest.run([upstream.address], options { $0.trustedProxies = [trusted] }) { mesh in
                let client = try mesh.connect()
                try client.send("PROXY TCP4 192.0.2.7 198.51.100.2 5000 80\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n")
                #expect(((try? client.receiveMessage().body) == Array("192.0.2.7".utf8)) == isServed)
            }
        }
    }
}
