internal import MeshExchange
internal import MeshModel
internal import MeshPolicy
internal import NIOCore
internal import NIOSSL

/// All that one snapshot needs for TLS, in both directions: read before the snapshot comes into force.
struct TLSContexts: Sendable {
    /// nil where the process has no certificate to show: then it takes connections in the clear.
    var server: ServerTLS?
    /// By how an endpoint is checked and what is spoken with it.
    private var clients: [ClientKey: NIOSSLContext] = [:]

    private struct ClientKey: Hashable {
        var tls: UpstreamTLS
        var `protocol`: UpstreamProtocol
    }

    /// - Throws: where a file can't be used; the snapshot is not to be followed then.
    init(_ configuration: SnapshotConfiguration, after previous: TLSContexts? = nil) throws(TLSUnusable) {
        server = try configuration.tls.map { tls throws(TLSUnusable) in try ServerTLS(tls) }
        for destination in configuration.destinations where destination.endpoints.contains(where: { $0.tlsName != nil }) {
            let key = ClientKey(tls: destination.policy.tls, protocol: destination.policy.protocol)
            guard clients[key] == nil else { continue }
            // The system's authorities are many; files of one's own may have changed.
            if key.tls.authorities == nil, let known = previous?.clients[key] {
                clients[key] = known
            } else {
                clients[key] = try Self.client(key, for: destination.service)
            }
        }
    }

    func client(for policy: CallPolicy) -> NIOSSLContext? { clients[ClientKey(tls: policy.tls, protocol: policy.protocol)] }

    private static func client(_ key: ClientKey, for service: String) throws(TLSUnusable) -> NIOSSLContext {
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.minimumTLSVersion = .tlsv12
        settings.shutdownTimeout = .seconds(2)
        settings.certificateVerification = key.tls.verifies ? .fullVerification : .none
        switch key.protocol {
        case .http1: settings.applicationProtocols = ["http/1.1"]
        case .http2: settings.applicationProtocols = ["h2"]
        case .auto: settings.applicationProtocols = ServerTLS.protocols
        }
        do {
            if let file = key.tls.authorities {
                settings.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(file))
            }
            return try NIOSSLContext(configuration: settings)
        } catch {
            let file = key.tls.authorities ?? "those of the system"
            throw TLSUnusable(
                description: "the authorities for \(service) (\(file)) can't be read (\(error)): tls.ca names a PEM file with certificates")
        }
    }
}
