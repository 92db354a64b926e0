internal import HTTPTypes
internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// A request on a stream of its own, and its answer.
///
/// Invariant: nothing is written to the stream once it is closed on either side's word (`connection` is nil then), and exactly one frame
/// with END_STREAM or RST_STREAM ends it.
final class HTTP2ServerStream: RequestSource, @unchecked Sendable {
    let id: HTTP2StreamID
    private var connection: HTTP2ServerConnection?

    // MARK: The request
    private var requestEnded = false
    /// Data that came while the body has nowhere to go: no more than the stream's window.
    private var unread: [ByteBuffer] = []
    private var unreadEnd = false
    /// What is left of the stream's window, as far as it is known.
    private var window = HTTP2Limits.window
    /// Data bytes that the body limit still allows.
    private var allowance = Int.max

    // MARK: The answer
    /// A head without a body: it ends the stream itself.
    private var lastHead: HPACKHeaders?
    /// Bytes handed down that the socket does not have yet.
    private var pending = 0
    private var isBlocked = false

    init(id: HTTP2StreamID, of connection: HTTP2ServerConnection) {
        self.id = id
        self.connection = connection
        super.init(loop: connection.loop, mode: connection.mode, peer: connection.peer)
        clientAddress = connection.clientAddress
        isSecure = connection.isSecure
    }

    override var isClosed: Bool { connection == nil }
    override var bodyFollows: Bool { !requestEnded }
    override var isWritable: Bool { !isBlocked && connection?.canWrite ?? true }

    // MARK: - The request

    func begin(_ headers: HPACKHeaders, isEnd: Bool) {
        received = loop.now
        requestEnded = isEnd
        let call = loop.takeCall()
        self.call = call
        call.bodyIsData = true
        var head = ByteBuffer()
        HTTP2Heads.writeRequest(headers, isEnd: isEnd, into: &head)
        do throws(MessageError) {
            var parser = RequestHeadParser(limits: HeadLimits(loop.limits))
            let length = try head.withUnsafeReadableBytes { bytes throws(MessageError) in try parser.parse(bytes, into: &call.request) }
            guard length == head.readableBytes else { throw MessageError(.fieldValue) }
            call.requestBytes = head
            if let limit = loop.limits.bodyBytes {
                if case .length(let length) = call.request.framing, length > UInt64(limit) { throw MessageError(.bodyTooLarge) }
                allowance = limit
            }
            try dispatch(call)
        } catch {
            refuse(error)
        }
    }

    func receive(_ data: ByteBuffer, isEnd: Bool) {
        guard connection != nil else { return }
        if isRequestPaused || !unread.isEmpty {
            unread.append(data)
            unreadEnd = isEnd
        } else {
            pass(data, isEnd: isEnd)
        }
    }

    private func pass(_ data: ByteBuffer, isEnd: Bool) {
        allowance -= data.readableBytes
        guard allowance >= 0 else {
            refuse(MessageError(.bodyTooLarge))
            return
        }
        if data.readableBytes > 0 {
            if let handler { handler.bodyArrived(data) } else { call?.requestBody(data) }
        }
        guard isEnd, connection != nil else { return }
        endRequest()
    }

    private func endRequest() {
        guard !requestEnded else { return }
        requestEnded = true
        if let handler { handler.bodyEnded() } else { call?.requestEnd() }
    }

    func receiveTrailers(_ headers: HPACKHeaders) {
        call?.requestTrailers = HTTP2Heads.trailerLines(headers, crossesBorder: call?.identity.origin == .edge)
        if unread.isEmpty { endRequest() } else { unreadEnd = true }
    }

    func windowChanged(_ window: Int) {
        self.window = window
        if !isRequestPaused, unread.isEmpty { connection?.replenish(id, window: window) }
    }

    override func setRequestPaused(_ isPaused: Bool) {
        isRequestPaused = isPaused
        guard !isPaused else { return }
        while let data = unread.first, !isRequestPaused, connection != nil {
            unread.removeFirst()
            pass(data, isEnd: unread.isEmpty && unreadEnd)
        }
        if !isRequestPaused, unread.isEmpty, !requestEnded { connection?.replenish(id, window: window) }
    }

    // MARK: - The service's answer

    override func deliverInterim(_ call: ForwardedCall) {
        guard !answerBegan, call.response.status != 101 else { return }
        loop.headText.clear()
        ResponseWriter.writeInterim(call, into: &loop.headText)
        connection?.writeHeaders(id, HTTP2Heads.response(loop.headText), isEnd: false)
    }

    override func deliverHead(_ call: ForwardedCall, retryNo: Bool) {
        loop.headText.clear()
        ResponseWriter.write(call, retryNo: retryNo, framing: .same, keepsAlive: true, clientVersion: 1, into: &loop.headText)
        var headers = HTTP2Heads.response(loop.headText)
        let hasBody = call.response.framing.hasBody
        // A head that is the trailers, too, has no body whose length could be said.
        if call.isGRPC, !hasBody { headers.remove(name: "content-length") }
        answeredStatus = Int(call.response.status)
        begin(headers, hasBody: hasBody)
    }

    override func deliverBody(_ bytes: ByteBuffer) {
        guard let connection, bytes.readableBytes > 0 else { return }
        let size = bytes.readableBytes
        pending += size
        if pending >= HTTP2Limits.pending { isBlocked = true }
        let written = loop.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] _ in wrote(size) }
        connection.write(id, .data(.init(data: .byteBuffer(bytes))), written)
    }

    override func deliverEnd(_ call: ForwardedCall) { end(call.responseTrailers.map(HTTP2Heads.trailers)) }

    override func deliverFailure(_ failure: CallFailure, _ call: ForwardedCall) {
        answer(MeshAnswer(failure, to: call.destination?.service))
    }

    override func breakOff(_ failure: CallFailure, _ call: ForwardedCall) {
        guard isGRPC else {
            breakOffAnswer()
            return
        }
        // An error is no end that looks complete, and it says why.
        end(HTTP2Heads.trailers(.init(httpStatus: failure.status), failure.cause.description))
    }

    private func wrote(_ size: Int) {
        pending -= size
        guard isBlocked, pending < HTTP2Limits.pending / 2 else { return }
        isBlocked = false
        loop.tick()
        writabilityChanged()
    }

    func writabilityChanged() {
        call?.sourceWritabilityChanged(isWritable)
        handler?.writabilityChanged(isWritable)
    }

    // MARK: - Answers that are made here

    override func answer(_ answer: MeshAnswer) {
        let call = call
        var answer = answer
        answer.creditSpent = call?.creditSpent
        answer.trouble = call?.trouble ?? []
        let identity = call.flatMap { $0.identity.serverSpan == nil ? nil : $0.identity }
        loop.headText.clear()
        answer.write(
            identity: identity, route: call?.routeState, service: loop.shared.service, isHead: call?.request.methodKind == .head,
            keepsAlive: true,
            clientVersion: 1, into: &loop.headText)
        if let call, call.destination == nil { call.recordServerSpan(status: answer.status, flag: answer.flag, end: loop.now) }
        answeredStatus = answer.status
        let headers = HTTP2Heads.response(loop.headText)
        if isGRPC {
            begin(HTTP2Heads.trailersOnly(headers, .init(httpStatus: answer.status), answer.cause), hasBody: false)
        } else {
            let body = HTTP2Heads.body(behind: loop.headText)
            begin(headers, hasBody: body.readableBytes > 0)
            deliverBody(body)
        }
        end(nil)
    }

    override func deliverContinue() {
        connection?.writeHeaders(id, [":status": "100"], isEnd: false)
    }

    override func deliverHead(_ head: HandlerHead) {
        loop.headText.clear()
        loop.headText.writeHead(
            status: head.status, fields: head.fields, length: head.allowsLength ? head.length : nil, chunked: false, keepsAlive: true,
            clientVersion: 1, trouble: head.trouble, creditSpent: head.creditSpent, date: &loop.date)
        answeredStatus = head.status
        begin(HTTP2Heads.response(loop.headText), hasBody: head.hasBody)
    }

    override func deliverEnd(trailers: HTTPFields?) {
        end(trailers.map { fields in HPACKHeaders(fields.map { ($0.name.canonicalName, $0.value) }) })
    }

    override func breakOffAnswer() { reset(.internalError) }

    private func refuse(_ error: MessageError) {
        if let handler {
            self.handler = nil
            handler.clientLeft()
        }
        guard !answerBegan else {
            call?.sourceLeft()
            reset(.cancel)
            return
        }
        call?.sourceLeft()
        answer(MeshAnswer(error))
    }

    /// The call is one of gRPC, which reads errors from trailers.
    private var isGRPC: Bool { call?.isGRPC ?? false }

    // MARK: - Ends

    private func begin(_ headers: HPACKHeaders, hasBody: Bool) {
        answerBegan = true
        if hasBody { connection?.writeHeaders(id, headers, isEnd: false) } else { lastHead = headers }
    }

    /// Writes what is left of the answer. The stream is forgotten when that has been written: until then it may wait for the window.
    private func end(_ trailers: HPACKHeaders?) {
        guard let connection else {
            recycle()
            return
        }
        self.connection = nil
        unread = []
        countAnswer(answeredStatus)
        let written = loop.eventLoop.makePromise(of: Void.self)
        let isAborted = !requestEnded
        written.futureResult.assumeIsolated().whenSuccess { [self] in
            // An early answer: the rest of the request is not wanted (RFC 9113 8.1).
            if isAborted { connection.write(id, .rstStream(.noError)) }
        }
        written.futureResult.assumeIsolated().whenComplete { [self] _ in connection.remove(self) }
        if let lastHead {
            connection.writeHeaders(id, lastHead, isEnd: trailers == nil, trailers == nil ? written : nil)
        }
        if let trailers {
            connection.writeHeaders(id, trailers, isEnd: true, written)
        } else if lastHead == nil {
            connection.write(id, .data(.init(data: .byteBuffer(ByteBuffer()), endStream: true)), written)
        }
        recycle()
    }

    private func reset(_ code: NIOHTTP2.HTTP2ErrorCode) {
        guard let connection else { return }
        self.connection = nil
        countAnswer(nil)
        connection.write(id, .rstStream(code))
        connection.remove(self)
        recycle()
    }

    /// The client has given the stream up, or is gone.
    func left() {
        guard connection != nil else { return }
        connection = nil
        unread = []
        countLeaving()
        if let handler {
            self.handler = nil
            handler.clientLeft()
        }
        call?.sourceLeft()
        recycle()
    }

    private func recycle() {
        guard let call else { return }
        self.call = nil
        loop.recycle(call)
    }
}
