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
final class ServerConnection: CallSource, ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Reading {
        case head
        case body
        /// The request was read to its end.
        case ended
        /// Nothing that comes any more is looked at.
        case discarding
    }

    let mode: InboundMode
    var context: ChannelHandlerContext?
    let peer: PeerIdentity
    /// The client's address as text, for forwarding fields; made when first needed.
    lazy var clientAddress: [UInt8] = Array((context?.channel.remoteAddress?.ipAddress ?? "unknown").utf8)

    // MARK: The request
    var parser: RequestHeadParser
    var decoder = BodyDecoder(.none)
    var reading = Reading.head
    /// Bytes that were read and not yet used.
    var unread: ByteBuffer?
    /// When the first byte of the present request came.
    var received = Instant.zero
    /// The present request and, where it is forwarded, the call; nil between two requests.
    var call: ForwardedCall?
    var handler: InboundHandlerTask?
    var keepsAlive = true
    var trailerFields = FieldList()

    // MARK: The answer
    var answerBegan = false
    var answerEnded = false
    /// Of the handler's answer.
    var status = 0
    var framing = ResponseFraming.same
    var clientVersion: UInt8 = 1
    private var needsFlush = false

    var isRequestPaused = false
    private var isReadWanted = false
    var isProcessing = false
    private(set) var isClosed = false

    /// How long, and how much, is read from a client after the last answer so that it can read that answer.
    static let lingerTime = Timespan.seconds(2)
    /// What is left of a request's body after its answer is read up to this size, so that the connection can go on.
    static let remainderLimit: UInt64 = 64 << 10

    init(loop: TransportLoop, mode: InboundMode, peer: PeerIdentity) {
        self.mode = mode
        self.peer = peer
        parser = RequestHeadParser(limits: HeadLimits(loop.limits))
        super.init(loop: loop)
    }

    // MARK: - Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        loop.tick()
        loop.connectionOpened(self)
        waitForRequest()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        loop.tick()
        var bytes = unwrapInboundIn(data)
        if var unread {
            // A head that came in pieces, or a client that sends ahead.
            self.unread = nil
            unread.writeBuffer(&bytes)
            bytes = unread
        }
        process(bytes)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        call?.flushRequest()
        flushDelivered()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        loop.tick()
        let isWritable = context.channel.isWritable
        call?.sourceWritabilityChanged(isWritable)
        handler?.writabilityChanged(isWritable)
    }

    func channelInactive(context: ChannelHandlerContext) {
        loop.tick()
        isClosed = true
        reading = .discarding
        unread = nil
        discardOutput()
        loop.removeTimer(self)
        loop.connectionClosed(self)
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

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func read(context: ChannelHandlerContext) {
        if wantsBytes { context.read() } else { isReadWanted = true }
    }

    /// Reading stops while a body has nowhere to go, and while a client has sent more than the present request.
    private var wantsBytes: Bool { !isRequestPaused && (reading != .ended || unread == nil) }

    func resumeReading() {
        guard isReadWanted, wantsBytes, !isClosed else { return }
        isReadWanted = false
        context?.read()
    }

    override func setRequestPaused(_ isPaused: Bool) {
        isRequestPaused = isPaused
        guard !isPaused else { return }
        if let bytes = unread, reading == .body, !isProcessing {
            unread = nil
            process(bytes)
            call?.flushRequest()
        }
        resumeReading()
    }

    override func timerFired(now: Instant) {
        guard !isClosed else { return }
        switch reading {
        case .head where call == nil: close()
        case .head:
            keepsAlive = false
            answer(MeshAnswer(status: 408, flag: .downstreamProtocolError, cause: "the request head took too long"))
        case .discarding: abort()
        case .body where answerEnded: abort()
        case .body, .ended: break
        }
    }

    // MARK: - Delivery

    override var takesChunksRaw: Bool { clientVersion > 0 }
    override var isWritable: Bool { context?.channel.isWritable ?? false }

    override func deliverInterim(_ call: ForwardedCall) {
        guard clientVersion > 0, !answerBegan else { return }
        openOutput()
        ResponseWriter.writeInterim(call, into: &loop.responseOutput)
    }

    override func deliverHead(_ call: ForwardedCall, retryNo: Bool) {
        answerBegan = true
        frame(call)
        openOutput()
        ResponseWriter.write(
            call, retryNo: retryNo, framing: framing, keepsAlive: keepsAlive, clientVersion: clientVersion, into: &loop.responseOutput)
    }

    override func deliverBody(_ bytes: ByteBuffer) { writeBody(bytes) }

    override func deliverEnd(_ call: ForwardedCall) {
        if framing == .chunkedHere, call.response.framing.hasBody {
            openOutput()
            loop.responseOutput.writeStaticString("0\r\n\r\n")
        }
        answerDone()
    }

    override func deliverFailure(_ failure: CallFailure, _ call: ForwardedCall) {
        answer(MeshAnswer(failure, to: call.destination?.service))
    }

    override func breakOff(_ failure: CallFailure, _ call: ForwardedCall) { breakOffAnswer() }

    /// Ends the connection in the middle of an answer.
    func breakOffAnswer() {
        // A body that ends with the connection would look complete after an orderly end.
        if framing == .untilClose { resetsOnClose() }
        abort()
    }

    private func resetsOnClose() {
        _ = try? context?.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { descriptor in
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }
    }

    // MARK: - Output

    /// The loop's output buffer, taken over from the connection that used it last.
    func openOutput() {
        if loop.outputOwner !== self {
            loop.outputOwner?.writeOutput()
            loop.outputOwner = self
            loop.responseOutput.clear()
        }
    }

    func writeOutput() {
        guard loop.outputOwner === self else { return }
        loop.outputOwner = nil
        guard loop.responseOutput.readableBytes > 0 else { return }
        context?.write(NIOAny(loop.responseOutput), promise: nil)
        needsFlush = true
    }

    func discardOutput() {
        if loop.outputOwner === self { loop.outputOwner = nil }
    }

    func write(_ bytes: ByteBuffer) {
        writeOutput()
        context?.write(NIOAny(bytes), promise: nil)
        needsFlush = true
    }

    override func flushDelivered() {
        writeOutput()
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }
}
