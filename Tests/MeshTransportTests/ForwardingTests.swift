import MeshModel
import MeshPolicy
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct ForwardingTests {
    @Test func aRequestReachesTheUpstreamAndItsAnswerTheClient() async throws {
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-own: 1\r\n\r\nhello" }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.get("/orders/7?full=1")
            #expect(status(answer.head) == 200)
            #expect(field("x-own", answer.head) == "1")
            #expect(field("via", answer.head) == "1.1 front")
            #expect(field("mesh-trace", answer.head)?.count == 32)
            #expect(answer.body == Array("hello".utf8))
        }
    }

    @Test func aConnectionCarriesManyRequestsOverOneUpstreamConnection() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for number in 0..<50 {
                let body = String(repeating: "x", count: number * 100)
                try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
                let answer = try client.receiveMessage()
                #expect(status(answer.head) == 200)
                #expect(answer.body == Array(body.utf8))
            }
            #expect(upstream.connections == 1)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInTheirOrder() async throws {
        let upstream = try ScriptedUpstream.answering { head in
            let path = head.split(separator: " ")[1]
            return "HTTP/1.1 200 OK\r\ncontent-length: \(path.utf8.count)\r\n\r\n\(path)"
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send((0..<200).map { "GET /\($0) HTTP/1.1\r\nhost: a\r\n\r\n" }.joined())
            for number in 0..<200 {
                #expect(try client.receiveMessage().body == Array("/\(number)".utf8))
            }
        }
    }

    @Test func anAnswerOfTheMeshIsAProblemWithItsCause() async throws {
        let closed = RefusingPort()
        try await MeshUnderTest.run([closed.address]) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 502 || status(answer.head) == 503)
            #expect(field("proxy-status", answer.head)?.hasPrefix("front; error=") == true)
            #expect(field("content-type", answer.head) == "application/problem+json")
            let trace = try #require(field("mesh-trace", answer.head))
            #expect(String(decoding: answer.body, as: UTF8.self).contains(trace))
        }
        withExtendedLifetime(closed) {}
    }
}
