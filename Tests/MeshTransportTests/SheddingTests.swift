import MeshExchange
import MeshModel
import MeshPolicy
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

/// `limits: { in_flight }`, and what an answer that sheds says to those above.
@Suite(.blocking) struct SheddingTests {
    /// Answers `/held` only when the gate opens, or nobody wants the answer any more.
    private final class Held: Sendable {
        private let gates = Guarded<[AsyncStream<Never>.Continuation]>([])
        let waiting = Atomic<Int>(0)
        func open() { for gate in gates.withLock({ $0 }) { gate.finish() } }

        func answer(_ request: InboundRequest) async throws -> OutboundResponse {
            guard request.path.hasPrefix("/held") else { return OutboundResponse(status: 200) }
            let (held, gate) = AsyncStream<Never>.makeStream()
            gates.withLock { $0.append(gate) }
            waiting.wrappingAdd(1, ordering: .sequentiallyConsistent)
            for await _ in held {}
            return OutboundResponse(status: 200)
        }
    }

    private func options(_ held: Held, _ limit: LimitPolicy) -> MeshUnderTest.Options {
        var options = MeshUnderTest.Options()
        options.mode = .handler { try await held.answer($0) }
        options.change = { $0.limits.inFlight = limit }
        return options
    }

    @Test func aServiceThatIsFullTurnsAwayAndSaysSo() async throws {
        let held = Held()
        try await MeshUnderTest.run([], options(held, .fixed(2))) { mesh in
            let first = try mesh.connect()
            let second = try mesh.connect()
            for socket in [first, second] { try socket.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n") }
            #expect(eventually { held.waiting.load(ordering: .sequentiallyConsistent) == 2 })
            let refused = try mesh.get("/").head
            #expect(status(refused) == 503 && field("mesh-overload", refused) == "host")
            #expect(field("proxy-status", refused)?.contains("flag=SH") == true)
            let healthy = try mesh.get("/-/healthy").head
            #expect(status(healthy) == 200, "who asks for its health is no load")
            let critical = try mesh.get("/", fields: "mesh-criticality: critical\r\n").head
            #expect(status(critical) == 503, "a quarter of two is no seat")
            held.open()
            let answers = try [first, second].map { status(try $0.receiveMessage(isHead: false).head) }
            #expect(answers == [200, 200])
            let after = try mesh.get("/").head
            #expect(status(after) == 200 && field("mesh-overload", after) == nil)
            let traffic = mesh.runtime.inboundTraffic
            #expect(traffic.shed == 2 && traffic.limit == 2)
        }
    }

    @Test func whatIsCriticalGoesBeyondTheLimitAndAClientThatLeavesGivesItsSeatBack() async throws {
        let held = Held()
        try await MeshUnderTest.run([], options(held, .fixed(4))) { mesh in
            var sockets: [RawSocket] = []
            for _ in 0..<4 {
                let socket = try mesh.connect()
                try socket.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
                sockets.append(socket)
            }
            #expect(eventually { held.waiting.load(ordering: .sequentiallyConsistent) == 4 })
            let standard = try mesh.get("/").head
            let critical = try mesh.get("/", fields: "mesh-criticality: critical\r\n").head
            #expect(status(standard) == 503 && status(critical) == 200)
            sockets.removeAll()
            #expect(eventually { (try? mesh.get("/").head).map { status($0) } == 200 })
        }
    }

    @Test func theEdgeSaysWhatIsCriticalAndAStrangerDoesNot() async throws {
        let seen = Guarded<[String?]>([])
        let upstream = try ScriptedUpstream.answering { head in
            seen.withLock { $0.append(field("mesh-criticality", head)) }
            return "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        }
        var route = RouteConfiguration(pattern: "/pay/**", target: "backend")
        route.criticality = .critical
        var options = MeshUnderTest.Options()
        options.routes = [route, RouteConfiguration(pattern: "/**", target: "backend")]
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            _ = try mesh.get("/pay/1", fields: "mesh-criticality: sheddable\r\n")
            _ = try mesh.get("/", fields: "mesh-criticality: critical\r\n")
        }
        #expect(seen.withLock { $0 } == ["critical", nil])
    }

    @Test func whatIsCriticalStaysSoInTheCallsThatAreMadeForIt() async throws {
        let seen = Guarded<[String?]>([])
        let upstream = try ScriptedUpstream.answering { head in
            seen.withLock { $0.append(field("mesh-criticality", head)) }
            return "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        }
        let runtime = Guarded<MeshRuntime?>(nil)
        var options = MeshUnderTest.Options()
        options.mode = .handler { request in
            let runtime = runtime.withLock { $0! }
            _ = try await runtime.call("backend", path: "/", context: CallContext(criticality: request.context.criticality))
            return request.path == "/own" ? OutboundResponse(status: 200) : request.forward(to: "backend")
        }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            runtime.withLock { $0 = mesh.runtime }
            _ = try mesh.get("/own", fields: "mesh-criticality: sheddable\r\n")
            _ = try mesh.get("/forward", fields: "mesh-criticality: critical\r\n")
            _ = try mesh.get("/own", fields: "mesh-criticality: nonsense\r\n")
        }
        #expect(seen.withLock { $0 } == ["sheddable", "critical", "critical", nil])
    }

    @Test func anAnswerThatShedsIsTriedElsewhereAndElseEndsHere() async throws {
        let full = try ScriptedUpstream.answering { _ in
            "HTTP/1.1 503 Service Unavailable\r\nmesh-overload: host\r\ncontent-length: 0\r\n\r\n"
        }
        let free = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" }
        var options = MeshUnderTest.Options()
        options.mode = .forward(to: "backend")
        try await MeshUnderTest.run([full.address, free.address], options) { mesh in
            let statuses = try (0..<6).map { _ in status(try mesh.get("/").head) }
            #expect(statuses.allSatisfy { $0 == 200 })
        }
        try await MeshUnderTest.run([full.address], options) { mesh in
            let heads = try (0..<20).map { _ in try mesh.get("/").head }
            // Twenty in a row would open a breaker, if to shed were to fail.
            #expect(heads.allSatisfy { status($0) == 503 && field("mesh-retry", $0) == "no" })
        }
    }
}
