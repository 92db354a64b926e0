import MeshExchange
import MeshModel
import MeshPolicy
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct BrokenUpstreamTests {
    @Test(arguments: [
        "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + String(repeating: "x", count: 500),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1f4\r\n" + String(repeating: "x", count: 500) + "\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n" + String(repeating: "x", count: 500),
    ])
    func anAnswerThatBreaksOffNeverLooksComplete(_ answer: String) async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send(answer)
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            let head = try client.receive(until: "\r\n\r\n")
            #expect(status(head) == 200)
            let rest = String(decoding: client.receiveToEnd() ?? [], as: UTF8.self)
            #expect(!rest.contains("\r\n0\r\n"))
            #expect(rest.utf8.count < 1000)
        }
    }

    @Test func aBrokenAnswerThatEndsWithTheConnectionIsChunkedOrReset() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\n\r\nall of it")
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.get("/")
            #expect(field("transfer-encoding", answer.head) == "chunked")
            #expect(answer.body == Array("all of it".utf8))
            // A client that knows no chunks gets the end of the connection.
            let old = try mesh.connect()
            try old.send("GET / HTTP/1.0\r\n\r\n")
            let text = String(decoding: old.receiveToEnd() ?? [], as: UTF8.self)
            #expect(text.hasSuffix("\r\n\r\nall of it"))
            #expect(text.contains("connection: close"))
        }
    }

    @Test(arguments: [
        "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nx: " + String(repeating: "y", count: 1 << 20) + "\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nx",
    ])
    func anInvalidAnswerIsABadGatewayAndItsConnectionIsClosed(_ answer: String) async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                _ = try socket.receiveMessage()
                try socket.send(answer)
            }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for number in 1...2 {
                try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
                let answer = try client.receiveMessage()
                #expect(status(answer.head) == 502)
                #expect(upstream.connections == number)
            }
        }
    }

    @Test func aCutChunkInABodyBreaksTheAnswerOff() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
            _ = try socket.receive()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            let text = String(decoding: client.receiveToEnd() ?? [], as: UTF8.self)
            #expect(!text.contains("0\r\n\r\n") && !text.contains("zz"))
        }
    }

    @Test func surplusBytesEndTheConnectionAndNotTheAnswer() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                _ = try socket.receiveMessage()
                try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
            }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for _ in 0..<3 {
                try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                #expect(try client.receiveMessage().body == Array("ok".utf8))
            }
            #expect(upstream.connections == 3)
        }
    }

    @Test func silenceEndsWithTheDeadline() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            _ = socket.sawEnd()
        }
        var options = MeshUnderTest.Options()
        options.policy.timeout = .milliseconds(100)
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 504)
            #expect(field("proxy-status", answer.head)?.contains("flag=DX") == true)
        }
    }

    @Test func aTrickledHeadIsReadAndATrickledBodyPassedOn() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            for byte in "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-end: 1\r\n\r\n".utf8 {
                try socket.send([byte])
            }
            _ = socket.sawEnd()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            let head = try client.receive(until: "\r\n\r\n")
            #expect(field("transfer-encoding", head) == "chunked")
            #expect(try client.receive(until: "x-end: 1\r\n\r\n") == "5\r\nhello\r\n0\r\nx-end: 1\r\n\r\n")
        }
    }
}
