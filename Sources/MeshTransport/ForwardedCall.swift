internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import NIOCore

/// Drives one exchange: takes what happens on both sides to it as facts, and does what it says.
///
/// It decides nothing of its own. Objects are reused, one call after the other, so that a call allocates next to nothing.
/// Invariant: touched on its loop only; `source` hears of exactly one end, unless it left itself.
final class ForwardedCall: LoopTimed, @unchecked Sendable {
    let loop: TransportLoop

    // MARK: The request
    var request = RequestHead()
    /// The bytes that `request` points into.
    var requestBytes = ByteBuffer()
    var path = RequestPath()
    var identity = CallIdentity()
    var routeState = RouteState()
    /// A copy of the request on its way elsewhere.
    private var mirror: MirrorCall?
    private(set) var source: CallSource?
    /// Pieces of the body come without the framing of HTTP/1.1, and trailers, as field lines, beside them.
    var bodyIsData = false
    var requestTrailers: ByteBuffer?
    /// While the request begins: what was read with its head goes on with a piece of its body.
    var isBodyAtHand = false
    /// A call of gRPC: its deadline covers all of it, and its errors travel in trailers.
    var isGRPC = false
    /// Of the client, for forwarding fields at the edge.
    var clientAddress: [UInt8] = []
    /// Of a request that a handler answers: what its calls spend together.
    var sharedCredit: SharedRetryCredit?
    /// It counts among the requests that this process works on.
    var hasSeat = false
    /// Of its answer; nil where there was none, or it was broken off.
    var answeredStatus: Int?
    /// Bytes of both bodies as they stood on the wire.
    private(set) var receivedBytes: UInt64 = 0
    private(set) var deliveredBytes: UInt64 = 0
    private(set) var replay = ReplayBuffer()
    /// What came after the replay buffer was full and before there was an upstream to send it to.
    private var held: [ByteBuffer] = []
    /// The source has handed over the last byte of the body.
    var requestEnded = false
    /// The request's head is out on the current attempt, and pieces of the body go straight through.
    var isStreaming = false
    private var sourceIsPaused = false

    // MARK: The exchange
    var exchange: Exchange?
    var destination: Destination?
    var attempt: Attempt?
    var upstream: UpstreamStream?
    /// Receives what a second attempt that runs beside says; nil where there is none.
    var beside: ForwardedCall?
    /// Whose second attempt this is. Such a call has no exchange of its own: it holds a response until one of both is wanted.
    var lead: ForwardedCall?
    private(set) var isCommitted = false
    private(set) var isOver = false
    private(set) var failure: CallFailure?

    // MARK: The response
    var response = ResponseHead()
    var responseBytes = ByteBuffer()
    /// Field lines without the empty line behind them; none where they were passed on with the last chunk.
    var responseTrailers: ByteBuffer?

    // MARK: The tunnel
    /// The request's Upgrade is passed on, so that a 101 may open a tunnel.
    var offersUpgrade = false
    var tunnelEnds = TunnelEnds()

    init(loop: TransportLoop) {
        self.loop = loop
        super.init()
    }

    var attempts: AttemptLog? { reading { $0.pointee.attempts } }
    var callDeadline: Instant? { reading { $0.pointee.deadline } }
    var callFlag: ResponseFlag? { reading { $0.pointee.flag } ?? failure?.flag }
    /// For `mesh-credit-spent`; nil towards a caller that gave no credit.
    var creditSpent: Int? {
        guard identity.origin == .mesh, request.fields.present.contains(.meshRetryCredit) else { return nil }
        return sharedCredit?.spent ?? reading { $0.pointee.credit.spent } ?? 0
    }

    /// Reads of the exchange where it lies; nil without one. For `exchange?.flag` all of it is copied first.
    @inline(__always)
    func reading<Value>(_ read: (UnsafePointer<Exchange>) -> Value?) -> Value? {
        exchange == nil ? nil : withUnsafePointer(to: &exchange!) { read($0) }
    }
    private(set) var replayHasOverflowed = false
    /// Who holds the request.
    var asked: ForwardedCall { lead ?? self }
    var takesChunksRaw: Bool { asked.source?.takesChunksRaw ?? false }
    var answeredRequest: AnsweredRequest { AnsweredRequest(method: asked.request.methodKind, offersUpgrade: offersUpgrade) }

    // MARK: - Beginning and end

    /// Hands the request to the exchange; the answer reaches `source`, possibly before this returns.
    func begin(_ exchange: consuming Exchange, from source: CallSource, bodyFollows: Bool) {
        self.source = source
        destination = exchange.destination
        self.exchange = consume exchange
        requestEnded = !bodyFollows
        if let target = routeState.mirror, !offersUpgrade { mirror = MirrorCall.begin(self, to: target, bodyFollows: bodyFollows) }
        perform(self.exchange!.began(now: loop.now, random: &loop.random))
    }

    /// The asking side is gone: everything below is cancelled.
    func sourceLeft() {
        guard !isOver, exchange != nil else { return }
        source = nil
        perform(exchange!.callerLeft(now: loop.now, random: &loop.random))
        if !isOver { finish() }
    }

    private func finish() {
        isOver = true
        loop.setTimer(self, due: .distantFuture)
        if let upstream {
            self.upstream = nil
            upstream.abandon(drains: false)
        }
        if beside != nil { abandonBeside(drains: false) }
        replay.close(account: loop.shared.replay)
        held = []
        if let mirror {
            self.mirror = nil
            // What is left of a body that nobody reads any more would not come.
            if !requestEnded { mirror.giveUp() }
        }
        recordSpans()
    }

    /// Makes the object as new; what it holds of memory stays.
    func reset() {
        leaveSeat()
        answeredStatus = nil
        replay.reset(account: loop.shared.replay)
        held = []
        path.reset()
        keepHeadStorage()
        responseBytes = ByteBuffer()
        closeOpenSpan()
        identity = CallIdentity()
        sharedCredit = nil
        routeState.reset()
        source = nil
        exchange = nil
        destination = nil
        attempt = nil
        upstream = nil
        beside = nil
        failure = nil
        requestEnded = false
        isStreaming = false
        sourceIsPaused = false
        isCommitted = false
        replayHasOverflowed = false
        isOver = false
        offersUpgrade = false
        tunnelEnds = TunnelEnds()
        bodyIsData = false
        receivedBytes = 0
        deliveredBytes = 0
        requestTrailers = nil
        isBodyAtHand = false
        isGRPC = false
        responseTrailers = nil
    }

    /// A head's storage up to this size is kept for the next one.
    private static let keptHead = 4 << 10

    /// Copies the head, which is small, so that what it was read into serves the loop's next reader at once.
    func takeHead(of bytes: inout ByteBuffer, length: Int) {
        requestBytes.clear(minimumCapacity: length)
        bytes.withUnsafeReadableBytes { _ = requestBytes.writeBytes(UnsafeRawBufferPointer(rebasing: $0.prefix(length))) }
        bytes.moveReaderIndex(forwardBy: length)
    }

    private func keepHeadStorage() {
        let isKept = requestBytes.storageCapacity <= Self.keptHead && requestBytes.modifyIfUniquelyOwned { $0.clear() } != nil
        if !isKept { requestBytes = ByteBuffer() }
    }

    // MARK: - Effects

    func perform(_ effects: Effects) {
        if let reason = effects.abandon { abandon(reason, only: Int(effects.only)) }
        loop.setTimer(self, due: effects.wakeAt ?? .distantFuture)
        if let attempt = effects.start {
            if attempt.isHedge { startBeside(attempt) } else { start(attempt) }
            return
        }
        switch effects.caller {
        case .nothing: break
        case .forwardHead(let retryNo):
            commit()
            source?.deliverHead(self, retryNo: retryNo)
        case .complete:
            let source = source
            finish()
            source?.deliverEnd(self)
        case .fail(let failure):
            self.failure = failure
            let source = source
            finish()
            source?.deliverFailure(failure, self)
        case .reset(let failure):
            self.failure = failure
            let source = source
            finish()
            source?.breakOff(failure, self)
        }
    }

    /// - Parameter number: of the one attempt that ends; 0 for all.
    private func abandon(_ reason: AbandonReason, only number: Int) {
        if beside != nil {
            if number == 0 || beside?.attempt?.number == number { abandonBeside(drains: reason == .retried) }
            guard number == 0 || attempt?.number == number else { return }
        }
        isStreaming = false
        guard let upstream else { return }
        self.upstream = nil
        upstream.abandon(drains: reason == .retried)
    }

    private func commit() {
        isCommitted = true
        replay.close(account: loop.shared.replay)
    }

    /// Every call that goes on has a timer, be it that of its body's progress.
    override func loopEnds() {
        guard !isOver, exchange != nil else { return }
        source?.callEnds()
    }

    override func timerFired(now: Instant) {
        guard !isOver, exchange != nil else { return }
        perform(exchange!.timerFired(now: now, random: &loop.random))
    }

    // MARK: - An attempt

    func start(_ attempt: Attempt) {
        self.attempt = attempt
        let pool = loop.pool(for: attempt.endpoint)
        if !attempt.needsNewConnection, let connection = pool.lease(mustBeSure: !asked.request.methodKind.isIdempotent) {
            connection.lease(to: self)
            upstreamReady(connection)
        } else {
            pool.connect(to: attempt.endpoint, for: self, destination: destination!)
        }
    }

    /// What the attempt will go out on is being made.
    ///
    /// Position: before its outcome, which over a Unix socket is there at once, and may be that this call goes on elsewhere.
    func upstreamBegan(_ stream: UpstreamStream) { upstream = stream }

    func upstreamReady(_ connection: UpstreamStream) {
        upstream = connection
        asked.exchange!.connected(of: attempt?.number, now: loop.now)
        sendRequest(on: connection)
    }

    /// Sends the head and what is at hand of the body.
    private func sendRequest(on connection: UpstreamStream) {
        let asked = asked
        guard let destination, let attempt else { return }
        loop.headOwner?.writeHead()
        asked.identity.beginAttempt(attempt.number)
        loop.requestOutput.clear()
        RequestWriter.write(asked, attempt: attempt, to: destination, into: &loop.requestOutput)
        var rest = asked.replay.pieces
        let frames = asked.framesBody(for: connection)
        if asked.replay.bytes <= Self.joinedBody, !connection.takesData, !frames {
            for piece in rest { loop.requestOutput.writeImmutableBuffer(piece) }
            rest = []
        }
        if !held.isEmpty {
            rest += held
            held = []
            overflowReplay()
        }
        if frames {
            rest = rest.map(Self.chunk)
            if requestEnded { rest.append(asked.lastChunk) }
        }
        isStreaming = true
        if isBodyAtHand, rest.isEmpty, !requestEnded {
            connection.sendHeadWithBody()
        } else {
            connection.send(loop.requestOutput, rest: rest, isEnd: requestEnded)
        }
        guard upstream === connection else { return }
        if requestEnded { asked.perform(asked.exchange!.requestSent(of: attempt.number, now: loop.now)) }
        if sourceIsPaused, connection.isWritable { resumeSource() }
    }

    /// A body up to this size is copied behind the head, which is cheaper than a second piece in a gathering write.
    static let joinedBody = 8 << 10

    // MARK: - Facts from the source

    /// A piece of the request's body, as it stands on the wire.
    func requestBody(_ piece: ByteBuffer) {
        guard !isOver else { return }
        receivedBytes += UInt64(piece.readableBytes)
        mirror?.requestBody(piece)
        if replay.isOpen, !replay.append(piece, account: loop.shared.replay) {
            if isStreaming {
                overflowReplay()
            } else {
                // There is nowhere to send it yet: this one piece is held, and no more is taken.
                held.append(piece)
                pauseSource()
                return
            }
        }
        guard isStreaming, let upstream else {
            if replay.bytes >= ReplayBuffer.limit { pauseSource() }
            return
        }
        exchange!.progressed(now: loop.now)
        upstream.sendBody(framesBody(for: upstream) ? Self.chunk(piece) : piece)
        if !upstream.isWritable { pauseSource() }
    }

    func requestEnd() {
        requestEnded = true
        mirror?.requestEnd()
        guard !isOver, isStreaming, let upstream else { return }
        if framesBody(for: upstream) { upstream.sendBody(lastChunk) }
        upstream.sendEnd()
        perform(exchange!.requestSent(of: attempt?.number, now: loop.now))
    }

    private func overflowReplay() {
        replay.close(account: loop.shared.replay)
        loop.shared.replay.countOverflow()
        exchange!.replayOverflowed(now: loop.now)
        replayHasOverflowed = true
    }

    private func pauseSource() {
        guard !sourceIsPaused else { return }
        sourceIsPaused = true
        source?.setRequestPaused(true)
    }

    private func resumeSource() {
        guard sourceIsPaused else { return }
        sourceIsPaused = false
        source?.setRequestPaused(false)
    }

    func sourceWritabilityChanged(_ isWritable: Bool) {
        guard let upstream else { return }
        upstream.setReadPaused(!isWritable)
    }

    // MARK: - Facts from upstream

    func upstreamWritabilityChanged(_ isWritable: Bool) {
        if isWritable { resumeSource() } else if isStreaming { pauseSource() }
    }

    /// A 1xx head: passed on, and no more than that.
    func upstreamInterim() {
        guard let source else { return }
        source.deliverInterim(self)
        if !source.isWritable { upstream?.setReadPaused(true) }
    }

    /// A final head, in `response`.
    func upstreamHead() {
        if let lead { return lead.besideHead() }
        if response.fields.present.contains(.meshTrouble), destination?.isExternal == false {
            identity.troubleBelow.formUnion(TraceTrouble(head: response, responseBytes))
        }
        perform(exchange!.responseHead(ResponseFacts(of: self), of: attempt?.number, now: loop.now, random: &loop.random))
    }

    func upstreamBody(_ bytes: ByteBuffer) {
        guard let source, isCommitted else { return }
        exchange!.progressed(now: loop.now)
        deliveredBytes += UInt64(bytes.readableBytes)
        source.deliverBody(bytes)
        if !source.isWritable { upstream?.setReadPaused(true) }
    }

    func flushResponse() { source?.flushDelivered() }

    /// The response is complete; the connection has gone its own way already.
    func responseEnded() {
        upstream = nil
        perform(exchange!.responseEnded(grpcStatus: trailersStatus, now: loop.now, random: &loop.random))
    }

    func upstreamFailed(_ failure: AttemptFailure) {
        upstream = nil
        isStreaming = false
        if let lead { return lead.besideFailed(failure) }
        perform(exchange!.attemptFailed(failure, of: attempt?.number, now: loop.now, random: &loop.random))
    }
}
