import Foundation
import Glibc
import MeshControlProtocol
import MeshExchange
import MeshModel
import MeshTelemetry
import MeshTransport
import Testing

@testable import MeshSidecar

/// A sidecar under a daemon, which a test plays.
@Suite struct DaemonTests {
    static let instance = InstanceID(high: 0x0123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef)

    /// What the daemon does before it starts a process: a listening socket, and the environment.
    struct Spawn {
        let path: String
        let control: String
        let configuration: SidecarConfiguration

        init(_ folder: borrowing RunningService.Folder) throws {
            let path = "\(folder.path)/s"
            self.path = path
            control = "\(folder.path)/c"
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let bound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard bound == 0, listen(descriptor, 16) == 0 else { throw RawClient.Failure(description: "listen: \(errno)") }
            configuration = SidecarConfiguration(
                .environment(
                    [
                        "MESH_SERVICE": "front", "MESH_TIER": "domain", "MESH_NAME": "shop", "MESH_REPLICA": "front-2",
                        "MESH_INSTANCE": DaemonTests.instance.description, "MESH_CONTROL": control, "MESH_STATE_DIR": folder.path,
                        "LISTEN_FDS": "1",
                    ], firstDescriptor: descriptor))
        }
    }

    static func snapshot(_ revision: UInt64, upstream path: String? = nil) -> SnapshotConfiguration {
        let instance = InstanceID(high: 0x1123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef)
        return SnapshotConfiguration(
            revision: revision, mesh: "shop", tiers: ["edge", "domain"], service: "front", tier: "domain",
            destinations: path.map {
                [DestinationConfiguration(service: "upstream", endpoints: [Endpoint(instance: instance, addresses: [.unix(path: $0)])])]
            } ?? [], healthPath: Sidecar.healthPath)
    }

    @Test func `greets, waits for its configuration, acknowledges it and is ready`() async throws {
        let folder = try RunningService.Folder()
        let spawn = try Spawn(folder)
        let daemon = try await FakeDaemon.start(at: spawn.control)
        let sidecar = try Sidecar(spawn.configuration, threads: 1)
        sidecar.serve { _ in .text("hello") }
        try await RunningService.run(sidecar) {
            let hello = try await daemon.hears { if case .hello = $0 { true } else { false } }
            #expect(
                hello
                    == .hello(Hello(instance: Self.instance, service: "front", tier: "domain", replica: "front-2", processID: getpid())))
            #expect(!daemon.said.contains(.health(Health(ready: true))))
            try daemon.say(.configuration(ConfigurationMessage(Self.snapshot(4))))
            _ = try await daemon.hears { $0 == .acknowledged(Acknowledgement(revision: 4)) }
            _ = try await daemon.hears { $0 == .health(Health(ready: true)) }
            let answer = try await RawClient.get("/", at: spawn.path)
            #expect(answer.body == "hello")
        }
        _ = try await daemon.hears { $0 == .stopping }
        try await daemon.die()
    }

    @Test func `a configuration that can't be followed is refused, and the one before it stays`() async throws {
        let folder = try RunningService.Folder()
        let spawn = try Spawn(folder)
        let daemon = try await FakeDaemon.start(at: spawn.control)
        let sidecar = try Sidecar(spawn.configuration, threads: 1)
        sidecar.serve { _ in .text("hello") }
        try await RunningService.run(sidecar) {
            _ = try await daemon.hears { if case .hello = $0 { true } else { false } }
            try daemon.say(.configuration(ConfigurationMessage(Self.snapshot(4))))
            _ = try await daemon.hears { $0 == .health(Health(ready: true)) }
            try daemon.say(.configuration(ConfigurationMessage(revision: 5, json: Array(#"{"revision":5,"destinations":"none"}"#.utf8))))
            let refused = try await daemon.hears { if case .refused = $0 { true } else { false } }
            guard case .refused(let refusal) = refused else { return }
            #expect(refusal.revision == 5)
            #expect(refusal.reason.contains("destinations"))
            #expect(sidecar.runtime.snapshot.revision == 4)
        }
        try await daemon.die()
    }

    @Test func `calls go on without a daemon, and the next one is told what rules`() async throws {
        try await RunningService.with("upstream") {
            $0.serve { _ in .text("from upstream") }
        } _: { upstream in
            let folder = try RunningService.Folder()
            let spawn = try Spawn(folder)
            let daemon = try await FakeDaemon.start(at: spawn.control)
            let sidecar = try Sidecar(spawn.configuration, threads: 1)
            let mesh = sidecar.mesh
            sidecar.serve { _ in MeshResponse(try await mesh.call(.upstream, .get, "/")) }
            try await RunningService.run(sidecar) {
                _ = try await daemon.hears { if case .hello = $0 { true } else { false } }
                try daemon.say(.configuration(ConfigurationMessage(Self.snapshot(4, upstream: upstream.path))))
                _ = try await daemon.hears { $0 == .health(Health(ready: true)) }
                try await daemon.die()

                let answer = try await RawClient.get("/", at: spawn.path)
                #expect(answer.body == "from upstream")

                let next = try await FakeDaemon.start(at: spawn.control)
                let hello = try await next.hears { if case .hello = $0 { true } else { false } }
                guard case .hello(let resumed) = hello else { return }
                #expect(resumed.revision == 4)
                _ = try await next.hears { $0 == .health(Health(ready: true)) }
                try daemonSays(next, Self.snapshot(5, upstream: upstream.path))
                _ = try await next.hears { $0 == .acknowledged(Acknowledgement(revision: 5)) }
                try await next.die()
            }
        }
    }

    private func daemonSays(_ daemon: FakeDaemon, _ snapshot: SnapshotConfiguration) throws {
        try daemon.say(.configuration(ConfigurationMessage(snapshot)))
    }

    @Test func `spans of requests arrive at the daemon, the last ones at the end`() async throws {
        let folder = try RunningService.Folder()
        let spawn = try Spawn(folder)
        let daemon = try await FakeDaemon.start(at: spawn.control)
        let spans = try CollectedSpans(beside: spawn.control)
        let sidecar = try Sidecar(spawn.configuration, threads: 1)
        sidecar.serve { _ in .text("hello") }
        try await RunningService.run(sidecar) {
            _ = try await daemon.hears { if case .hello = $0 { true } else { false } }
            try daemon.say(.configuration(ConfigurationMessage(Self.snapshot(4))))
            _ = try await daemon.hears { $0 == .health(Health(ready: true)) }
            _ = try await RawClient.get("/a", at: spawn.path)
        }
        let all = await spans.all(atLeast: 1)
        #expect(all.map(\.origin) == [SpanOrigin(instance: Self.instance, service: "front", tier: "domain", clock: HostClock.identity)])
        try await daemon.die()
    }

    @Test func `an application's spans stand between the request and its calls, detached work in a trace that links back`() async throws {
        try await RunningService.with("upstream") {
            $0.serve { _ in .text("from upstream") }
        } _: { upstream in
            let folder = try RunningService.Folder()
            let spawn = try Spawn(folder)
            let daemon = try await FakeDaemon.start(at: spawn.control)
            let collected = try CollectedSpans(beside: spawn.control)
            let sidecar = try Sidecar(spawn.configuration, threads: 1)
            let (mesh, tracer) = (sidecar.mesh, sidecar.tracer)
            sidecar.serve { _ in
                try await tracer.withSpan("compose") { _ in
                    try await mesh.call(.upstream, .get, "/").requireSuccess()
                    try await mesh.detached(deadline: .seconds(20), name: "compensate") {}
                    return .text("done")
                }
            }
            try await RunningService.run(sidecar) {
                _ = try await daemon.hears { if case .hello = $0 { true } else { false } }
                try daemonSays(daemon, Self.snapshot(4, upstream: upstream.path))
                _ = try await daemon.hears { $0 == .health(Health(ready: true)) }
                _ = try await RawClient.get("/", at: spawn.path)
            }
            try await daemon.hungUp.value()
            let spans = await collected.all(atLeast: 5)
            let server = try #require(spans.first { $0.kind == .server })
            let compose = try #require(spans.first { $0.name == "compose" })
            let call = try #require(spans.first { $0.kind == .call })
            let compensation = try #require(spans.first { $0.name == "compensate" })
            #expect(compose.traceID == server.traceID && compose.parent == server.spanID)
            #expect(call.traceID == server.traceID && call.parent == compose.spanID)
            #expect(compensation.traceID != server.traceID && compensation.parent == nil)
            #expect(compensation.links == [DecodedSpan.Link(traceID: compose.traceID, spanID: compose.spanID)])
            try await daemon.die()
        }
    }

    @Test func `a drain that the daemon wants ends the service when its requests are answered`() async throws {
        let folder = try RunningService.Folder()
        let spawn = try Spawn(folder)
        let daemon = try await FakeDaemon.start(at: spawn.control)
        let sidecar = try Sidecar(spawn.configuration, threads: 1)
        let arrived = Gate<Void>()
        let mayAnswer = Gate<Void>()
        sidecar.serve { _ in
            arrived.open(())
            try await mayAnswer.value()
            return .text("answered")
        }
        let running = Task { try await sidecar.run() }
        _ = try await daemon.hears { if case .hello = $0 { true } else { false } }
        try daemon.say(.configuration(ConfigurationMessage(Self.snapshot(4))))
        _ = try await sidecar.addresses()
        let path = spawn.path
        let answer = Task { try await RawClient.get("/", at: path) }
        try await arrived.value()
        try daemon.say(.drain(Drain(within: .seconds(20))))
        _ = try await daemon.hears { $0 == .stopping }
        mayAnswer.open(())
        let body = try await answer.value.body
        #expect(body == "answered")
        try await running.value
        try await daemon.die()
    }

    @Test func `what is in flight when the time to drain is over is broken off`() async throws {
        let folder = try RunningService.Folder()
        let spawn = try Spawn(folder)
        let daemon = try await FakeDaemon.start(at: spawn.control)
        let sidecar = try Sidecar(spawn.configuration, threads: 1)
        let arrived = Gate<Void>()
        let never = Gate<Void>()
        let cancelled = Gate<Void>()
        sidecar.serve { _ in
            arrived.open(())
            do { try await never.value() } catch { cancelled.open(()) }
            return .text("too late")
        }
        let running = Task { try await sidecar.run() }
        _ = try await daemon.hears { if case .hello = $0 { true } else { false } }
        try daemon.say(.configuration(ConfigurationMessage(Self.snapshot(4))))
        _ = try await sidecar.addresses()
        let path = spawn.path
        let answer = Task { try await RawClient.get("/", at: path) }
        try await arrived.value()
        try daemon.say(.drain(Drain(within: .zero)))
        try await running.value
        try await cancelled.value()
        await #expect(throws: RawClient.Failure.self) { try await answer.value }
        try await daemon.die()
    }

    @Test func `a service that is to end before its first configuration ends`() async throws {
        let folder = try RunningService.Folder()
        let spawn = try Spawn(folder)
        let sidecar = try Sidecar(spawn.configuration, threads: 1)
        sidecar.serve { _ in .text("") }
        try await RunningService.run(sidecar) {}
    }
}
