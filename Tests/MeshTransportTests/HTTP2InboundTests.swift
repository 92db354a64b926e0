import MeshExchange
import MeshModel
import MeshPolicy
import NIOCore
import NIOHPACK
import NIOHTTP2
import TestSupport
import Testing

@testable import MeshTransport

/// HTTP/2 on the client's side, HTTP/1.1 behind it.
@Suite(.blocking) struct HTTP2InboundTests {
    private func client(_ mesh: MeshUnderTest) throws -> HTTP2Peer { try HTTP2Peer(mesh.connect(), mode: .client) }

    @Test func aRequestIsAnsweredOnItsStream() async throws {
        let heads = Guarded<[String]>([])
        let upstream = try ScriptedUpstream.answering { head in
            heads.withLock { $0.append(head) }
            return "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-one: A\r\nConnection: keep-alive\r\n\r\nhello"
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            let answer = try client.message(client.request("GET", "/a?b=c", [("accept", "x/y"), ("cookie", "a=1"), ("cookie", "b=2")]))
            #expect(answer.status == 200)
            #expect(answer.text == "hello")
            #expect(answer.headers.first(name: "x-one") == "A")
            #expect(!answer.headers.contains(name: "connection"))
            #expect(answer.headers.contains(name: "mesh-trace"))
        }
        let head = try #require(heads.withLock { $0.first })
        #expect(head.hasPrefix("GET /a?b=c HTTP/1.1\r\n"))
        #expect(field("host", head) == "shop.example")
        #expect(field("accept", head) == "x/y")
        #expect(field("cookie", head) == "a=1; b=2")
        #expect(field("transfer-encoding", head) == nil)
    }

    @Test func manyStreamsShareAConnection() async throws {
        let upstream = try ScriptedUpstream.answering { head in
            let path = head.split(separator: " ")[1]
            return "HTTP/1.1 200 OK\r\ncontent-length: \(path.utf8.count)\r\n\r\n\(path)"
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            let streams = try (0..<50).map { try (client.request("GET", "/\($0)"), "/\($0)") }
            for (stream, path) in streams { #expect(try client.message(stream).text == path) }
        }
    }

    @Test func aBodyAndItsTrailersGoOnInChunks() async throws {
        let requests = Guarded<[String]>([])
        let upstream = try ScriptedUpstream { socket, _ in
            let head = try socket.receive(until: "\r\n\r\n")
            let body = try socket.receive(until: "x-sum: 7\r\n\r\n")
            requests.withLock { $0 += [head, body] }
            try socket.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-end: 1\r\n\r\n")
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            let stream = try client.request("POST", "/", [("te", "trailers")], isEnd: false)
            try client.sendData(stream, Array("abc".utf8))
            try client.sendData(stream, Array("defg".utf8))
            try client.sendHeaders(stream, ["x-sum": "7"], isEnd: true)
            let answer = try client.message(stream)
            #expect(answer.text == "ok")
            #expect(answer.trailers?.first(name: "x-end") == "1")
        }
        let seen = requests.withLock { $0 }
        #expect(field("te", seen[0]) == "trailers")
        #expect(seen[1] == "3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-sum: 7\r\n\r\n")
    }

    @Test func aBodyIsSentAgainWhenTheAttemptIsRepeated() async throws {
        let bodies = Guarded<[String]>([])
        let upstream = try ScriptedUpstream { socket, number in
            let message = try socket.receiveMessage()
            bodies.withLock { $0.append(String(decoding: message.body, as: UTF8.self)) }
            if number > 0 { try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            let stream = try client.request("PUT", "/", isEnd: false)
            try client.sendData(stream, Array("abc".utf8))
            try client.sendData(stream, Array("def".utf8), isEnd: true)
            #expect(try client.message(stream).status == 200)
        }
        #expect(bodies.withLock { $0 } == ["abcdef", "abcdef"])
    }

    @Test func aStreamThatTheClientResetsIsCancelledUpstream() async throws {
        let arrived = Guarded(false)
        let ended = Guarded(false)
        let upstream = try ScriptedUpstream { socket, number in
            _ = try socket.receiveMessage()
            arrived.withLock { $0 = true }
            guard number == 0 else {
                try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                return
            }
            let end = socket.sawEnd()
            ended.withLock { $0 = end }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            let stream = try client.request()
            #expect(eventually { arrived.withLock { $0 } })
            try client.send(stream, .rstStream(.cancel))
            #expect(eventually { ended.withLock { $0 } })
            #expect(try client.message(client.request()).status == 200)
        }
    }

    @Test func aBrokenAnswerResetsItsStreamAndNoOther() async throws {
        let upstream = try ScriptedUpstream.answering { head in
            head.hasPrefix("GET /broken")
                ? "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nnonsense\r\n"
                : "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            let broken = try client.message(client.request("GET", "/broken"))
            #expect(broken.reset == .internalError)
            #expect(!broken.isEnded)
            #expect(try client.message(client.request()).text == "ok")
        }
    }

    @Test func theMeshAnswersInItsOwnName() async throws {
        let closed = RefusingPort()
        try await MeshUnderTest.run([closed.address]) { mesh in
            let client = try client(mesh)
            let answer = try client.message(client.request())
            #expect(answer.status == 502)
            #expect(answer.headers.first(name: "content-type") == "application/problem+json")
            #expect(answer.headers.first(name: "proxy-status")?.contains("connection_refused") == true)
            #expect(answer.text.contains("\"status\":502"))
            #expect(answer.headers.first(name: "content-length") == "\(answer.body.count)")
        }
        withExtendedLifetime(closed) {}
    }

    @Test func aMalformedRequestIsRefusedOnItsStreamOnly() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            // A line end in a value would begin a field of its own in HTTP/1.1.
            let smuggling = try client.message(client.request("GET", "/", [("x-a", "b\r\nx-smuggled: 1")]))
            #expect(smuggling.reset == .protocolError)
            let spaced = try client.message(client.request("GET", "/a b"))
            #expect(spaced.status == 400 || spaced.reset == .protocolError)
            let long = try client.message(client.request("GET", "/" + String(repeating: "a", count: 9000)))
            #expect(long.status == 414)
            #expect(try client.message(client.request()).status == 200)
        }
    }

    @Test func aSlowReaderHoldsTheUpstreamBackAndNoOtherStream() async throws {
        let sent = Guarded(0)
        let upstream = try ScriptedUpstream { socket, _ in
            let head = try socket.receive(until: "\r\n\r\n")
            guard head.hasPrefix("GET /large") else {
                try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                return
            }
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: \(64 << 20)\r\n\r\n")
            let piece = [UInt8](repeating: 0x61, count: 64 << 10)
            socket.setTimeout(1)
            for _ in 0..<1024 {
                try socket.send(piece)
                sent.withLock { $0 += piece.count }
            }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            client.replenishes = false
            let large = try client.request("GET", "/large")
            try client.receive { $0.messages[large].map { $0.body.count >= 65535 } ?? false }
            // The connection's window, too, is used up; it is given back, the stream's is not.
            try client.send(.rootStream, .windowUpdate(windowSizeIncrement: 65535))
            #expect(try client.message(client.request()).text == "ok")
        }
        // What the kernel's buffers take, and no more.
        #expect(sent.withLock { $0 } < 32 << 20)
    }

    @Test func aLargeUploadGoesThroughWindowByWindow() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try client(mesh)
            let body = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let stream = try client.request("POST", "/", [("content-length", "\(body.count)")], isEnd: false)
            try client.sendData(stream, body, isEnd: true)
            #expect(try client.message(stream).body == body)
        }
    }

    @Test func aDrainEndsTheConnectionBehindItsLastAnswer() async throws {
        let mayAnswer = Guarded(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            _ = eventually { mayAnswer.withLock { $0 } }
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        }
        let mesh = try await MeshUnderTest.start([upstream.address])
        let drain = try await onThread {
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            try client.request()
            #expect(eventually { upstream.connections == 1 })
            let drain = Task { await mesh.runtime.drain(within: .seconds(20)) }
            try client.receive { $0.goAway != nil }
            #expect(client.goAway?.last == 1)
            mayAnswer.withLock { $0 = true }
            #expect(try client.message(1).text == "ok")
            #expect(client.socket.sawEnd())
            return drain
        }
        await drain.value
        await mesh.runtime.shutDown()
    }

    @Test func aPrefaceInPiecesIsWaitedFor() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let socket = try mesh.connect()
            try socket.send("PRI * HT")
            try socket.send("TP/2.0\r\n\r\nSM\r\n\r\n")
            try socket.send([0, 0, 0, 4, 0, 0, 0, 0, 0])
            // A SETTINGS frame is the first thing that comes back.
            let first = try socket.receive(count: 9)
            #expect(first[3] == 4)
            let other = try mesh.connect()
            try other.send("PRX / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(status(try other.receiveMessage().head) == 200)
        }
    }
}

/// A value that only one thread touches at a time.
final class UncheckedBox<Value>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
}
