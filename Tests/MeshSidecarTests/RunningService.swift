import Foundation
import Logging
import MeshExchange
import MeshModel
import MeshPolicy
import MeshSidecar
import ServiceLifecycle

/// A sidecar in this process, on a Unix socket in a folder of its own, from the start of a test to its end.
struct RunningService: Sendable {
    let sidecar: Sidecar
    /// Of its socket.
    let path: String

    /// Where the test's sockets and data lie: short, since a socket's path has 107 bytes.
    struct Folder: ~Copyable {
        let path: String

        init() throws {
            var template = Array((NSTemporaryDirectory() + "/mesh-XXXXXX").utf8CString)
            guard mkdtemp(&template) != nil else { throw RawClient.Failure(description: "mkdtemp: \(errno)") }
            path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    /// Runs a service for as long as `body` takes.
    ///
    /// - Parameter calls: The services that it may call, by the paths of their sockets.
    static func with<Result: Sendable>(
        _ name: ServiceName = "test", calls: [ServiceName: String] = [:],
        _ setup: (Sidecar) throws -> Void, _ body: (RunningService) async throws -> Result
    ) async throws -> Result {
        let folder = try Folder()
        let path = "\(folder.path)/s"
        let configuration = try SidecarConfiguration.standalone(
            name, calling: calls.mapValues { "unix:\($0)" }, listen: "unix:\(path)", stateFolder: folder.path)
        let sidecar = try Sidecar(configuration.patient, threads: 1)
        try setup(sidecar)
        return try await run(sidecar) {
            _ = try await sidecar.addresses()
            return try await body(RunningService(sidecar: sidecar, path: path))
        }
    }

    static func run<Result: Sendable>(_ sidecar: Sidecar, _ body: () async throws -> Result) async throws -> Result {
        let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: [sidecar], logger: sidecar.logger))
        let running = Task { try await group.run() }
        do {
            let result = try await body()
            await group.triggerGracefulShutdown()
            try await running.value
            return result
        } catch {
            await group.triggerGracefulShutdown()
            try? await running.value
            throw error
        }
    }

    func get(
        _ target: String, method: String = "GET", fields: [String: String] = [:], body: String? = nil
    ) async throws -> RawClient.Answer {
        try await RawClient.get(target, at: path, method: method, fields: fields, body: body)
    }
}

extension SidecarConfiguration {
    /// With timeouts on its edges that say something about the services, not about a machine that builds besides: a minute each.
    fileprivate var patient: SidecarConfiguration {
        guard case .fixed(var snapshot, let listen, let stateFolder) = source else { return self }
        for index in snapshot.destinations.indices {
            snapshot.destinations[index].policy.timeout = .seconds(60)
            snapshot.destinations[index].policy.connectTimeout = .seconds(60)
        }
        return SidecarConfiguration(.fixed(snapshot, listen: listen, stateFolder: stateFolder))
    }
}
