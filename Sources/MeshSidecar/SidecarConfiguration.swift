import Foundation
import MeshConfiguration
package import MeshExchange
package import MeshModel

/// Where a sidecar learns who it is, where it listens and whom it may call.
///
///     Sidecar(.environment)                                                        // started by `mesh up`
///     Sidecar(.standalone("orders", calling: ["inventory": "http://127.0.0.1:9001"], listen: "127.0.0.1:8081"))
public struct SidecarConfiguration: Sendable {
    package enum Source: Sendable {
        case environment([String: String], firstDescriptor: Int32)
        case fixed(SnapshotConfiguration, listen: SocketAddress, stateFolder: String?)
    }

    package let source: Source

    package init(_ source: Source) { self.source = source }

    /// What the daemon tells: `MESH_*` and the listening socket at descriptor 3.
    public static let environment = SidecarConfiguration(
        .environment(ProcessInfo.processInfo.environment, firstDescriptor: SidecarEnvironment.firstDescriptor))

    /// Without daemon and mesh.yaml, for development and tests: the services that may be called, by their URLs.
    ///
    /// - Parameters:
    ///   - listen: `host:port`, `:0` for a free port, or `unix:/path`.
    ///   - stateFolder: Where ``Sidecar/dataFolder`` is; the temporary folder unless given.
    public static func standalone(
        _ service: ServiceName, calling services: [ServiceName: String] = [:], listen: String = "127.0.0.1:0", stateFolder: String? = nil
    ) throws -> SidecarConfiguration {
        var random = RandomSource.fromSystem()
        let destinations = try services.sorted { $0.key.description < $1.key.description }.map { name, url in
            try destination(name, url: url, random: &random)
        }
        let snapshot = SnapshotConfiguration(
            mesh: "standalone", service: service.description, destinations: destinations, healthPath: Sidecar.healthPath)
        return SidecarConfiguration(.fixed(snapshot, listen: try address(listen), stateFolder: stateFolder))
    }

    /// Without daemon, by a mesh.yaml: the policies of the service's `calls:`, which must be `url:` services.
    ///
    ///     await Sidecar.program(try .file("mesh.yaml", service: "orders", listen: "127.0.0.1:8081")) { sidecar in … }
    ///
    /// - Throws: ``SidecarStartError`` with the findings of the file, as `mesh check` shows them.
    public static func file(
        _ path: String, service: ServiceName, listen: String = "127.0.0.1:0", profile: String? = nil, stateFolder: String? = nil
    ) throws -> SidecarConfiguration {
        let (document, findings) = MeshDocument.load(path: path, profile: profile)
        guard let document else { throw SidecarStartError.fileHasErrors(path: path, findings: findings.rendered) }
        guard var snapshot = document.snapshotConfiguration(for: service.description, revision: 1, endpoints: { _ in [] }) else {
            throw SidecarStartError.serviceNotInFile(service, path: path)
        }
        snapshot.healthPath = Sidecar.healthPath
        return SidecarConfiguration(.fixed(snapshot, listen: try address(listen), stateFolder: stateFolder))
    }

    private static func destination(_ name: ServiceName, url: String, random: inout RandomSource) throws -> DestinationConfiguration {
        if url.hasPrefix("unix:") {
            let endpoint = Endpoint(instance: .random(&random), addresses: [.unix(path: String(url.dropFirst(5)))])
            return DestinationConfiguration(service: name.description, endpoints: [endpoint])
        }
        guard let parts = URLComponents(string: url), parts.scheme == "http", let host = parts.host, !host.isEmpty else {
            throw SidecarStartError.invalidURL(service: name, url: url)
        }
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        let path = parts.path.hasSuffix("/") ? String(parts.path.dropLast()) : parts.path
        let endpoint = Endpoint(
            instance: .random(&random), addresses: [.tcp(host: bare, port: parts.port ?? 80)],
            authority: parts.port.map { "\(host):\($0)" } ?? host, basePath: path.isEmpty ? nil : path)
        return DestinationConfiguration(service: name.description, endpoints: [endpoint], isExternal: true)
    }

    package static func address(_ text: String) throws(SidecarStartError) -> SocketAddress {
        if text.hasPrefix("unix:") { return .unix(path: String(text.dropFirst(5))) }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw .invalidListen(text)
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return .tcp(host: host.isEmpty ? "127.0.0.1" : host, port: Int(port))
    }
}
