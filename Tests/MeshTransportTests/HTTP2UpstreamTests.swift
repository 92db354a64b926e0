import MeshExchange
import MeshModel
import MeshPolicy
import NIOCore
import NIOHPACK
import NIOHTTP2
import TestSupport
import Testing

@testable import MeshTransport

/// HTTP/2 towards the service, whatever the client speaks.
@Suite(.blocking) struct HTTP2UpstreamTests {
    private var options: MeshUnderTest.Options {
        var options = MeshUnderTest.Options()
        options.policy.protocol = .http2
        return options
    }

    private static func answer(_ peer: HTTP2Peer, _ stream: HTTP2StreamID, _ text: String, _ fields: HPACKHeaders = [:]) throws {
        var headers: HPACKHeaders = [":status": "200"]
        headers.add(contentsOf: fields)
        try peer.sendHeaders(stream, headers)
        try peer.sendData(stream, Array(text.utf8), isEnd: true)
    }

    @Test func anHTTP1RequestGoesOutAsAStream() async throws {
        let seen = Guarded<[HPACKHeaders]>([])
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, message in
            seen.withLock { $0.append(message.headers) }
            try Self.answer(peer, stream, "hello \(message.text)", ["x-one": "A"])
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            for round in 0..<3 {
                let answer = try mesh.request(
                    "POST /a?b HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 3\r\nconnection: x-gone\r\nx-gone: 1\r\n\r\nabc")
                #expect(status(answer.head) == 200)
                #expect(answer.body == Array("hello abc".utf8))
                #expect(field("x-one", answer.head) == "A")
                #expect(round > 2 || upstream.connections == 1)
            }
        }
        let headers = try #require(seen.withLock { $0.first })
        #expect(headers.first(name: ":method") == "POST")
        #expect(headers.first(name: ":path") == "/a?b")
        #expect(headers.first(name: ":scheme") == "http")
        #expect(headers.first(name: ":authority") == "shop.example")
        #expect(headers.first(name: "content-length") == "3")
        #expect(headers.contains(name: "traceparent"))
        for name in ["host", "connection", "x-gone", "transfer-encoding"] { #expect(!headers.contains(name: name)) }
    }

    @Test func chunksAndTrailersOfHTTP1BecomeDataAndTrailers() async throws {
        let seen = Guarded<[HTTP2Peer.Message]>([])
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, message in
            seen.withLock { $0.append(message) }
            try peer.sendHeaders(stream, [":status": "200"])
            try peer.sendData(stream, Array("ok".utf8))
            try peer.sendHeaders(stream, ["x-end": "1"], isEnd: true)
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let socket = try mesh.connect()
            try socket.send(
                "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nx-sum: 7\r\n\r\n"
            )
            _ = try socket.receive(until: "\r\n\r\n")
            #expect(try socket.receive(until: "\r\n\r\n") == "2\r\nok\r\n0\r\nx-end: 1\r\n\r\n")
        }
        let message = try #require(seen.withLock { $0.first })
        #expect(message.text == "abcdefg")
        #expect(message.trailers?.first(name: "x-sum") == "7")
        #expect(message.headers.first(name: "te") == "trailers")
    }

    @Test func streamsOfManyClientsShareAConnection() async throws {
        let upstream = try ScriptedUpstream.http2 { peer, _ in
            // Nothing is answered before all of them are there.
            try peer.receive { $0.messages.count == 20 }
            for stream in peer.messages.keys { try Self.answer(peer, stream, "ok") }
            try peer.receive { _ in false }
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            let streams = try (0..<20).map { _ in try client.request() }
            for stream in streams { #expect(try client.message(stream).text == "ok") }
        }
        #expect(upstream.connections == 1)
    }

    @Test func noMoreStreamsAreOpenedThanThePeerAllows() async throws {
        let most = Guarded(0)
        let upstream = try ScriptedUpstream.http2(settings: [HTTP2Setting(parameter: .maxConcurrentStreams, value: 2)]) { peer, number in
            var answered: Set<HTTP2StreamID> = []
            while try peer.receive(until: { $0.messages.count > answered.count }) {
                let open = peer.messages.keys.filter { !answered.contains($0) }
                most.withLock { $0 = max($0, open.count) }
                for stream in open {
                    answered.insert(stream)
                    try Self.answer(peer, stream, "ok")
                }
            }
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            #expect(try client.message(client.request()).text == "ok")
            let streams = try (0..<20).map { _ in try client.request() }
            for stream in streams { #expect(try client.message(stream).text == "ok") }
        }
        #expect(most.withLock { $0 } <= 2)
    }

    @Test func aRefusedStreamIsTriedAgainWhateverItsMethod() async throws {
        let tries = Guarded(0)
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, message in
            let number = tries.withLock { tries -> Int in
                tries += 1
                return tries
            }
            if number == 1 {
                try peer.send(stream, .rstStream(.refusedStream))
            } else {
                try Self.answer(peer, stream, message.text)
            }
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let answer = try mesh.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            #expect(answer.body == Array("abc".utf8))
        }
        #expect(tries.withLock { $0 } == 2)
    }

    @Test func streamsAboveAGoAwayAreTriedElsewhere() async throws {
        let upstream = try ScriptedUpstream.http2 { peer, number in
            if number == 0 {
                try peer.receive { $0.messages.count == 3 && $0.messages.values.allSatisfy(\.isEnded) }
                try peer.send(.rootStream, .goAway(lastStreamID: 1, errorCode: .noError, opaqueData: nil))
                try Self.answer(peer, 1, "first")
                try peer.receive { _ in false }
            } else {
                var answered = 0
                while try peer.receive(until: { $0.messages.values.filter(\.isEnded).count > answered }) {
                    answered += 1
                    try Self.answer(peer, HTTP2StreamID(answered * 2 - 1), "second")
                }
            }
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            let streams = try (0..<3).map { number in
                let stream = try client.request("POST", "/", isEnd: false)
                try client.sendData(stream, Array("\(number)".utf8), isEnd: true)
                return stream
            }
            let texts = try streams.map { try client.message($0).text }
            #expect(texts == ["first", "second", "second"])
        }
        #expect(upstream.connections == 2)
    }

    @Test func aPostWhoseStreamWasResetIsNotSentAgain() async throws {
        let tries = Guarded(0)
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, _ in
            tries.withLock { $0 += 1 }
            try peer.send(stream, .rstStream(.internalError))
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let answer = try mesh.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            #expect(status(answer.head) == 502)
            #expect(tries.withLock { $0 } == 1)
            let repeated = try mesh.get("/")
            #expect(status(repeated.head) == 502)
            #expect(tries.withLock { $0 } == 3)
        }
    }

    @Test func aClientThatLeavesCancelsItsStreamOnly() async throws {
        let arrived = Guarded(false)
        let reset = Guarded<HTTP2ErrorCode?>(nil)
        let upstream = try ScriptedUpstream.http2 { peer, _ in
            try peer.receive { $0.messages[1] != nil }
            arrived.withLock { $0 = true }
            try peer.receive { $0.messages[1]?.reset != nil }
            reset.withLock { $0 = peer.messages[1]?.reset }
            try peer.receive { $0.messages[3] != nil }
            try Self.answer(peer, 3, "ok")
            try peer.receive { _ in false }
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(eventually { arrived.withLock { $0 } })
            client.close()
            #expect(eventually { reset.withLock { $0 } == .cancel })
            #expect(try mesh.get("/").body == Array("ok".utf8))
        }
        #expect(upstream.connections == 1)
    }

    @Test func aConnectionThatBreaksFailsItsStreams() async throws {
        let upstream = try ScriptedUpstream.http2 { peer, _ in
            try peer.receive { $0.messages.count == 2 }
            try peer.sendHeaders(1, [":status": "200"])
            try peer.sendData(1, Array("half".utf8))
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            let begun = try client.request("POST", "/")
            let waiting = try client.request("POST", "/")
            let broken = try client.message(begun)
            // The end may overtake the head: then there was no answer. What has begun is never ended as if it were whole.
            if broken.status == 200 {
                #expect(broken.reset != nil && !broken.isEnded)
            } else {
                #expect(broken.status == 502)
            }
            #expect(try client.message(waiting).status == 502)
        }
    }

    @Test func aSlowClientHoldsTheStreamBack() async throws {
        let size = 16 << 20
        let isHeldBack = Guarded(false)
        let upstream = try ScriptedUpstream.http2 { peer, _ in
            try peer.receive { $0.messages[1] != nil }
            try peer.sendHeaders(1, [":status": "200"])
            let isWritten = try peer.sendTracked(1, [UInt8](repeating: 0x61, count: size))
            // The buffers on the way take a part; then no window comes any more.
            peer.socket.setTimeout(1)
            _ = try? peer.receive { _ in isWritten() }
            isHeldBack.withLock { $0 = !isWritten() }
            peer.socket.setTimeout(Patience.seconds)
            try peer.receive { _ in isWritten() }
            try peer.receive { _ in false }
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            _ = try client.receive(until: "\r\n\r\n")
            #expect(eventually { isHeldBack.withLock { $0 } })
            var count = 0
            while count < size { count += try client.receive().count }
        }
    }

    @Test func aLargeBodyIsSentAsTheWindowOpens() async throws {
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, message in
            try Self.answer(peer, stream, "\(message.body.count)")
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let body = [UInt8](repeating: 0x62, count: 3_000_000)
            let socket = try mesh.connect()
            try socket.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.count)\r\n\r\n")
            try socket.send(body)
            #expect(try socket.receiveMessage().body == Array("\(body.count)".utf8))
        }
    }

    @Test func interimHeadsAreForwarded() async throws {
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, _ in
            try peer.sendHeaders(stream, [":status": "103", "link": "</a.css>"])
            try Self.answer(peer, stream, "ok")
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let socket = try mesh.connect()
            try socket.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            let heads = try [socket.receive(until: "\r\n\r\n"), socket.receive(until: "\r\n\r\n")]
            #expect(heads.map(status) == [103, 200])
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            let answer = try client.message(client.request())
            #expect(answer.interim.first?.first(name: "link") == "</a.css>")
        }
    }

    @Test func headHasALengthAndNoBody() async throws {
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, _ in
            try peer.sendHeaders(stream, [":status": "200", "content-length": "7"], isEnd: true)
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let answer = try mesh.request("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", isHead: true)
            #expect(field("content-length", answer.head) == "7")
        }
    }

    @Test func anIdleConnectionIsClosedByThisSide() async throws {
        let gone = Guarded(false)
        let upstream = try ScriptedUpstream.http2 { peer, _ in
            try peer.receive { $0.messages[1] != nil }
            try Self.answer(peer, 1, "ok")
            try peer.receive { _ in false }
            gone.withLock { $0 = peer.goAway?.code == .noError }
        }
        var options = options
        options.policy.idleTimeout = .milliseconds(50)
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 200)
            #expect(eventually { gone.withLock { $0 } })
        }
    }
}
