import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import MeshTelemetry
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct TunnelTests {
    private static let asking =
        "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n"
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s\r\n\r\n"

    /// A service that switches, and answers each byte by itself, doubled, until its client ends its side; then it says goodbye.
    private static func doubling(_ heads: Heads = Heads()) throws -> ScriptedUpstream {
        try ScriptedUpstream { socket, _ in
            let head = try socket.receive(until: "\r\n\r\n")
            heads.all.withLock { $0.append(head) }
            try socket.send(switching)
            while true {
                let bytes = try socket.receive()
                guard !bytes.isEmpty else { break }
                try socket.send(bytes.flatMap { [$0, $0] })
            }
            try socket.send("bye")
        }
    }

    @Test func aTunnelOpensOn101AndPassesOnBytesAndHalfCloses() async throws {
        let heads = Heads()
        let upstream = try Self.doubling(heads)
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking)
            let head = try client.receive(until: "\r\n\r\n")
            #expect(status(head) == 101)
            #expect(field("upgrade", head) == "websocket" && field("connection", head) == "upgrade")
            #expect(field("sec-websocket-accept", head) == "s")
            for byte in "abc".utf8 {
                try client.send([byte])
                #expect(try client.receive(count: 2) == [byte, byte])
            }
            client.shutdownWriting()
            #expect(client.receiveToEnd() == Array("bye".utf8))
            #expect(eventually { mesh.clientConnections == [0] })
        }
        let head = try #require(heads.all.withLock { $0.first })
        #expect(field("upgrade", head) == "websocket" && field("connection", head) == "upgrade" && field("sec-websocket-key", head) == "k")
    }

    @Test func aServiceThatEndsFirstIsStillSentTo() async throws {
        let received = Guarded<[UInt8]>([])
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            try socket.send(Self.switching + "all")
            socket.shutdownWriting()
            let bytes = socket.receiveToEnd() ?? []
            received.withLock { $0 = bytes }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            #expect(client.receiveToEnd() == Array("all".utf8))
            try client.send("more")
            client.shutdownWriting()
            #expect(eventually { received.withLock { $0 } == Array("more".utf8) })
            #expect(eventually { mesh.clientConnections == [0] })
        }
    }

    @Test func bothSidesMaySendAtOnceAndMoreThanSocketsHold() async throws {
        let total = 40 << 20
        let received = Guarded(0)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            try socket.send(Self.switching)
            let reader = Counter(of: socket)
            try socket.send([UInt8](repeating: 1, count: total))
            socket.shutdownWriting()
            let count = reader.wait() ?? 0
            received.withLock { $0 = count }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            let reader = Counter(of: client)
            try client.send([UInt8](repeating: 2, count: total))
            client.shutdownWriting()
            #expect(reader.wait() == total)
            // The end of the mesh would cut off what is still under way.
            #expect(eventually { received.withLock { $0 == total } })
        }
    }

    /// When the service has ended its side, the client's end closes the client's connection as a whole, while bytes wait here.
    @Test func whatWaitsForASlowServiceOutlivesTheClient() async throws {
        let total = 16 << 20
        let hasClientEnded = Atomic<Bool>(false)
        let received = Atomic<Int>(0)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            try socket.send(Self.switching)
            socket.shutdownWriting()
            let ahead = try socket.receive(count: total - (1 << 20)).count
            _ = eventually { hasClientEnded.load(ordering: .acquiring) }
            received.store(ahead + (socket.receiveToEnd() ?? []).count, ordering: .releasing)
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            #expect(client.receiveToEnd() == [])
            try client.send([UInt8](repeating: 2, count: total))
            client.shutdownWriting()
            #expect(eventually { mesh.clientConnections == [0] })
            hasClientEnded.store(true, ordering: .releasing)
            #expect(eventually { received.load(ordering: .acquiring) == total })
        }
    }

    /// The client has ended its side behind bytes that the service does not take yet, when the service ends its own.
    @Test func whatWaitsForASlowClientOutlivesTheService() async throws {
        let ofService = 16 << 20
        let ofClient = 450 << 10
        let hasServiceEnded = Atomic<Bool>(false)
        let hasClientAll = Atomic<Bool>(false)
        let received = Guarded(0)
        let folder = NSTemporaryDirectory() + "mesh-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let upstream = try ScriptedUpstream(path: folder + "/up.sock") { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            try socket.send(Self.switching)
            try socket.send([UInt8](repeating: 1, count: ofService))
            socket.shutdownWriting()
            hasServiceEnded.store(true, ordering: .releasing)
            _ = eventually { hasClientAll.load(ordering: .acquiring) }
            let count = socket.receiveToEnd()?.count ?? 0
            received.withLock { $0 = count }
        }
        // Over Unix sockets, which hold less than the rest that is not read.
        let rest = 250 << 10
        let mesh = try await MeshUnderTest.start([upstream.address])
        _ = try await mesh.runtime.listen(on: .address(.unix(path: folder + "/client.sock")), as: .gateway)
        try await onThread {
            let client = try RawSocket.connect(path: folder + "/client.sock")
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            try client.send([UInt8](repeating: 2, count: ofClient))
            client.shutdownWriting()
            let ahead = try client.receive(count: ofService - rest).count
            // What is left fits into the sockets, mostly; where it does not, the service ends while the rest is read.
            for _ in 0..<1000 where !hasServiceEnded.load(ordering: .acquiring) { usleep(1000) }
            let count = client.receiveToEnd()?.count
            #expect(count == ofService - ahead)
            hasClientAll.store(true, ordering: .releasing)
            #expect(eventually { received.withLock { $0 == ofClient } })
        }
        await mesh.runtime.shutDown()
    }

    @Test func aResetOnOneSideIsOneOnTheOther() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            try socket.send(Self.switching)
            _ = try socket.receive(count: 1)
            socket.reset()
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            try client.send("x")
            #expect(client.receiveToEnd() == nil)
        }
    }

    @Test func aClientThatIsGoneTakesTheServicesSideWithIt() async throws {
        let isEnded = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            try socket.send(Self.switching)
            if socket.sawEnd() { isEnded.store(true, ordering: .relaxed) }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            client.reset()
            #expect(eventually { isEnded.load(ordering: .relaxed) })
        }
    }

    @Test func aServiceThatDoesNotSwitchAnswersAsAlways() async throws {
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno" }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            for _ in 0..<2 {
                try client.send(Self.asking)
                let answer = try client.receiveMessage()
                #expect(status(answer.head) == 426 && answer.body == Array("no".utf8))
            }
            #expect(upstream.connections == 1)
        }
    }

    @Test func whatIsSentAheadOfTheSwitchGoesThroughTheTunnel() async throws {
        let upstream = try Self.doubling()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking + "ahead")
            _ = try client.receive(until: "\r\n\r\n")
            #expect(try client.receive(count: 10) == Array("aahheeaadd".utf8))
        }
    }

    /// HTTP behind an Upgrade would go past every rule, and a body would leave open where the tunnel begins.
    @Test(arguments: [
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket, H2C\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 1\r\n\r\nx",
    ])
    func anUpgradeThatCannotBeATunnelIsNotPassedOn(_ request: String) async throws {
        let heads = Guarded("")
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                let message = try socket.receiveMessage()
                heads.withLock { $0 = message.head.lowercased() }
                try socket.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
            }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send(request)
            #expect(try status(client.receiveMessage().head) == 502)
        }
        let head = heads.withLock { $0 }
        #expect(!head.contains("upgrade") && !head.contains("http2-settings"))
    }

    @Test func connectIsRefused() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\nsecret")
            let answer = try client.receiveMessage()
            #expect(status(answer.head) == 501 && field("connection", answer.head) == "close")
            #expect(client.sawEnd() && upstream.connections == 0)
        }
    }

    @Test func aSilentTunnelEndsWithTheStreamsIdleTime() async throws {
        let upstream = try Self.doubling()
        var options = MeshUnderTest.Options()
        options.policy.streamIdleTimeout = .milliseconds(100)
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            #expect(client.receiveToEnd() == nil)
        }
    }

    /// The deadline is for the head; what is open by then goes on.
    @Test func aTunnelOutlivesTheDeadlineAndEndsWithTheProcess() async throws {
        let upstream = try Self.doubling()
        var options = MeshUnderTest.Options()
        options.policy.timeout = .seconds(2)
        let mesh = try await MeshUnderTest.start([upstream.address], options)
        let client = try await onThread {
            let client = try mesh.connect()
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            usleep(2_100_000)
            try client.send("x")
            #expect(try client.receive(count: 2) == Array("xx".utf8))
            return client
        }
        await mesh.runtime.drain(within: .seconds(20))
        #expect(try await onThread { client.receiveToEnd() } == [])
        await mesh.runtime.shutDown()
    }

    @Test func aTunnelIsOneCallInItsTrace() async throws {
        let upstream = try Self.doubling()
        let pipeline = TelemetryPipeline(origin: SpanOrigin(instance: InstanceID(high: 1, low: 2), service: "front", tier: "edge"))
        let recorded = RecordedSpans(pipeline)
        var options = MeshUnderTest.Options()
        options.telemetry = pipeline
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            try client.send(Self.asking)
            _ = try client.receive(until: "\r\n\r\n")
            client.shutdownWriting()
            #expect(client.receiveToEnd() == Array("bye".utf8))
            #expect(eventually { mesh.clientConnections == [0] })
        }
        // A connection that was long in coming has a span of its own.
        let spans = recorded.all.filter { $0.kind != .queue }
        #expect(Set(spans.map(\.kind)) == [.gateway, .call, .attempt] && spans.count == 3)
        #expect(spans.allSatisfy { $0.status != .error })
    }
}

/// The heads of requests that a service saw.
private final class Heads: Sendable {
    let all = Guarded<[String]>([])
}

/// Reads a socket to its end on a thread of its own, and counts.
private final class Counter: Sendable {
    private let count = Guarded<Int?>(nil)

    init(of socket: RawSocket) {
        Thread.detachNewThread { [self] in
            var total = 0
            while let bytes = try? socket.receive(), !bytes.isEmpty { total += bytes.count }
            count.withLock { $0 = total }
        }
    }

    func wait() -> Int? {
        _ = eventually { count.withLock { $0 } != nil }
        return count.withLock { $0 }
    }
}
