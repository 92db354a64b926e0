import MeshExchange
import MeshModel
import MeshPolicy
import MeshTelemetry
import NIOCore
import NIOHPACK
import NIOHTTP2
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

/// Two attempts of one request side by side, on real connections.
@Suite(.blocking) struct HedgingTests {
    private func options(_ protocol: UpstreamProtocol = .http1) -> MeshUnderTest.Options {
        var options = MeshUnderTest.Options()
        options.policy.hedge = HedgePolicy(after: .fixed(.milliseconds(20)), most: 1)
        options.policy.protocol = `protocol`
        options.telemetry = TelemetryPipeline(
            origin: SpanOrigin(instance: InstanceID(high: 1, low: 2), service: "front", tier: "edge"))
        return options
    }

    /// What the instances have seen.
    private final class Observed: Sendable {
        let requests = Guarded<[String]>([])
        let sawEnd = Guarded(false)
        let isHedged = Guarded(false)
    }

    private static let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    /// The first connection hangs, having sent the beginning of an answer perhaps; the others answer. Two instances share the port.
    private func hanging(begun: String = "", _ observed: Observed) throws -> ScriptedUpstream {
        try ScriptedUpstream { socket, number in
            let message = try socket.receiveMessage()
            observed.requests.withLock { $0.append(message.head + String(decoding: message.body, as: UTF8.self)) }
            if number == 0 {
                try socket.send(begun)
                if socket.sawEnd() { observed.sawEnd.withLock { $0 = true } }
            } else {
                try socket.send(Self.ok)
                _ = socket.sawEnd()
            }
        }
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nx-late: 1\r\ncontent-len"])
    func theSecondIsAnsweredAndTheFirstIsClosedAtOnce(begun: String) async throws {
        let observed = Observed()
        let upstream = try hanging(begun: begun, observed)
        let options = options()
        try await MeshUnderTest.run([upstream.address, upstream.address], options) { mesh in
            let answer = try mesh.request("PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            #expect(status(answer.head) == 200 && answer.body == Array("ok".utf8))
            #expect(field("x-late", answer.head) == nil)
            #expect(eventually { observed.sawEnd.withLock { $0 } })
            #expect(mesh.runtime.shared.replay.bytes == 0)
        }
        let requests = observed.requests.withLock { $0 }
        #expect(requests.count == 2 && requests.allSatisfy { $0.hasSuffix("\r\n\r\nabc") })
        #expect(Set(requests.compactMap { field("traceparent", $0) }).count == 2, "each attempt has a span of its own")
        let spans = RecordedSpans(try #require(options.telemetry)).all
        let attempts = spans.filter { $0.kind == .attempt }.sorted { $0.start < $1.start }
        #expect(attempts.count == 2)
        #expect(attempts[0].text(.retryReason) == "overtaken" && attempts[0].status != .error && attempts[0][.hedge] == nil)
        #expect(attempts[1].text(.hedge)?.hasPrefix("no answer after ") == true)
        #expect(attempts[1].integer(.httpResponseStatusCode) == 200)
        #expect(attempts[0].end > attempts[1].start, "side by side")
        let call = try #require(spans.first { $0.kind == .call })
        #expect(call.integer(.httpResponseStatusCode) == 200 && call.status != .error && call.integer(.attempts) == 2)
    }

    /// As the tier that was asked sees it, which cannot know why; at the edge nobody else can say it.
    @Test(arguments: [true, false]) func aClientThatLeftIsAnErrorAtTheEdgeAlone(isEdge: Bool) async throws {
        let observed = Observed()
        let upstream = try hanging(begun: "", observed)
        var options = options()
        options.policy.hedge = nil
        options.mode = isEdge ? .gateway : .forward(to: "backend")
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            do {
                let client = try mesh.connect()
                try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                #expect(eventually { observed.requests.withLock { $0.count } == 1 })
            }
            #expect(eventually { observed.sawEnd.withLock { $0 } })
        }
        let spans = RecordedSpans(try #require(options.telemetry)).all
        let entrance = try #require(spans.first { $0.kind == (isEdge ? .gateway : .server) })
        #expect(entrance.text(.flag) == "DC" && (entrance.status == .error) == isEdge)
        let cancelled = spans.filter { $0.kind == .call || $0.kind == .attempt }
        #expect(cancelled.count == 2 && cancelled.allSatisfy { $0.text(.flag) == "DC" && $0.status != .error })
    }

    @Test func theFirstIsAnsweredAfterAllAndTheSecondIsClosed() async throws {
        let observed = Observed()
        let upstream = try ScriptedUpstream { socket, number in
            _ = try socket.receiveMessage()
            if number == 0 {
                _ = eventually { observed.isHedged.withLock { $0 } }
                try socket.send(Self.ok)
                _ = try socket.receiveMessage()
                try socket.send(Self.ok)
            } else {
                observed.isHedged.withLock { $0 = true }
                if socket.sawEnd() { observed.sawEnd.withLock { $0 = true } }
            }
        }
        try await MeshUnderTest.run([upstream.address, upstream.address], options()) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 200)
            #expect(eventually { observed.sawEnd.withLock { $0 } })
            #expect(mesh.idleUpstreamConnections == 1, "the winner's connection lives on")
        }
    }

    @Test func anErrorOfTheOneWaitsForTheOther() async throws {
        let observed = Observed()
        let upstream = try ScriptedUpstream { socket, number in
            _ = try socket.receiveMessage()
            if number == 0 {
                _ = eventually { observed.isHedged.withLock { $0 } }
                try socket.send(Self.ok)
            } else {
                try socket.send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nlater")
                observed.isHedged.withLock { $0 = true }
            }
            _ = socket.sawEnd()
        }
        try await MeshUnderTest.run([upstream.address, upstream.address], options()) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 200 && answer.body == Array("ok".utf8))
        }
    }

    @Test func aStreamOfHTTP2IsReset() async throws {
        let reset = Guarded<HTTP2ErrorCode?>(nil)
        let upstream = try ScriptedUpstream.http2 { peer, number in
            guard let stream = try peer.nextRequest(after: 0) else { return }
            let message = try peer.message(stream)
            guard number > 0 else {
                try peer.receive { $0.messages[stream]?.reset != nil }
                reset.withLock { $0 = peer.messages[stream]?.reset }
                return
            }
            try peer.sendHeaders(stream, [":status": "200"])
            try peer.sendData(stream, message.body, isEnd: true)
            try peer.receive { _ in false }
        }
        try await MeshUnderTest.run([upstream.address, upstream.address], options(.http2)) { mesh in
            let answer = try mesh.request("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            #expect(status(answer.head) == 200 && answer.body == Array("abc".utf8))
            #expect(eventually { reset.withLock { $0 } == .cancel })
        }
    }

    @Test func aClientThatLeavesEndsBoth() async throws {
        let ends = Guarded(0)
        let requests = Guarded(0)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            requests.withLock { $0 += 1 }
            if socket.sawEnd() { ends.withLock { $0 += 1 } }
        }
        try await MeshUnderTest.run([upstream.address, upstream.address], options()) { mesh in
            let socket = try mesh.connect()
            try socket.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(eventually { requests.withLock { $0 } == 2 })
            socket.close()
            #expect(eventually { ends.withLock { $0 } == 2 })
        }
    }

    @Test func callsOfCodeAreHedgedToo() async throws {
        let observed = Observed()
        let upstream = try hanging(observed)
        let runtime = try MeshRuntime(MeshUnderTest.configuration([upstream.address, upstream.address], options()), threads: 2)
        let answer = try await runtime.call("backend", path: "/stock", context: CallContext())
        #expect(answer.status == 200)
        #expect(try await answer.body.collect(upTo: 100) == ByteBuffer(string: "ok"))
        #expect(eventually { observed.sawEnd.withLock { $0 } })
        await runtime.shutDown()
        let credits = observed.requests.withLock { $0 }.compactMap { field("mesh-retry-credit", $0) }
        #expect(Set(credits) == ["2", "0"], "the first took two of three, and the second cost the third")
    }
}
