internal import HTTPTypes
internal import MeshEventLoop
internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// An HTTP/1.1 connection of a client: one handler per channel, bytes in and out.
///
/// Requests are served one at a time; what a client sends beyond the present request stays in one buffer, and reading stops.
/// A client that ends its side before the response has ended has left (half-closed clients are not waited for).
final class ServerConnection: RequestSource, ClientConnection, StreamReader, ChannelInboundHandler, RemovableChannelHandler,
    @unchecked Sendable
{
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Reading {
        case head
        case body
        /// The request was read to its end.
        case ended
        /// The answer was a 101: what comes is no HTTP, and is passed on as it is.
        case tunnel
        /// Nothing that comes any more is looked at.
        case discarding
    }

    var context: ChannelHandlerContext?
    /// Of TLS below this handler: what is closed there ends without a farewell.
    var tlsContext: ChannelHandlerContext?
    /// TLS has begun and does not stand: nothing can be written.
    var isHandshaking = false

    // MARK: The request
    /// The first bytes have shown that this is HTTP/1.1.
    var isOpened = false
    /// The header of the PROXY protocol was read.
    var isIntroduced = false
    var parser: RequestHeadParser
    var decoder = BodyDecoder(.none)
    var reading = Reading.head
    /// Bytes that were read and not yet used.
    var unread: ByteBuffer?
    var keepsAlive = true
    var trailerFields = FieldList()

    // MARK: The answer
    var answerEnded = false
    var framing = ResponseFraming.same
    var clientVersion: UInt8 = 1
    var writer = SocketWriter()
    private var canWrite = true

    private var isReadPaused = false
    var isProcessing = false
    private var isChannelClosed = false

    // MARK: The tunnel
    /// The client has ended its side, and that is not passed on yet.
    var owesInputEnd = false
    /// Our side was ended, behind what was written; done when the socket has it all.
    var outputEnd: EventLoopFuture<Void>?

    /// Between two requests, or before the first: since when.
    var idleSince = Instant.zero
    /// Who has sent nothing for so long is not about to.
    static let quietTime = Timespan.milliseconds(500)
    /// How long, and how much, is read from a client after the last answer so that it can read that answer.
    static let lingerTime = Timespan.seconds(2)
    /// What is left of a request's body after its answer is read up to this size, so that the connection can go on.
    static let remainderLimit: UInt64 = 64 << 10

    override init(loop: TransportLoop, mode: InboundMode, peer: PeerIdentity) {
        parser = RequestHeadParser(limits: HeadLimits(loop.limits))
        super.init(loop: loop, mode: mode, peer: peer)
    }

    override var remoteAddress: String? { (context?.channel as? StreamChannel)?.peerHost }
    override var bodyFollows: Bool { reading == .body }
    override var isClosed: Bool { isChannelClosed }

    // MARK: - Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        loop.tick()
        readsPastPipeline(true, context)
        loop.connectionOpened(self)
        waitForRequest()
    }

    /// Whether this handler is the one next to the socket.
    func readsPastPipeline(_ isNext: Bool, _ context: ChannelHandlerContext) {
        writer = SocketWriter(context.channel, for: self, isNext: isNext)
    }

    func received(_ input: ByteBuffer) {
        guard let context else { return }
        loop.tick()
        var bytes = input
        if var unread {
            // A head that came in pieces, or a client that sends ahead.
            self.unread = nil
            unread.writeBuffer(&bytes)
            bytes = unread
        }
        if !isOpened, !opens(with: bytes, context) { return }
        process(bytes)
        updateReading()
    }

    func receivedAll() { flushDelivered() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { received(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) { receivedAll() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        loop.tick()
        canWrite = context.channel.isWritable
        call?.sourceWritabilityChanged(canWrite)
        handler?.writabilityChanged(canWrite)
    }

    func channelInactive(context: ChannelHandlerContext) {
        loop.tick()
        isChannelClosed = true
        if reading == .tunnel { closedInTunnel() }
        reading = .discarding
        unread = nil
        discardOutput()
        loop.removeTimer(self)
        loop.connectionClosed(self)
        countLeaving()
        if let handler {
            self.handler = nil
            handler.clientLeft()
        }
        if let call {
            self.call = nil
            call.sourceLeft()
            loop.recycle(call)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        tlsContext = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Reading stops while a body has nowhere to go, and while a client has sent more than the present request.
    func updateReading() {
        let isPaused = isRequestPaused || reading == .ended && unread != nil
        guard isPaused != isReadPaused, !isClosed else { return }
        isReadPaused = isPaused
        try? context?.channel.syncOptions?.setOption(.autoRead, value: !isPaused)
    }

    override func setRequestPaused(_ isPaused: Bool) {
        isRequestPaused = isPaused
        guard !isPaused else {
            updateReading()
            return
        }
        if let bytes = unread, reading == .body || reading == .tunnel, !isProcessing {
            unread = nil
            process(bytes)
        }
        passOnInputEnd()
        updateReading()
    }

    override func timerFired(now: Instant) {
        guard !isClosed else { return }
        switch reading {
        case .head where call == nil: closeUnlessAsked()
        case .head:
            keepsAlive = false
            answer(MeshAnswer(status: 408, flag: .downstreamProtocolError, cause: "the request head took too long"))
        case .discarding: abort()
        case .body where answerEnded: abort()
        case .body, .ended, .tunnel: break
        }
    }

    // MARK: - Delivery

    override var takesChunksRaw: Bool { clientVersion > 0 }
    override var isWritable: Bool { canWrite }

    override func deliverInterim(_ call: ForwardedCall) {
        guard clientVersion > 0, !answerBegan else { return }
        openOutput()
        ResponseWriter.writeInterim(call, into: &loop.responseOutput)
    }

    override func deliverHead(_ call: ForwardedCall, retryNo: Bool) {
        answerBegan = true
        answeredStatus = Int(call.response.status)
        frame(call)
        openOutput()
        ResponseWriter.write(
            call, retryNo: retryNo, framing: framing, keepsAlive: keepsAlive, clientVersion: clientVersion, into: &loop.responseOutput)
        if call.response.framing == .tunnel { openTunnel() }
    }

    override func deliverBody(_ bytes: ByteBuffer) { writeBody(bytes) }

    override func deliverEnd(_ call: ForwardedCall) {
        if reading == .tunnel {
            closeTunnel()
            return
        }
        if framing == .chunkedHere, call.response.framing.hasBody {
            openOutput()
            loop.responseOutput.writeStaticString("0\r\n")
            if let trailers = call.responseTrailers { loop.responseOutput.writeImmutableBuffer(trailers) }
            loop.responseOutput.writeStaticString("\r\n")
        }
        answerDone()
    }

    override func deliverTunnelEnd() { endOutput() }

    override func deliverFailure(_ failure: CallFailure, _ call: ForwardedCall) {
        answer(MeshAnswer(failure, to: call.destination?.service))
    }

    override func breakOff(_ failure: CallFailure, _ call: ForwardedCall) { breakOffAnswer() }

    override func answer(_ answer: MeshAnswer) { write(answer) }
    override func deliverHead(_ head: HandlerHead) { write(head) }
    override func deliverEnd(trailers: HTTPFields?) { endAnswer(trailers: trailers) }

    override func deliverContinue() {
        openOutput()
        loop.responseOutput.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
        flushDelivered()
    }

    /// Ends the connection in the middle of an answer.
    override func breakOffAnswer() {
        countAnswer(nil)
        // What ends with the connection would look complete after an orderly end.
        if framing == .untilClose || reading == .tunnel { resetsOnClose() }
        abort()
    }

    private func resetsOnClose() {
        guard let context, let descriptor = SocketDescriptor.of(context.channel) else { return }
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    // MARK: - Output

    /// The loop's output buffer, taken over from the connection that used it last.
    ///
    /// Where this one has ended meanwhile, as by a write that failed, nobody owns what is put there, and it goes nowhere.
    func openOutput() {
        if loop.outputOwner !== self {
            loop.outputOwner?.writeOutput()
            loop.outputOwner = isClosed ? nil : self
            loop.responseOutput.clear()
        }
    }

    func writeOutput() {
        guard loop.outputOwner === self else { return }
        loop.outputOwner = nil
        guard loop.responseOutput.readableBytes > 0, let context else { return }
        writer.write(loop.responseOutput, context)
    }

    func discardOutput() {
        if loop.outputOwner === self { loop.outputOwner = nil }
    }

    /// A piece as it is, behind what lies in the output buffer.
    func write(_ bytes: ByteBuffer) {
        guard let context else { return }
        guard loop.outputOwner === self else {
            writer.write(bytes, context)
            return
        }
        loop.outputOwner = nil
        writer.write(loop.responseOutput, bytes, context)
    }

    override func flushDelivered() { writeOutput() }
}
