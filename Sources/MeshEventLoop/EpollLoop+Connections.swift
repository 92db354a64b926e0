package import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

// The two ways to a connection.

extension EpollLoop {
    /// Connects; on the loop.
    ///
    /// - Parameters:
    ///   - timeout: `ChannelError.connectTimeout` after it.
    ///   - open: gives the channel its handlers, before it is connected.
    ///   - connected: told once, when the channel is active and before its handlers hear so; or with an `IOError`, and the channel closed.
    package func connect(
        to address: SocketAddress, timeout: TimeAmount, open: (StreamChannel) throws -> Void,
        connected: @escaping (Result<StreamChannel, any Error>) -> Void
    ) {
        preconditionInEventLoop()
        do {
            let descriptor = try Socket.make(for: address)
            let isUnix = address.protocol == .local
            if !isUnix { Socket.setNoDelay(descriptor) }
            let channel = StreamChannel(descriptor: descriptor, isUnix: isUnix, loop: self)
            do {
                try open(channel)
            } catch {
                channel.close0(error: error, mode: .all, promise: nil)
                throw error
            }
            channel.register0(promise: nil)
            channel.connect(to: address, timeout: timeout) { [unowned channel] in connected($0.map { channel }) }
        } catch {
            connected(.failure(error))
        }
    }

    /// Listens at an address; on the loop.
    ///
    /// What is accepted inherits `TCP_NODELAY` from the listening socket. A socket file that nobody listens at any more is replaced.
    ///
    /// - Parameters:
    ///   - backlog: connections that the kernel holds until they are accepted.
    ///   - targets: the loops that serve the connections.
    ///   - open: gives a connection its handlers, on its loop; it is closed where that throws.
    /// - Throws: `IOError`.
    package func listen(
        at address: SocketAddress, backlog: CInt, targets: [EpollLoop], observer: any StreamListenerObserver,
        open: @escaping @Sendable (StreamChannel) throws -> Void
    ) throws -> StreamListener {
        preconditionInEventLoop()
        let path = address.protocol == .local ? address.pathname : nil
        if let path { try Socket.removeFile(path) }
        let descriptor = try Socket.make(for: address)
        do {
            Socket.setOption(descriptor, SOL_SOCKET, CInt(SO_REUSEADDR), 1)
            try Socket.bind(descriptor, to: address)
        } catch {
            Socket.close(descriptor)
            throw error
        }
        return try listen(with: descriptor, path: path, backlog: backlog, targets: targets, observer: observer, open: open)
    }

    /// Listens with a socket that is bound already, as a parent process hands it down; on the loop.
    ///
    /// - Parameter descriptor: taken over, also where this throws.
    /// - Throws: `IOError`.
    package func listen(
        with descriptor: CInt, path: String? = nil, backlog: CInt, targets: [EpollLoop], observer: any StreamListenerObserver,
        open: @escaping @Sendable (StreamChannel) throws -> Void
    ) throws -> StreamListener {
        preconditionInEventLoop()
        do {
            try Socket.listen(descriptor, backlog: backlog)
        } catch {
            Socket.close(descriptor)
            throw error
        }
        let listener = StreamListener(descriptor, path: path, loop: self, targets: targets, observer: observer, open: open)
        try listener.begin()
        return listener
    }
}
