import MeshExchange
import MeshHTTP
import MeshModel
import MeshPolicy
import MeshTelemetry
import NIOCore
import NIOHPACK
import NIOHTTP2
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct GRPCTests {
    private static let fields = [("content-type", "application/grpc+proto"), ("te", "trailers")]

    private var options: MeshUnderTest.Options {
        var options = MeshUnderTest.Options()
        options.policy.protocol = .http2
        return options
    }

    private func call(_ client: HTTP2Peer, timeout: String? = nil) throws -> HTTP2StreamID {
        let stream = try client.request(
            "POST", "/shop.Stock/Get", Self.fields + (timeout.map { [("grpc-timeout", $0)] } ?? []), isEnd: false)
        try client.sendData(stream, [0, 0, 0, 0, 1, 7], isEnd: true)
        return stream
    }

    @Test func aMessageAndItsStatusComeThrough() async throws {
        let seen = Guarded<[HPACKHeaders]>([])
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, message in
            seen.withLock { $0.append(message.headers) }
            try peer.sendHeaders(stream, [":status": "200", "content-type": "application/grpc"])
            try peer.sendData(stream, message.body)
            try peer.sendHeaders(stream, ["grpc-status": "0"], isEnd: true)
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            let answer = try client.message(call(client, timeout: "5S"))
            #expect(answer.body == [0, 0, 0, 0, 1, 7])
            #expect(answer.trailers?.first(name: "grpc-status") == "0")
        }
        let headers = try #require(seen.withLock { $0.first })
        #expect(headers.first(name: "te") == "trailers")
        // What is left of five seconds, in milliseconds.
        let timeout = try #require(headers.first(name: "grpc-timeout"))
        #expect(timeout.last == "m")
        #expect(Int(timeout.dropLast()).map { (1...5000).contains($0) } == true)
    }

    @Test func anAnswerOfTrailersOnlyIsOneBlock() async throws {
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, _ in
            try peer.sendHeaders(
                stream, [":status": "200", "content-type": "application/grpc", "grpc-status": "5", "grpc-message": "none"], isEnd: true)
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            let answer = try client.message(call(client))
            #expect(answer.headers.first(name: "grpc-status") == "5")
            #expect(answer.trailers == nil)
            #expect(answer.body.isEmpty)
            #expect(!answer.headers.contains(name: "content-length"))
        }
    }

    @Test func unavailableInTrailersOnlyIsTriedAgainWhereTheCallMayBe() async throws {
        let tries = Guarded(0)
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, _ in
            let number = tries.withLock { tries -> Int in
                tries += 1
                return tries
            }
            try peer.sendHeaders(stream, [":status": "200", "grpc-status": number == 1 ? "14" : "0"], isEnd: true)
        }
        var options = options
        options.routes = [RouteConfiguration(pattern: "/**", target: "backend", idempotent: true)]
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            #expect(try client.message(call(client)).headers.first(name: "grpc-status") == "0")
        }
        #expect(tries.withLock { $0 } == 2)
    }

    @Test func theMeshsOwnErrorsAreTrailersOnly() async throws {
        let closed = RefusingPort()
        try await MeshUnderTest.run([closed.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            let answer = try client.message(call(client))
            #expect(answer.status == 200)
            #expect(answer.headers.first(name: "content-type") == "application/grpc")
            #expect(answer.headers.first(name: "grpc-status") == "14")
            #expect(answer.headers.first(name: "grpc-message")?.isEmpty == false)
            #expect(answer.headers.contains(name: "proxy-status"))
            #expect(answer.body.isEmpty && answer.trailers == nil)
        }
        withExtendedLifetime(closed) {}
    }

    @Test func theDeadlineCoversTheWholeCall() async throws {
        let reset = Guarded<[HTTP2ErrorCode]>([])
        let upstream = try ScriptedUpstream.http2 { peer, _ in
            try peer.receive { $0.messages[1] != nil }
            try peer.receive { $0.messages[3] != nil }
            try peer.sendHeaders(3, [":status": "200", "content-type": "application/grpc"])
            try peer.sendData(3, [0, 0, 0, 0, 0])
            try peer.receive { $0.messages[1]?.reset != nil && $0.messages[3]?.reset != nil }
            reset.withLock { $0 = peer.messages.values.compactMap(\.reset) }
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            let silent = try call(client, timeout: "2S")
            let begun = try call(client, timeout: "2S")
            let late = try client.message(silent)
            #expect(late.headers.first(name: "grpc-status") == "4")
            let cut = try client.message(begun)
            #expect(cut.body == [0, 0, 0, 0, 0])
            #expect(cut.trailers?.first(name: "grpc-status") == "4")
            #expect(eventually { reset.withLock { $0 } == [.cancel, .cancel] })
        }
    }

    /// Calls use the same objects one after the other: what a span says of one is never read from the answer to another.
    @Test func aCallWithoutAnAnswerKnowsNothingOfTheOneBefore() async throws {
        let upstream = try ScriptedUpstream.answeringHTTP2 { peer, stream, _ in
            guard stream == 1 else { return }
            try peer.sendHeaders(stream, [":status": "200", "content-type": "application/grpc", "grpc-status": "5"], isEnd: true)
        }
        let pipeline = TelemetryPipeline(origin: SpanOrigin(instance: InstanceID(high: 1, low: 2), service: "front", tier: "edge"))
        let recorded = RecordedSpans(pipeline)
        var options = options
        options.telemetry = pipeline
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try HTTP2Peer(mesh.connect(), mode: .client)
            #expect(try client.message(call(client)).headers.first(name: "grpc-status") == "5")
            #expect(try client.message(call(client, timeout: "500m")).headers.first(name: "grpc-status") == "4")
        }
        #expect(recorded.all.filter { $0.kind == .call }.count == 2)
    }

    @Test func timeoutsAreReadAndWrittenInTheirUnits() {
        func read(_ text: String) -> Timespan? { Array(text.utf8).withUnsafeBytes { GRPCTimeout.read($0) } }
        #expect(read("1H") == .seconds(3600))
        #expect(read("2M") == .seconds(120))
        #expect(read("3S") == .seconds(3))
        #expect(read("4m") == .milliseconds(4))
        #expect(read("5u") == Timespan(nanoseconds: 5000))
        #expect(read("6n") == Timespan(nanoseconds: 6))
        #expect(read("99999999H") == .seconds(100 * 366 * 86400))
        for bad in ["", "1", "S", "-1S", "1.5S", "123456789S", "1s", " 1S"] { #expect(read(bad) == nil, "\(bad)") }
    }

    @Test(arguments: [(200, 2), (400, 13), (404, 12), (429, 14), (502, 14), (503, 14), (504, 4), (413, 8), (500, 2)])
    func statusesAreMapped(_ http: Int, _ grpc: Int) { #expect(GRPCStatus(httpStatus: http).rawValue == grpc) }

    @Test func messagesArePercentEncoded() {
        #expect(GRPCStatus.percentEncoded("a b%\n\u{e9}") == "a b%25%0A%C3%A9")
    }
}
