package import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

// From a descriptor to an active channel.

extension StreamChannel {
    package func register0(promise: EventLoopPromise<Void>?) {
        guard phase != .closed else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard phase == .new else {
            promise?.fail(ChannelError.inappropriateOperationForState)
            return
        }
        phase = .registered
        promise?.succeed()
        if phase == .registered { pipeline.syncOperations.fireChannelRegistered() }
    }

    package func registerAlreadyConfigured0(promise: EventLoopPromise<Void>?) {
        do {
            try begin()
            promise?.succeed()
        } catch {
            promise?.fail(error)
        }
    }

    /// The socket is connected: watches it, and tells the handlers.
    ///
    /// - Throws: where the loop does not take it; the channel is closed then.
    func begin() throws {
        do {
            try loop.watch(self, for: .reading)
        } catch {
            close0(error: error, mode: .all, promise: nil)
            throw error
        }
        register0(promise: nil)
        if phase == .registered { becomeActive() }
    }

    private func becomeActive() {
        phase = .connected
        setActive(true)
        let ended = connectEnded
        connectEnded = nil
        ended?(.success(()))
        // It may have closed the channel.
        guard phase == .connected else { return }
        phase = .active
        pipeline.syncOperations.fireChannelActive()
        guard phase == .active else { return }
        writeFlushed()
        readAsUsual()
    }

    // MARK: - Connecting

    package func connect0(to address: SocketAddress, promise: EventLoopPromise<Void>?) {
        connect(to: address, timeout: nil) { result in
            switch result {
            case .success: promise?.succeed()
            case .failure(let error): promise?.fail(error)
            }
        }
    }

    /// Connects a channel that is registered; `ended` is told before the handlers hear that it is active.
    func connect(to address: SocketAddress, timeout: TimeAmount?, _ ended: @escaping (Result<Void, any Error>) -> Void) {
        guard phase == .registered else {
            let error: ChannelError =
                switch phase {
                case .connecting: .connectPending
                case .closed: .ioOnClosedChannel
                default: .inappropriateOperationForState
                }
            ended(.failure(error))
            return
        }
        connectEnded = ended
        phase = .connecting
        let result = address.withSockAddr { connectSocket($0, socklen_t($1)) }
        do {
            switch result {
            case 0:
                try loop.watch(self, for: .reading)
                becomeActive()
            case EINPROGRESS, EINTR:
                watchesRoom = true
                try loop.watch(self, for: .readingAndWriting)
                if let timeout { setConnectTimer(timeout) }
            case let code: throw IOError(errnoCode: code, reason: "connect")
            }
        } catch {
            close0(error: error, mode: .all, promise: nil)
        }
    }

    private func connectSocket(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> CInt {
        #if canImport(Glibc)
            Glibc.connect(descriptor, address, length) == 0 ? 0 : errno
        #else
            Musl.connect(descriptor, address, length) == 0 ? 0 : errno
        #endif
    }

    private func setConnectTimer(_ timeout: TimeAmount) {
        let timer = LoopTimer(due: .now() + timeout) { [unowned self] in
            connectTimer = nil
            close0(error: ChannelError.connectTimeout(timeout), mode: .all, promise: nil)
        } failed: { _ in
            // The loop ends, and closes the channel itself.
        }
        connectTimer = timer
        loop.set(timer)
    }

    /// The kernel has connected, or has given up.
    func connectDone() {
        let code = Socket.takeError(descriptor)
        guard code == 0 else {
            close0(error: IOError(errnoCode: code, reason: "connect"), mode: .all, promise: nil)
            return
        }
        cancelConnectTimer()
        becomeActive()
    }

    func cancelConnectTimer() {
        guard let timer = connectTimer else { return }
        connectTimer = nil
        loop.cancel(timer)
    }
}
