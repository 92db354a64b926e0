internal import MeshModel
package import NIOCore
internal import Synchronization

/// Takes what a channel reads past its pipeline: at a fifth of the cost of `channelRead` and `channelReadComplete`, which it stands for.
package protocol StreamReader: AnyObject {
    func received(_ bytes: ByteBuffer)
    /// For now that was all.
    func receivedAll()
}

/// A connection: a stream socket below a pipeline of NIO's handlers.
///
/// As a NIO channel it may be handled from any thread; what bypasses the pipeline (`send`, `isQuiet`, `peerHost`) belongs to its loop.
/// Its life is NIO's: registered, active, inactive, unregistered, each told once, and nothing told after. It is watched by one call of
/// the kernel, for its whole life; room to write is watched for from when a write first found none.
package final class StreamChannel: PolledSocket, Channel, ChannelCore, NIOTransportAccessibleChannelCore, @unchecked Sendable {
    enum Phase {
        case new
        case registered
        case connecting
        /// Connected, but the handlers have not been told.
        case connected
        case active
        case closed
    }

    package let isUnix: Bool
    package var eventLoop: any EventLoop { loop }
    package var allocator: ByteBufferAllocator { ByteBufferAllocator() }
    package var parent: (any Channel)? { nil }
    package var _channelCore: any ChannelCore { self }
    package var pipeline: ChannelPipeline { handlers! }
    package var syncOptions: (any NIOSynchronousChannelOptions)? { StreamChannelOptions(channel: self) }

    private let isActiveNow = Atomic<Bool>(false)
    private let isWritableNow = Atomic<Bool>(true)
    /// Made for who asks for it.
    private let closing = Guarded<Closing>(.open(nil))

    enum Closing {
        case open(EventLoopPromise<Void>?)
        case closed
    }

    // MARK: On the loop

    private var handlers: ChannelPipeline?
    /// What stands next to the socket and takes what is read without the way through the pipeline; nil where a handler between the two
    /// changes the bytes, or wants to be asked before they are read.
    package var reader: (any StreamReader)?
    var phase = Phase.new
    /// Tells somebody who needs no more than that, without a promise.
    var closed: (@Sendable () -> Void)?
    /// Of a connection that was accepted.
    var peer: SocketName?

    // Reading.
    var readsByItself = true
    var isReadWanted = false
    /// The kernel may have bytes.
    var hasBytes = false
    /// A short read is not the last one.
    var readsToEnd = false
    var isReading = false
    var allowsHalfClosure = false
    var inputEnded = false
    var receiveSize = ReceiveSize()
    var messagesPerRead = 4

    // Writing.
    var writes = PendingWrites()
    var waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 32 << 10, high: 64 << 10)
    /// The socket has taken all it can.
    var isBlocked = false
    var watchesRoom = false
    var isFlushing = false
    /// The loop sends for it when its turn ends.
    var hasHeldSend = false
    var outputEnd = OutputEnd.open

    enum OutputEnd {
        case open
        /// To be ended behind what is queued.
        case waiting(EventLoopPromise<Void>?)
        case ended
    }

    // Connecting.
    var connectEnded: ((Result<Void, any Error>) -> Void)?
    var connectTimer: LoopTimer?

    /// Takes the descriptor over, which must not block.
    init(descriptor: CInt, isUnix: Bool, loop: EpollLoop) {
        self.isUnix = isUnix
        super.init(descriptor: descriptor, loop: loop)
        handlers = ChannelPipeline(channel: self)
    }

    // MARK: - Any thread

    package var isActive: Bool { isActiveNow.load(ordering: .relaxed) }
    package var isWritable: Bool { isWritableNow.load(ordering: .relaxed) }

    package var closeFuture: EventLoopFuture<Void> {
        closing.withLock { closing in
            switch closing {
            case .closed: return loop.makeSucceededVoidFuture()
            case .open(let promise?): return promise.futureResult
            case .open(nil):
                let promise = loop.makePromise(of: Void.self)
                closing = .open(promise)
                return promise.futureResult
            }
        }
    }

    /// Known on the loop only, while the channel is open.
    package var localAddress: NIOCore.SocketAddress? { loop.inEventLoop ? try? localAddress0() : nil }
    /// Known on the loop only, while the channel is open.
    package var remoteAddress: NIOCore.SocketAddress? { loop.inEventLoop ? try? remoteAddress0() : nil }

    // MARK: - On the loop

    package func localAddress0() throws -> NIOCore.SocketAddress {
        guard phase != .closed else { throw ChannelError.ioOnClosedChannel }
        guard let address = Socket.localAddress(descriptor) else { throw ChannelError.unknownLocalAddress }
        return address
    }

    package func remoteAddress0() throws -> NIOCore.SocketAddress {
        guard phase != .closed else { throw ChannelError.ioOnClosedChannel }
        guard let address = peer?.address ?? Socket.peerAddress(descriptor) else { throw ChannelError.operationUnsupported }
        return address
    }

    /// The address of who has connected, without its port; nil for a Unix socket.
    package var peerHost: String? {
        peer.map { $0.host } ?? (phase == .closed ? nil : Socket.peerAddress(descriptor)?.ipAddress)
    }

    package func withUnsafeTransport<Result>(_ body: (NIOBSDSocket.Handle) throws -> Result) throws -> Result {
        guard phase != .closed else { throw ChannelError.ioOnClosedChannel }
        return try body(descriptor)
    }

    func setActive(_ isActive: Bool) { isActiveNow.store(isActive, ordering: .relaxed) }
    func setWritable(_ isWritable: Bool) { isWritableNow.store(isWritable, ordering: .relaxed) }

    func tellClosed() {
        let promise = closing.withLock { closing -> EventLoopPromise<Void>? in
            defer { closing = .closed }
            if case .open(let promise) = closing { return promise }
            return nil
        }
        promise?.succeed()
    }

    override func ready(_ what: SocketEvents) {
        if phase == .connecting, what.isWritable || what.isBroken { connectDone() }
        guard phase == .active else { return }
        if what.isBroken {
            broke()
            return
        }
        if what.isWritable, isBlocked {
            isBlocked = false
            writeFlushed()
            guard phase == .active else { return }
        }
        guard !inputEnded else { return }
        if what.peerEnded {
            readRest()
        } else if what.isReadable {
            hasBytes = true
            if what.isUrgent { readsToEnd = true }
            if isReadWanted { readSome() }
        }
    }

    override func resume() {
        guard phase == .active else { return }
        if writes.hasFlushed, !isBlocked { writeFlushed() }
        if phase == .active, isReadWanted, hasBytes { readSome() }
    }

    override func loopEnds() { close0(error: EventLoopError.shutdown, mode: .all, promise: nil) }

    package func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }

    package func bind0(to address: NIOCore.SocketAddress, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }

    /// What no handler took.
    package func channelRead0(_ data: NIOAny) {}
    package func errorCaught0(error: any Error) {}
}
