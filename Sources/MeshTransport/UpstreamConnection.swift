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

/// An HTTP/1.1 connection to an instance: one handler per channel, bytes in and out.
///
/// It carries one request at a time for the `ForwardedCall` that leases it, and goes back to its pool only when both
/// messages have ended cleanly and nothing is left over.
final class UpstreamConnection: UpstreamStream, StreamReader, ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        case connecting
        case idle
        case leased
        /// The answer is not wanted, but short enough to be read to its end, so that the connection lives on.
        case draining(left: Int)
        case closed
    }

    enum Reading {
        case head
        case body
        case ended
    }

    let pool: ConnectionPool
    var phase = Phase.connecting
    /// What is being connected to takes HTTP/2.
    var speaksHTTP2 = false
    var reading = Reading.head
    var context: ChannelHandlerContext?
    var writer = SocketWriter()
    /// nil where the endpoint is spoken to in the clear.
    var handshake: Handshake?
    /// TLS ended without a farewell: what has no other end than the connection's is not complete.
    private var isCutOff = false

    var parser: ResponseHeadParser
    var decoder = BodyDecoder(.none)
    /// Bytes of a head that is not complete.
    var partial: ByteBuffer?
    var keepsAlive = true
    /// The body has no other end than the connection's.
    var endsWithConnection = false
    var passesChunksRaw = false
    var requestEnded = false
    /// A byte of the request went to the socket and was not refused by it.
    var requestWritten = false
    private var isWritingHead = false
    var responseBegan = false
    /// Tells one lease from the next, also when both are the same call's.
    private(set) var leases = 0
    /// Requests carried before this one.
    var carried = 0
    var idleSince = Instant.zero
    var failure: AttemptFailure?
    /// Of a tunnel: our side was ended, behind what was written; done when the socket has it all.
    var outputEnd: EventLoopFuture<Void>?

    private(set) var isReadPaused = false
    private var canWrite = true

    /// Of the 1xx heads before the present response.
    var interimBytes = 0

    /// So much of 1xx heads for one request, and no more: they are passed on and commit nothing, so that nothing else ends them.
    static let mostInterimBytes = 64 << 10
    /// What is read of an unwanted answer before the connection is given up instead, in bytes, and for how long.
    static let drainLimit = 64 << 10
    static let drainTime = Timespan.seconds(1)

    init(loop: TransportLoop, pool: ConnectionPool) {
        self.pool = pool
        parser = ResponseHeadParser(limits: HeadLimits())
        super.init(loop: loop)
    }

    override var isWritable: Bool { canWrite }

    var isReused: Bool { carried > 0 }

    // MARK: - Lease

    /// Whether an idle connection may take a request; with `asksSocket` the kernel says whether the peer has closed it or
    /// sent what nobody asked for.
    func canCarry(mustBeSure asksSocket: Bool) -> Bool {
        guard case .idle = phase, context != nil else { return false }
        return !asksSocket || writer.isQuiet()
    }

    override func lease(to call: ForwardedCall) {
        self.call = call
        leases &+= 1
        phase = .leased
        reading = .head
        keepsAlive = true
        endsWithConnection = false
        requestEnded = false
        requestWritten = false
        responseBegan = false
        interimBytes = 0
        failure = nil
        partial = nil
    }

    // MARK: - Sending

    /// Sends the head with what of the body is at hand.
    override func send(_ bytes: ByteBuffer, rest: [ByteBuffer], isEnd: Bool) {
        guard let context else { return }
        requestEnded = isEnd
        isWritingHead = true
        if let first = rest.first {
            writer.write(bytes, first, context)
            for piece in rest.dropFirst() { writer.write(piece, context) }
        } else {
            writer.write(bytes, context)
        }
        isWritingHead = false
        // A socket that refuses the first write closes the channel at once.
        if case .closed = phase { return }
        requestWritten = true
    }

    override func sendHeadWithBody() { loop.headOwner = self }

    /// Sends a head that still waits for its body.
    func writeHead() {
        guard loop.headOwner === self else { return }
        loop.headOwner = nil
        send(loop.requestOutput, rest: [], isEnd: requestEnded)
    }

    /// A piece of the body as it stands on the wire.
    override func sendBody(_ bytes: ByteBuffer) {
        guard loop.headOwner === self else {
            if let context { writer.write(bytes, context) }
            return
        }
        loop.headOwner = nil
        if bytes.readableBytes <= ForwardedCall.joinedBody {
            loop.requestOutput.writeImmutableBuffer(bytes)
            send(loop.requestOutput, rest: [], isEnd: requestEnded)
        } else {
            send(loop.requestOutput, rest: [bytes], isEnd: requestEnded)
        }
    }

    override func sendEnd() {
        writeHead()
        requestEnded = true
    }

    private func discardHead() {
        if loop.headOwner === self { loop.headOwner = nil }
    }

    // MARK: - Reading, paused from the other side

    override func setReadPaused(_ isPaused: Bool) {
        guard isPaused != isReadPaused else { return }
        isReadPaused = isPaused
        try? context?.channel.syncOptions?.setOption(.autoRead, value: !isPaused)
    }

    // MARK: - End of an exchange

    override func abandon(drains: Bool) {
        call = nil
        discardHead()
        // A connection that is being made is of use to the next call.
        if case .connecting = phase { return }
        guard drains, requestEnded, keepsAlive, responseBegan, case .leased = phase else {
            close()
            return
        }
        if case .ended = reading {
            release()
            return
        }
        phase = .draining(left: Self.drainLimit)
        setReadPaused(false)
        loop.setTimer(self, due: loop.now + Self.drainTime)
    }

    /// Both messages have ended: back to the pool, or closed where it can't be used again.
    func release() {
        call = nil
        guard keepsAlive, requestEnded, partial == nil, context != nil else {
            close()
            return
        }
        phase = .idle
        reading = .head
        carried += 1
        idleSince = loop.now
        setReadPaused(false)
        pool.put(self)
    }

    func close() {
        if case .closed = phase { return }
        if case .connecting = phase {
            phase = .closed
            loop.removeTimer(self)
            pool.connectEnded(.connectTimedOut)
            // Before it stands, the bootstrap owns the channel: `established` closes it.
            if handshake?.hasBegun == true { context?.close(promise: nil) }
            return
        }
        phase = .closed
        call = nil
        loop.removeTimer(self)
        context?.close(promise: nil)
    }

    override func timerFired(now: Instant) {
        switch phase {
        case .idle:
            pool.remove(self)
            close()
        case .draining, .connecting: close()
        case .leased, .closed: break
        }
    }

    // MARK: - Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        // The channel of an address that did not answer goes when the next one is already being tried.
        if self.context === context { self.context = nil }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        loop.tick()
        discardHead()
        let phase = phase
        self.phase = .closed
        loop.removeTimer(self)
        switch phase {
        case .idle: pool.remove(self)
        case .leased: connectionEnded()
        case .connecting where handshake?.hasBegun == true:
            self.phase = .connecting
            handshakeFailed(.handshakeFailed)
        case .connecting, .draining, .closed: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.tick()
        if handshake?.hasBegun == true { handshakeFailed(Handshake.failure(error)) }
        if error is IOError { failure = .reset } else { isCutOff = true }
        context.close(promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        loop.tick()
        canWrite = context.channel.isWritable
        call?.upstreamWritabilityChanged(canWrite)
    }

    /// The peer ended the connection while it had a request of ours.
    private func connectionEnded() {
        guard let call else { return }
        self.call = nil
        switch reading {
        case .body where endsWithConnection && failure == nil && !isCutOff:
            call.responseEnded()
        case .body:
            call.upstreamFailed(.truncated)
        case .ended:
            // The response is complete, but the request was still on its way.
            break
        case .head:
            if partial != nil || responseBegan {
                call.upstreamFailed(responseBegan && partial == nil ? (failure ?? .reset) : .truncated)
            } else if isWritingHead || !requestWritten {
                call.upstreamFailed(.closedBeforeResponse(reused: isReused, requestWritten: false))
            } else {
                call.upstreamFailed(failure ?? .closedBeforeResponse(reused: isReused, requestWritten: true))
            }
        }
    }
}
