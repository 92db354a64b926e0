internal import MeshModel
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// What the two sides of HTTP/2 have in common: the frames of one connection, its windows, and how it breaks.
///
/// Position: next to a `NIOHTTP2Handler` without multiplexer, which checks the protocol, keeps the windows and orders the frames; streams
/// are objects of the subclasses and no channels. Bytes of the connection's window are given back as they come, those of a stream's when
/// its reader has taken them, so that a slow stream holds up no other.
class HTTP2Channel: LoopTimed, ChannelInboundHandler, NIOHTTP2FrameDelegate, @unchecked Sendable {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    final let loop: TransportLoop
    final private(set) var context: ChannelHandlerContext?
    /// NIOHTTP2 has told the peer that the connection ends for an error.
    final private(set) var isBroken = false
    private var owesFlush = false

    /// How long the peer has to read why the connection ended.
    static let lingerTime = Timespan.milliseconds(200)

    init(loop: TransportLoop) {
        self.loop = loop
        super.init()
    }

    // MARK: - What a side does

    func receive(_ frame: HTTP2Frame) { preconditionFailure("a side reads its frames") }
    /// What remains of the stream's window in this direction, in bytes.
    func windowChanged(_ stream: HTTP2StreamID, _ window: Int) { preconditionFailure("a side has streams") }
    /// The stream is over; `code` is nil where both sides ended it in order.
    func streamClosed(_ stream: HTTP2StreamID, _ code: HTTP2ErrorCode?) { preconditionFailure("a side has streams") }
    func readComplete() {}
    func writabilityChanged() {}
    /// No frame will come any more, and none can be sent.
    func ended() { preconditionFailure("a side knows who waits for it") }

    // MARK: - Sending

    final var isOpen: Bool { context != nil && !isBroken }

    final func write(_ stream: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload, _ promise: EventLoopPromise<Void>? = nil) {
        guard let context, !isBroken else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        context.write(NIOAny(HTTP2Frame(streamID: stream, payload: payload)), promise: promise)
        flushSoon()
    }

    final func writeHeaders(_ stream: HTTP2StreamID, _ headers: HPACKHeaders, isEnd: Bool, _ promise: EventLoopPromise<Void>? = nil) {
        write(stream, .headers(.init(headers: headers, endStream: isEnd)), promise)
    }

    /// What many streams write in one turn of the loop goes out by one system call.
    private func flushSoon() {
        guard !owesFlush else { return }
        owesFlush = true
        loop.eventLoop.assumeIsolated().execute { [self] in
            owesFlush = false
            context?.flush()
        }
    }

    /// Gives back what a reader has taken, once it is worth a frame.
    final func replenish(_ stream: HTTP2StreamID, window: Int) {
        guard window <= HTTP2Limits.window / 2 else { return }
        write(stream, .windowUpdate(windowSizeIncrement: HTTP2Limits.window - window))
    }

    // MARK: - Ending

    /// Says that nothing further is taken above `last`, and closes when the peer has got that.
    final func sayGoodbye(last: HTTP2StreamID) {
        guard let context, !isBroken else { return }
        let said = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(
            NIOAny(HTTP2Frame(streamID: .rootStream, payload: .goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil))),
            promise: said)
        loop.setTimer(self, due: loop.now + .seconds(2))
        said.futureResult.assumeIsolated().whenComplete { [self] _ in self.context?.close(promise: nil) }
    }

    final func abort() { context?.close(promise: nil) }

    // MARK: - Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    final func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        loop.tick()
        guard !isBroken else { return }
        receive(unwrapInboundIn(data))
    }

    final func channelReadComplete(context: ChannelHandlerContext) { readComplete() }

    final func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as NIOHTTP2WindowUpdatedEvent:
            guard let window = event.inboundWindowSize else { return }
            if event.streamID == .rootStream {
                replenish(.rootStream, window: window)
            } else {
                windowChanged(event.streamID, window)
            }
        case let event as StreamClosedEvent:
            loop.tick()
            streamClosed(event.streamID, event.reason)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    final func channelWritabilityChanged(context: ChannelHandlerContext) {
        loop.tick()
        writabilityChanged()
    }

    final func channelInactive(context: ChannelHandlerContext) {
        loop.tick()
        loop.removeTimer(self)
        self.context = nil
        ended()
    }

    /// A fault of one stream has been answered by RST_STREAM already; only one of the connection ends it.
    final func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.tick()
        guard isBroken else {
            if !(error is any NIOHTTP2Error) { context.close(promise: nil) }
            return
        }
        // Nothing more is read, so that a flood costs nothing; the peer gets a moment to read the reason.
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        context.close(mode: .output, promise: nil)
        loop.setTimer(self, due: loop.now + Self.lingerTime)
        ended()
    }

    final func wroteFrame(_ frame: HTTP2Frame) {
        if case .goAway(_, let code, _) = frame.payload, code != .noError { isBroken = true }
    }
}
