internal import MeshExchange
internal import MeshHTTP
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// One exchange with an instance, on a stream of its own.
///
/// Invariant: nothing is written once the stream is closed (`connection` is nil then); `call` hears of one end at most.
final class HTTP2UpstreamStream: UpstreamStream, @unchecked Sendable {
    private var connection: HTTP2UpstreamConnection?
    private var id = HTTP2StreamID.rootStream

    // MARK: The request
    private var requestEnded = false
    /// Takes the chunks off a body that comes in them.
    private var unchunker: BodyDecoder?
    private var trailerFields = FieldList()
    private var trailers: HPACKHeaders?
    private var pending = 0
    private var isBlocked = false

    // MARK: The response
    private var responseBegan = false
    private var isReadPaused = false
    private var window = HTTP2Limits.window
    private let isReused: Bool

    init(on connection: HTTP2UpstreamConnection) {
        self.connection = connection
        isReused = connection.carried > 0
        super.init(loop: connection.loop)
    }

    override var takesData: Bool { true }
    override var isWritable: Bool { !isBlocked && connection?.canWrite ?? true }

    override func lease(to call: ForwardedCall) { self.call = call }

    // MARK: - The request

    override func send(_ head: ByteBuffer, rest: [ByteBuffer], isEnd: Bool) {
        guard let connection, let call = call?.asked else { return }
        id = connection.open(self)
        let framing = call.request.framing
        if framing == .chunked, !call.bodyIsData { unchunker = BodyDecoder(.chunked) }
        let hasBody = !rest.isEmpty || !isEnd || call.requestTrailers != nil
        connection.writeHeaders(id, HTTP2Heads.request(head, isSecure: connection.isSecure), isEnd: !hasBody)
        for piece in rest { sendBody(piece) }
        guard isEnd else { return }
        if hasBody { sendEnd() } else { requestEnded = true }
    }

    override func sendBody(_ bytes: ByteBuffer) {
        guard unchunker != nil else {
            write(bytes)
            return
        }
        var bytes = bytes
        while bytes.readableBytes > 0, unchunk(&bytes) {}
    }

    /// Takes one run of data, or the trailers, off the framing of HTTP/1.1, which was checked where it came in.
    private func unchunk(_ bytes: inout ByteBuffer) -> Bool {
        do throws(MessageError) {
            let step = try bytes.withUnsafeReadableBytes { region throws(MessageError) in try unchunker!.next(region) }
            let data = bytes.getSlice(at: bytes.readerIndex + step.data.lowerBound, length: step.data.count)!
            bytes.moveReaderIndex(forwardBy: step.consumed)
            write(data)
            guard step.following == .trailers else { return step.following == .more }
            let length = try bytes.withUnsafeReadableBytes { region throws(MessageError) in
                try unchunker!.readTrailers(region, into: &trailerFields)
            }
            if let length, let section = bytes.readSlice(length: length) { trailers = HTTP2Heads.trailers(section) }
            return false
        } catch {
            preconditionFailure("a body was passed on with broken chunks: \(error)")
        }
    }

    private func write(_ bytes: ByteBuffer) {
        guard let connection, bytes.readableBytes > 0 else { return }
        let size = bytes.readableBytes
        pending += size
        if pending >= HTTP2Limits.pending { isBlocked = true }
        let written = loop.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] _ in wrote(size) }
        connection.write(id, .data(.init(data: .byteBuffer(bytes))), written)
    }

    private func wrote(_ size: Int) {
        pending -= size
        guard isBlocked, pending < HTTP2Limits.pending / 2 else { return }
        isBlocked = false
        loop.tick()
        writabilityChanged()
    }

    func writabilityChanged() { call?.upstreamWritabilityChanged(isWritable) }

    override func sendEnd() {
        guard let connection, !requestEnded else { return }
        requestEnded = true
        if let trailers = trailers ?? call?.asked.requestTrailers.map(HTTP2Heads.trailers) {
            connection.writeHeaders(id, trailers, isEnd: true)
        } else {
            connection.write(id, .data(.init(data: .byteBuffer(ByteBuffer()), endStream: true)))
        }
    }

    // MARK: - The response

    func receive(_ headers: HPACKHeaders, isEnd: Bool) {
        guard let call else { return }
        guard !responseBegan else {
            let crossesBorder = call.identity.origin == .edge || call.destination?.isExternal == true
            call.responseTrailers = HTTP2Heads.trailerLines(headers, crossesBorder: crossesBorder)
            if isEnd { responseEnded() }
            return
        }
        var head = ByteBuffer()
        HTTP2Heads.writeResponse(headers, isEnd: isEnd, into: &head)
        do throws(MessageError) {
            var parser = ResponseHeadParser(limits: HeadLimits(bytes: 1 << 20, fields: 1000))
            let request = call.answeredRequest
            let length = try head.withUnsafeReadableBytes { bytes throws(MessageError) in
                try parser.parse(bytes, answering: request, into: &call.response)
            }
            guard length == head.readableBytes, call.response.framing != .tunnel else { throw MessageError(.fieldValue) }
        } catch {
            fail(.protocolError, resetting: .protocolError)
            return
        }
        call.responseBytes = head
        guard !call.response.isInterim else {
            call.upstreamInterim()
            return
        }
        responseBegan = true
        call.upstreamHead()
        if isEnd { responseEnded() }
    }

    func receive(_ data: ByteBuffer, isEnd: Bool) {
        guard let call else { return }
        guard responseBegan else {
            fail(.protocolError, resetting: .protocolError)
            return
        }
        if data.readableBytes > 0 { call.upstreamBody(data) }
        if isEnd { responseEnded() }
    }

    private func responseEnded() {
        guard let call else { return }
        self.call = nil
        // The rest of the request is not wanted; the stream ends where it is.
        close(requestEnded ? nil : .cancel)
        call.responseEnded()
    }

    func flushResponse() { call?.flushResponse() }

    func windowChanged(_ window: Int) {
        self.window = window
        if !isReadPaused { connection?.replenish(id, window: window) }
    }

    override func setReadPaused(_ isPaused: Bool) {
        isReadPaused = isPaused
        if !isPaused { connection?.replenish(id, window: window) }
    }

    // MARK: - Ends

    override func abandon(drains: Bool) {
        call = nil
        close(.cancel)
    }

    /// Leaves the connection to others; with a code, the peer is told that this stream is over.
    private func close(_ code: HTTP2ErrorCode?) {
        guard let connection else { return }
        self.connection = nil
        guard id != .rootStream else { return }
        if let code { connection.write(id, .rstStream(code)) }
        connection.remove(id)
    }

    private func fail(_ failure: AttemptFailure, resetting code: HTTP2ErrorCode? = nil) {
        let call = call
        self.call = nil
        close(code)
        call?.upstreamFailed(failure)
    }

    func peerReset(_ code: HTTP2ErrorCode) {
        switch code {
        case .refusedStream: fail(.streamRefused)
        default: fail(responseBegan ? .truncated : .reset)
        }
    }

    /// By a fault that NIOHTTP2 found and answered, or in order, after which nothing is left to say.
    func closed(_ code: HTTP2ErrorCode?) {
        connection = nil
        guard code != nil || call != nil else { return }
        fail(responseBegan ? .truncated : .protocolError)
    }

    func connectionEnded() {
        connection = nil
        fail(responseBegan ? .truncated : .closedBeforeResponse(reused: isReused, requestWritten: true))
    }
}
