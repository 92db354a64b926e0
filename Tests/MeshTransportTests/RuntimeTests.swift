import Foundation
import MeshExchange
import MeshModel
import MeshTelemetry
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct RuntimeTests {
    @Test func drainingEndsIdleConnectionsAndWaitsForAnswers() async throws {
        let began = Atomic<Bool>(false)
        let goOn = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            began.store(true, ordering: .relaxed)
            _ = eventually { goOn.load(ordering: .relaxed) }
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        }
        let mesh = try await MeshUnderTest.start([upstream.address])
        let (idle, busy) = try await onThread { () -> (RawSocket, RawSocket) in
            let idle = try mesh.connect()
            try idle.send("GET /-/healthy HTTP/1.1\r\nhost: a\r\n\r\n")
            _ = try idle.receiveMessage()
            let busy = try mesh.connect()
            try busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(eventually { began.load(ordering: .relaxed) })
            return (idle, busy)
        }
        async let drained: Void = mesh.runtime.drain(within: .seconds(10))
        try await onThread {
            #expect(idle.sawEnd())
            #expect(throws: RawSocket.Failed.self) { try mesh.connect() }
            goOn.store(true, ordering: .relaxed)
            let answer = try busy.receiveMessage()
            #expect(status(answer.head) == 200)
            #expect(field("connection", answer.head) == "close")
        }
        await drained
        await mesh.runtime.shutDown()
    }

    @Test func aRequestThatIsOnItsWayWhenADrainBeginsIsAnswered() async throws {
        let mesh = try await MeshUnderTest.start([try ScriptedUpstream.echo().address])
        let loops = mesh.runtime.loops
        let (used, fresh) = try await onThread { () -> (RawSocket, RawSocket) in
            let used = try mesh.connect()
            try used.send("GET /-/healthy HTTP/1.1\r\nhost: a\r\n\r\n")
            _ = try used.receiveMessage()
            let fresh = try mesh.connect()
            #expect(eventually { (try? loops.map { loop in try loop.eventLoop.submit { loop.connections.count }.wait() }) == [2] })
            return (used, fresh)
        }
        try await onThread {
            // On the loop, so that nothing is read before the drain begins.
            let drained = try loops[0].eventLoop.submit {
                for client in [used, fresh] { try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n") }
                let drained = loops[0].eventLoop.makePromise(of: Void.self)
                loops[0].drain(drained)
                return drained.futureResult
            }.wait()
            for client in [used, fresh] {
                let answer = try client.receiveMessage()
                #expect(status(answer.head) == 200 && field("connection", answer.head) == "close")
                #expect(client.sawEnd())
            }
            try drained.wait()
        }
        await mesh.runtime.shutDown()
    }

    /// Whose head had left before the drain began, and did not say that it was the last.
    @Test func aRequestBehindAnAnswerThatADrainMetIsAnswered() async throws {
        let goOn = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                _ = try socket.receiveMessage()
                try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
                _ = eventually { goOn.load(ordering: .relaxed) }
                try socket.send("cd")
            }
        }
        let mesh = try await MeshUnderTest.start([upstream.address])
        let client = try await onThread { () -> RawSocket in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(field("connection", try client.receive(until: "\r\n\r\n")) == nil)
            return client
        }
        let loop = mesh.runtime.loops[0]
        async let drained: Void = mesh.runtime.drain(within: .seconds(10))
        try await onThread {
            #expect(eventually { (try? loop.eventLoop.submit { loop.isDraining }.wait()) ?? false })
            goOn.store(true, ordering: .relaxed)
            #expect(try client.receive(until: "cd").hasSuffix("abcd"))
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            let answer = try client.receiveMessage()
            #expect(status(answer.head) == 200 && field("connection", answer.head) == "close")
            #expect(client.sawEnd())
        }
        await drained
        await mesh.runtime.shutDown()
    }

    @Test func theClientEndsItsIdleConnectionsToAnInstanceThatDrains() async throws {
        let ended = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            ended.store(socket.sawEnd(), ordering: .relaxed)
        }
        let other = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother" }
        let options = MeshUnderTest.Options()
        var configuration = MeshUnderTest.configuration([upstream.address, other.address], options)
        configuration.destinations[0].endpoints[1].draining = true
        let first = configuration
        var changed = options
        changed.change = { $0 = first }
        configuration.destinations[0].endpoints[0].draining = true
        configuration.destinations[0].endpoints[1].draining = false
        let next = configuration
        try await MeshUnderTest.run([], changed) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("ok".utf8))
            #expect(mesh.idleUpstreamConnections == 1)
            try mesh.runtime.install(next)
            #expect(mesh.idleUpstreamConnections == 0)
            #expect(eventually { ended.load(ordering: .relaxed) })
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("other".utf8))
        }
    }

    @Test func drainingGivesUpAtItsDeadline() async throws {
        let began = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            began.store(true, ordering: .relaxed)
            _ = socket.sawEnd()
        }
        let mesh = try await MeshUnderTest.start([upstream.address])
        let busy = try await onThread { () -> RawSocket in
            let busy = try mesh.connect()
            try busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(eventually { began.load(ordering: .relaxed) })
            return busy
        }
        await mesh.runtime.drain(within: .milliseconds(50))
        await mesh.runtime.shutDown()
        #expect(try await onThread { busy.sawEnd() })
    }

    @Test func aCallUnderWayEndsWithTheRuntimeAndNoneBeginsAfterIt() async throws {
        let began = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            began.store(true, ordering: .relaxed)
            _ = socket.sawEnd()
        }
        let runtime = try MeshRuntime(MeshUnderTest.configuration([upstream.address], .init()), threads: 2)
        let call = Task { try await runtime.call("backend", path: "/") }
        let isUnderWay = try await onThread { eventually { began.load(ordering: .relaxed) } }
        #expect(isUnderWay)
        await runtime.shutDown()
        await #expect(throws: CancellationError.self) { try await call.value }
        await #expect(throws: CancellationError.self) { try await runtime.call("backend", path: "/") }
        upstream.stop()
    }

    /// NIO takes nothing for a loop that has ended: it warns, or in its strict mode stops the process.
    @Test func whatHandlersHoldMayOutliveTheRuntime() async throws {
        let began = Atomic<Bool>(false)
        let held = Guarded<CheckedContinuation<Void, Never>?>(nil)
        let ended = Atomic<Bool>(false)
        var options = MeshUnderTest.Options()
        options.mode = .handler { request in
            began.store(true, ordering: .relaxed)
            // Deaf to its cancellation.
            await withCheckedContinuation { continuation in held.withLock { $0 = continuation } }
            let read = try? await request.body.collect(upTo: 100)
            #expect(read == nil)
            ended.store(true, ordering: .relaxed)
            return OutboundResponse(status: 200)
        }
        let mesh = try await MeshUnderTest.start([], options)
        let client = try await onThread { () -> RawSocket in
            let client = try mesh.connect()
            try client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            #expect(eventually { held.withLock { $0 != nil } })
            return client
        }
        await mesh.runtime.shutDown()
        held.withLock { $0 }?.resume()
        let isOver = try await onThread { eventually { ended.load(ordering: .relaxed) } }
        #expect(isOver)
        #expect(try await onThread { client.sawEnd() })
    }

    @Test func connectionsAreSpreadOverTheLoops() async throws {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        options.threads = 4
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let clients = try (0..<16).map { _ in try mesh.connect() }
            for client in clients {
                try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                _ = try client.receiveMessage()
            }
            let counts = mesh.clientConnections
            #expect(counts == [4, 4, 4, 4])
        }
    }

    @Test func aNewSnapshotIsFollowedAndABadOneIsNot() async throws {
        let first = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst" }
        let second = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond" }
        let options = MeshUnderTest.Options()
        try await MeshUnderTest.run([first.address], options) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("first".utf8))
            try mesh.runtime.install(MeshUnderTest.configuration([second.address], options))
            #expect(mesh.idleUpstreamConnections == 0)
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("second".utf8))
            var bad = MeshUnderTest.configuration([first.address], options)
            bad.routes = [RouteConfiguration(pattern: "/**", target: "nobody")]
            #expect(throws: SnapshotError.self) { try mesh.runtime.install(bad) }
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try client.receiveMessage().body == Array("second".utf8))
        }
    }

    @Test func aPortThatIsTakenIsNamed() async throws {
        let upstream = try ScriptedUpstream.echo()
        let runtime = try MeshRuntime(MeshUnderTest.configuration([], .init()), threads: 1)
        do {
            _ = try await runtime.listen(on: .address(upstream.address), as: .gateway)
            Issue.record("listening on a port that is taken")
        } catch let failure as ListenFailed {
            #expect(failure.isAddressInUse)
            #expect("\(failure)".contains("127.0.0.1:\(upstream.port)"))
        }
        await runtime.shutDown()
    }

    @Test func aPeerOverAUnixSocketIsKnown() async throws {
        let folder = NSTemporaryDirectory() + "mesh-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let peer = Guarded(PeerIdentity.none)
        let runtime = try MeshRuntime(MeshUnderTest.configuration([], .init()), threads: 1)
        _ = try await runtime.listen(
            on: .address(.unix(path: folder + "/s.sock")),
            as: .handler { request in
                peer.withLock { $0 = request.context.peer }
                return OutboundResponse(status: 204)
            })
        try await onThread {
            let client = try RawSocket.connect(path: folder + "/s.sock")
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            _ = try client.receive(until: "\r\n\r\n")
        }
        #expect(peer.withLock { $0 } == .unix(processID: getpid(), userID: getuid()))
        await runtime.shutDown()
    }

    @Test func aSocketThatWasHandedDownIsUsed() async throws {
        let upstream = try ScriptedUpstream.echo()
        let runtime = try MeshRuntime(MeshUnderTest.configuration([], .init()), threads: 1)
        let descriptor = socket(AF_INET, streamSocket, 0)
        listen(descriptor, 16)
        let listener = try await runtime.listen(on: .inheritedDescriptor(descriptor), as: .gateway)
        guard case .tcp(_, let port)? = listener.address else {
            Issue.record("no address")
            return
        }
        try await onThread {
            let client = try RawSocket.connect(port: port)
            try client.send("GET /-/healthy HTTP/1.1\r\nhost: a\r\n\r\n")
            let answer = try client.receiveMessage()
            #expect(status(answer.head) == 200)
        }
        await runtime.shutDown()
        withExtendedLifetime(upstream) {}
    }

    @Test func spansOfARepeatedCallStandInOneTrace() async throws {
        let pipeline = TelemetryPipeline(origin: SpanOrigin(instance: InstanceID(high: 1, low: 2), service: "front", tier: "edge"))
        let recorded = RecordedSpans(pipeline)
        let parents = Guarded<[String]>([])
        let upstream = try ScriptedUpstream { socket, _ in
            while true {
                let message = try socket.receiveMessage()
                let number = parents.withLock { parents -> Int in
                    parents.append(field("traceparent", message.head) ?? "")
                    return parents.count
                }
                try socket.send(
                    number == 1 ? "HTTP/1.1 503 Nope\r\ncontent-length: 0\r\n\r\n" : "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            }
        }
        var options = MeshUnderTest.Options()
        options.telemetry = pipeline
        options.routes = [RouteConfiguration(pattern: "/orders/**", target: "backend")]
        let trace = try await MeshUnderTest.run([upstream.address], options) { mesh in
            let answer = try mesh.get("/orders/1")
            #expect(status(answer.head) == 200)
            return field("mesh-trace", answer.head)
        }
        // A connection that was long in coming has a span of its own.
        let spans = recorded.all.filter { $0.kind != .queue }
        #expect(Set(spans.map { $0.traceID.description }) == [trace])
        #expect(spans.map(\.kind).sorted { $0.rawValue < $1.rawValue } == [.gateway, .call, .attempt, .attempt, .backoff])
        let server = try #require(spans.first { $0.kind == .gateway })
        let call = try #require(spans.first { $0.kind == .call })
        let attempts = spans.filter { $0.kind == .attempt }.sorted { $0.start < $1.start }
        #expect(server.name == "GET /orders/**")
        #expect(server.parent == nil)
        #expect(call.parent == server.spanID)
        #expect(attempts.allSatisfy { $0.parent == call.spanID })
        // What the upstream saw as its parent is the attempt.
        #expect(parents.withLock { $0 }.map { String($0.dropFirst(36).prefix(16)) } == attempts.map { $0.spanID.description })
    }
}
