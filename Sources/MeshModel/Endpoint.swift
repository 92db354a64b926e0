/// Where a socket is.
package enum SocketAddress: Hashable, Sendable, Codable, CustomStringConvertible {
    case unix(path: String)
    /// `host` is a name or an IP literal without brackets.
    case tcp(host: String, port: Int)

    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}

/// Who is at the other end of a connection, as far as that was proven.
package enum PeerIdentity: Hashable, Sendable, Codable {
    case none
    /// Told by the kernel (SO_PEERCRED).
    case unix(processID: Int32, userID: UInt32)
    /// Proven by a certificate.
    case spiffe(id: String)
}

/// One instance of a service, as those that call it know it.
///
/// Invariant: pools, breakers and load are keyed by `instance`, never by address.
package struct Endpoint: Hashable, Sendable, Codable {
    package var instance: InstanceID
    /// The host that the instance runs on, by name; empty for a `url:` service.
    package var host: String
    /// In order of preference.
    package var addresses: [SocketAddress]
    package var expectedIdentity: PeerIdentity
    /// No new calls; those in flight may end.
    package var draining: Bool
    /// Relative share among endpoints of one version; 1 unless stated.
    package var weight: Double
    /// The version that it belongs to, where the service has several.
    package var version: String?
    /// `Host` and path prefix to use towards a `url:` service; nil inside the mesh.
    package var authority: String?
    package var basePath: String?
    /// It is spoken to by TLS, and its certificate must bear this name or address; nil for one in the clear.
    package var tlsName: String?

    package init(
        instance: InstanceID, host: String = "", addresses: [SocketAddress], expectedIdentity: PeerIdentity = .none, draining: Bool = false,
        weight: Double = 1, version: String? = nil, authority: String? = nil, basePath: String? = nil, tlsName: String? = nil
    ) {
        self.instance = instance
        self.host = host
        self.addresses = addresses
        self.expectedIdentity = expectedIdentity
        self.draining = draining
        self.weight = weight
        self.version = version
        self.authority = authority
        self.basePath = basePath
        self.tlsName = tlsName
    }
}
