import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import MeshTelemetry
import NIOCore

@testable import MeshTransport

/// A runtime with one listener, in front of scripted upstreams.
final class MeshUnderTest: Sendable {
    let runtime: MeshRuntime
    let port: Int

    struct Options: Sendable {
        var mode = InboundMode.gateway
        var policy = CallPolicy(timeout: Patience.call, connectTimeout: Patience.call)
        var deadline: Timespan? = Patience.call
        var threads = 1
        var isExternal = false
        var routes: [RouteConfiguration]?
        var telemetry: TelemetryPipeline?
        var change: @Sendable (inout SnapshotConfiguration) -> Void = { _ in }
    }

    private init(runtime: MeshRuntime, port: Int) {
        self.runtime = runtime
        self.port = port
    }

    /// Runs `body` on a thread of its own, with one service, `backend`, at `addresses`; one instance each.
    static func run<Result: Sendable>(
        _ addresses: [MeshModel.SocketAddress], _ options: Options = Options(), _ body: @escaping @Sendable (MeshUnderTest) throws -> Result
    ) async throws -> Result {
        let mesh = try await start(addresses, options)
        do {
            let result = try await onThread { try body(mesh) }
            await mesh.runtime.shutDown()
            return result
        } catch {
            await mesh.runtime.shutDown()
            throw error
        }
    }

    static func start(_ addresses: [MeshModel.SocketAddress], _ options: Options = Options()) async throws -> MeshUnderTest {
        let runtime = try MeshRuntime(
            configuration(addresses, options), threads: options.threads, telemetry: options.telemetry, resolver: NameResolver())
        let listener = try await runtime.listen(on: .address(.tcp(host: "127.0.0.1", port: 0)), as: options.mode)
        guard case .tcp(_, let port)? = listener.address else { throw RawSocket.Failed(description: "no port") }
        return MeshUnderTest(runtime: runtime, port: port)
    }

    static func configuration(_ addresses: [MeshModel.SocketAddress], _ options: Options) -> SnapshotConfiguration {
        var random = RandomSource.fromSystem()
        let endpoints = addresses.map { address -> Endpoint in
            var endpoint = Endpoint(instance: .random(&random), addresses: [address])
            if options.isExternal { endpoint.authority = "outside.example" }
            return endpoint
        }
        var configuration = SnapshotConfiguration(
            mesh: "shop", service: "front", tier: "edge",
            destinations: [
                DestinationConfiguration(
                    service: "backend", tier: "enterprise", policy: options.policy, endpoints: endpoints, isExternal: options.isExternal)
            ],
            routes: options.routes ?? [RouteConfiguration(pattern: "/**", target: "backend")], deadline: options.deadline,
            healthPath: "/-/healthy")
        options.change(&configuration)
        return configuration
    }

    /// Pooled connections that wait for a request, as the loops have it.
    var idleUpstreamConnections: Int {
        runtime.loops.reduce(0) { sum, loop in
            sum + ((try? loop.eventLoop.submit { loop.pools.values.reduce(0) { $0 + $1.idleCount } }.wait()) ?? 0)
        }
    }

    /// Connections of clients, by loop.
    var clientConnections: [Int] {
        runtime.loops.map { loop in (try? loop.eventLoop.submit { loop.connections.count }.wait()) ?? -1 }
    }

    func connect() throws -> RawSocket { try RawSocket.connect(port: port) }

    /// One exchange on a connection of its own.
    func request(_ text: String, isHead: Bool = false) throws -> (head: String, body: [UInt8]) {
        let socket = try connect()
        try socket.send(text)
        return try socket.receiveMessage(isHead: isHead)
    }

    func get(_ path: String, fields: String = "") throws -> (head: String, body: [UInt8]) {
        try request("GET \(path) HTTP/1.1\r\nhost: shop.example\r\n\(fields)\r\n")
    }
}

func status(_ head: String) -> Int { Int(head.dropFirst("HTTP/1.1 ".count).prefix(3)) ?? 0 }

func field(_ name: String, _ head: String) -> String? {
    for line in head.split(separator: "\r\n").dropFirst() where line.lowercased().hasPrefix(name + ":") {
        return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
    }
    return nil
}
