internal import MeshModel
internal import NIOCore

extension MeshModel.SocketAddress {
    /// The address as NIO has it, where no name has to be resolved; nil for a name.
    ///
    /// - Throws: for a Unix path that is too long.
    func literal() throws -> NIOCore.SocketAddress? {
        switch self {
        case .unix(let path): try NIOCore.SocketAddress(unixDomainSocketPath: path)
        case .tcp(let host, let port): try? NIOCore.SocketAddress(ipAddress: host, port: port)
        }
    }

    init?(_ address: NIOCore.SocketAddress?) {
        switch address {
        case .unixDomainSocket: self = .unix(path: address?.pathname ?? "")
        case .v4, .v6:
            guard let host = address?.ipAddress, let port = address?.port else { return nil }
            self = .tcp(host: host, port: port)
        case nil: return nil
        }
    }
}
