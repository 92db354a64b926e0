internal import MeshEventLoop
package import MeshModel
internal import NIOCore

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
    let listener: StreamListener

    /// Where it listens, with the port that the kernel chose.
    package var address: MeshModel.SocketAddress? { MeshModel.SocketAddress(listener.address) }

    /// Takes no further connections; those that are open go on.
    package func close() async { await listener.close() }
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
    /// port that somebody else has is noticed. `AcceptGate` pauses it before descriptors run out.
    static func bind(_ target: ListenTarget, mode: InboundMode, runtime: MeshRuntime) async throws -> StreamListener {
        let (gate, loops) = (runtime.gate, runtime.loops)
        let sockets = loops.compactMap(\.sockets)
        let open: @Sendable (StreamChannel) throws -> Void = { channel in
            let connection = ServerConnection(loop: loops[channel.loop.index], mode: mode, peer: PeerCredentials.of(channel))
            try channel.pipeline.syncOperations.addHandler(connection)
        }
        do {
            return try await sockets[0].submit {
                let listener =
                    switch target {
                    case .inheritedDescriptor(let descriptor):
                        try sockets[0].listen(with: descriptor, backlog: backlog, targets: sockets, observer: gate, open: open)
                    case .address(let address):
                        try sockets[0].listen(
                            at: try socketAddress(address), backlog: backlog, targets: sockets, observer: gate, open: open)
                    }
                gate.listenerOpened(listener)
                return listener
            }.get()
        } catch let error as IOError {
            throw ListenFailed(target: target, code: error.errnoCode, reason: String(cString: strerror(error.errnoCode)))
        } catch {
            throw ListenFailed(target: target, code: 0, reason: "\(error)")
        }
    }

    private static func socketAddress(_ address: MeshModel.SocketAddress) throws -> NIOCore.SocketAddress {
        if let literal = try address.literal() { return literal }
        guard case .tcp(let host, let port) = address else { preconditionFailure("a path needs no resolving") }
        return try NIOCore.SocketAddress.makeAddressResolvingHost(host, port: port)
    }
}

/// Who connected over a Unix socket, as the kernel says.
enum PeerCredentials {
    static func of(_ channel: StreamChannel) -> PeerIdentity {
        guard channel.isUnix else { return .none }
        // `struct ucred` is hidden from Swift: pid, uid and gid, 32 bits each.
        var credentials: (pid: Int32, uid: UInt32, gid: UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(channel.descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return .none }
        return .unix(processID: credentials.pid, userID: credentials.uid)
    }
}
