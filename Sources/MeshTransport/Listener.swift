package import MeshModel
internal import NIOCore
internal import NIOPosix

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Where connections come in.
package enum ListenTarget: Hashable, Sendable {
    /// A TCP port 0 lets the kernel choose; an old socket file at a Unix path is replaced.
    case address(MeshModel.SocketAddress)
    /// A listening socket of this process, as `LISTEN_FDS` hands it down; it is taken over.
    case inheritedDescriptor(Int32)
}

/// A listener that takes connections.
package struct BoundListener: Sendable {
    let channel: any Channel

    /// Where it listens, with the port that the kernel chose.
    package var address: MeshModel.SocketAddress? { MeshModel.SocketAddress(channel.localAddress) }

    /// Takes no further connections; those that are open go on.
    package func close() async { try? await channel.close() }
}

/// Why a listener could not be opened, and what to do about it.
package struct ListenFailed: Error, CustomStringConvertible {
    package var target: ListenTarget
    package var code: Int32
    package var reason: String

    package var isAddressInUse: Bool { code == EADDRINUSE }

    package var description: String {
        switch target {
        case .address(let address): "cannot listen on \(address): \(reason)"
        case .inheritedDescriptor(let descriptor): "cannot listen on descriptor \(descriptor): \(reason)"
        }
    }
}

enum Listener {
    static let backlog: Int32 = 4096

    /// One socket takes the connections on the first loop and hands them to all loops in turn, so that the spread is even and a
    /// port that somebody else has is noticed. `AcceptGate` pauses it before descriptors run out; where they do so all the same,
    /// NIO's `AcceptBackoffHandler` does for a second.
    ///
    /// What is accepted inherits `TCP_NODELAY` from the listening socket, where NIO sets it.
    static func bind(_ target: ListenTarget, mode: InboundMode, runtime: MeshRuntime) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: runtime.loops[0].eventLoop, childGroup: runtime.group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptCounter(gate: runtime.gate))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let loop = runtime.loop(of: channel.eventLoop)
                    let connection = ServerConnection(loop: loop, mode: mode, peer: PeerCredentials.of(channel))
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
        do {
            switch target {
            case .inheritedDescriptor(let descriptor):
                return try await bootstrap.withBoundSocket(descriptor).get()
            case .address(.unix(let path)):
                return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            case .address(.tcp(let host, let port)):
                if let literal = try? NIOCore.SocketAddress(ipAddress: host, port: port) {
                    return try await bootstrap.bind(to: literal).get()
                }
                return try await bootstrap.bind(host: host, port: port).get()
            }
        } catch let error as IOError {
            throw ListenFailed(target: target, code: error.errnoCode, reason: String(cString: strerror(error.errnoCode)))
        } catch {
            throw ListenFailed(target: target, code: 0, reason: "\(error)")
        }
    }
}

/// Who connected over a Unix socket, as the kernel says.
enum PeerCredentials {
    static func of(_ channel: any Channel) -> PeerIdentity {
        guard case .unixDomainSocket? = channel.localAddress else { return .none }
        guard let descriptor = SocketDescriptor.of(channel) else { return .none }
        // `struct ucred` is hidden from Swift: pid, uid and gid, 32 bits each.
        var credentials: (pid: Int32, uid: UInt32, gid: UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return .none }
        return .unix(processID: credentials.pid, userID: credentials.uid)
    }
}
