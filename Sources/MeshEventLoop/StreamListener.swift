internal import CMeshSystem
package import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Whom a listener tells of its connections, on its loop.
package protocol StreamListenerObserver: AnyObject, Sendable {
    /// A connection was accepted, and is on its way to its own loop.
    func accepted(by listener: StreamListener)
    /// For now the listener accepts nothing more.
    func batchEnded(of listener: StreamListener)
    func listenerClosed(_ listener: StreamListener)
    /// A connection that was accepted has closed. Any thread.
    func connectionClosed()
}

/// A listening socket: accepts connections and hands them to the loops of a group in turn.
///
/// Where descriptors run out it accepts nothing for a second, so that it does not spin; who comes then waits in the kernel's queue.
package final class StreamListener: PolledSocket, @unchecked Sendable {
    /// How long nothing is accepted after the kernel has refused.
    static let backoff = TimeAmount.seconds(1)

    /// Where it listens, with the port that the kernel chose.
    package let address: SocketAddress?
    private let isUnix: Bool
    /// Made here, and removed with it.
    private let path: String?
    private let targets: [EpollLoop]
    private let observer: any StreamListenerObserver
    private let open: @Sendable (StreamChannel) throws -> Void

    // MARK: On the loop

    private var turn = 0
    private var isPaused = false
    /// The kernel may have connections.
    private var hasConnections = false
    private var backoffTimer: LoopTimer?
    /// How many are accepted in one go.
    package var batch = 64

    /// - Parameters:
    ///   - descriptor: taken over; listening, and not blocking.
    ///   - targets: the loops that serve the connections.
    ///   - open: gives a connection its handlers, on its loop; it is closed where that throws.
    init(
        _ descriptor: CInt, path: String?, loop: EpollLoop, targets: [EpollLoop], observer: any StreamListenerObserver,
        open: @escaping @Sendable (StreamChannel) throws -> Void
    ) {
        address = Socket.localAddress(descriptor)
        isUnix = address?.protocol == .local
        self.path = path
        self.targets = targets
        self.observer = observer
        self.open = open
        super.init(descriptor: descriptor, loop: loop)
    }

    // MARK: - Any thread

    /// Takes no further connections. Those that were accepted have been handed to their loops when this returns.
    package func close() async {
        await withCheckedContinuation { continuation in
            let isTaken = loop.deliver(
                LoopTask { [self] in
                    end()
                    continuation.resume()
                })
            // The loop has ended, and has closed it.
            if !isTaken { continuation.resume() }
        }
    }

    // MARK: - On the loop

    func begin() throws { try loop.watch(self, for: .reading) }

    /// Whether connections are accepted.
    package func setPaused(_ isPaused: Bool) {
        self.isPaused = isPaused
        if !isPaused, hasConnections, backoffTimer == nil { loop.resume(self) }
    }

    override func ready(_ what: SocketEvents) {
        hasConnections = true
        resume()
    }

    override func resume() {
        guard !isPaused, hasConnections, backoffTimer == nil else { return }
        acceptBatch()
        observer.batchEnded(of: self)
        if hasConnections, !isPaused, backoffTimer == nil, descriptor >= 0 { loop.resume(self) }
    }

    override func loopEnds() { end() }

    private func end() {
        if let backoffTimer { loop.cancel(backoffTimer) }
        backoffTimer = nil
        guard descriptor >= 0 else { return }
        closeDescriptor(isShared: true)
        if let path { unlink(path) }
        observer.listenerClosed(self)
    }

    private func acceptBatch() {
        for _ in 0..<max(1, batch) {
            var name = sockaddr_storage()
            let accepted = mesh_stream_accept(descriptor, &name, MemoryLayout<sockaddr_storage>.size)
            if accepted >= 0 {
                hand(over: accepted, from: SocketName(name))
            } else {
                switch errno {
                case EAGAIN:
                    hasConnections = false
                    return
                // Who connected has gone again.
                case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, EPERM: break
                default:
                    backOff()
                    return
                }
            }
            guard !isPaused, descriptor >= 0 else { return }
        }
    }

    private func hand(over descriptor: CInt, from peer: SocketName?) {
        observer.accepted(by: self)
        let target = targets[turn]
        turn = (turn + 1) % targets.count
        guard target !== loop else {
            serve(descriptor, peer, on: target)
            return
        }
        let isTaken = target.deliver(LoopTask { [self] in serve(descriptor, peer, on: target) })
        if !isTaken { refuse(descriptor) }
    }

    /// The loop has ended, and the process is about to.
    private func refuse(_ descriptor: CInt) {
        Socket.close(descriptor)
        observer.connectionClosed()
    }

    private func serve(_ descriptor: CInt, _ peer: SocketName?, on target: EpollLoop) {
        let channel = StreamChannel(descriptor: descriptor, isUnix: isUnix, loop: target)
        channel.peer = peer
        let observer = observer
        channel.closed = { observer.connectionClosed() }
        do {
            try open(channel)
            try channel.begin()
        } catch {
            channel.close0(error: error, mode: .all, promise: nil)
        }
    }

    private func backOff() {
        let timer = LoopTimer(due: .now() + Self.backoff) { [self] in
            backoffTimer = nil
            resume()
        } failed: { _ in
            // The loop ends, and the listener with it.
        }
        backoffTimer = timer
        loop.set(timer)
    }
}
