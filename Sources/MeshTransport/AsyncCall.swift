internal import HTTPTypes
internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import MeshTelemetry
internal import NIOCore

/// A call that a task of this process makes: hops onto an event loop once, and runs there like any other.
///
/// Invariant: touched on its loop only, but for `cancel`.
final class AsyncCall: CallSource, @unchecked Sendable {
    private var continuation: CheckedContinuation<CallResponse, any Error>?
    private var call: ForwardedCall?
    private var body: BodyStreamStorage?
    private var writer: BodyWriter?
    private var producer: Task<Void, Never>?
    private var canTakeBody = true
    private var isCancelled = false
    private var isRequestPaused = false
    private var chunksRequest = false
    /// Body bytes that the declared length still allows.
    private var owed: Int?

    override var isWritable: Bool { canTakeBody }

    struct Request: Sendable {
        var service: String
        var method: HTTPRequest.Method
        var path: String
        var fields: HTTPFields
        var body: OutboundBody
        var context: CallContext
        var timeout: Timespan?
    }

    // MARK: - Beginning

    func begin(_ request: Request, _ continuation: CheckedContinuation<CallResponse, any Error>) {
        loop.tick()
        guard !isCancelled else {
            continuation.resume(throwing: CancellationError())
            return
        }
        guard let destination = loop.snapshot.destination(named: request.service) else {
            continuation.resume(throwing: CallError.unknownService(request.service))
            return
        }
        let call = loop.takeCall()
        do throws(MessageError) {
            try write(request, to: call)
        } catch {
            loop.recycle(call)
            continuation.resume(throwing: CallError.invalidRequest("\(error.reason.description)"))
            return
        }
        self.continuation = continuation
        self.call = call
        identify(call, request)
        var facts = RequestFacts(method: MethodSet(call.request.methodKind), traceID: call.identity.traceID)
        facts.isMarkedIdempotent = call.request.fields.present.contains(.idempotencyKey)
        facts.criticality = request.context.criticality
        if let key = destination.affinityKey { facts.affinity = call.affinity(by: key) }
        var follows = false
        switch request.body {
        case .none: break
        case .bytes(let bytes):
            if bytes.readableBytes > 0 { call.requestBody(bytes) }
        case .stream:
            follows = true
            facts.bodyIsStreamed = true
        }
        var timeout = request.timeout
        if let wanted = timeout { timeout = min(wanted, destination.policy.timeout) }
        let exchange = Exchange(
            destination: destination, request: facts, received: loop.now, inherited: request.context.deadline, timeout: timeout,
            credit: request.context.credit.map { .shared($0) } ?? CallCredit(inherited: nil, root: loop.retryCredit, share: .half))
        call.begin(exchange, from: self, bodyFollows: follows)
        if case .stream(let length, let produce) = request.body, self.call != nil { stream(length, produce) }
    }

    /// Puts the request into the form in which all others come, so that the same rules judge it.
    private func write(_ request: Request, to call: ForwardedCall) throws(MessageError) {
        var head = ByteBuffer()
        head.writeString("\(request.method.rawValue) \(request.path) HTTP/1.1\r\nhost: \(request.service)\r\n")
        var carries: Set<String> = []
        for field in request.fields {
            switch field.name {
            case .connection, .contentLength, .transferEncoding, .upgrade, .te, .expect: continue
            default: break
            }
            if ["tracestate", "baggage"].contains(field.name.canonicalName) { carries.insert(field.name.canonicalName) }
            if field.name.canonicalName == "host" || field.name.canonicalName == "mesh-criticality"
                || field.name.canonicalName == "x-request-id" && request.context.requestID != nil
            {
                continue
            }
            head.writeString("\(field.name.rawName): \(field.value)\r\n")
        }
        if let id = request.context.requestID { head.writeString("x-request-id: \(id)\r\n") }
        // What the request brought goes on, unless its author says something else.
        if let state = request.context.propagated.tracestate, !carries.contains("tracestate") {
            head.writeString("tracestate: \(state)\r\n")
        }
        if let baggage = request.context.propagated.baggage, !carries.contains("baggage") { head.writeString("baggage: \(baggage)\r\n") }
        if request.context.criticality != .standard {
            head.writeString("mesh-criticality: \(request.context.criticality.rawValue)\r\n")
        }
        switch request.body {
        case .none:
            if request.method == .post || request.method == .put || request.method == .patch { head.writeString("content-length: 0\r\n") }
        case .bytes(let bytes): head.writeString("content-length: \(bytes.readableBytes)\r\n")
        case .stream(let length?, _): head.writeString("content-length: \(length)\r\n")
        case .stream(nil, _):
            head.writeString("transfer-encoding: chunked\r\n")
            chunksRequest = true
        }
        head.writeString("\r\n")
        var parser = RequestHeadParser(limits: HeadLimits(bytes: 256 << 10, fields: 1000, target: 64 << 10))
        let length = try head.withUnsafeReadableBytes { bytes throws(MessageError) in try parser.parse(bytes, into: &call.request) }
        // A head that goes on, or ends early, was split by what was put into it.
        guard length == head.readableBytes else { throw MessageError(.fieldValue) }
        call.requestBytes = head
        try head.withUnsafeReadableBytes { bytes throws(MessageError) in
            try call.path.normalize(call.request, bytes, by: &loop.normalizer)
        }
    }

    private func identify(_ call: ForwardedCall, _ request: Request) {
        call.identity.origin = .local
        call.identity.received = loop.now
        call.identity.isRoot = request.context.trace == nil
        call.identity.notes = request.context.notes
        call.identity.begin(request.context.trace, continues: true, random: &loop.random)
        if !call.request.fields.present.contains(.xRequestID) {
            call.identity.madeRequestID = (loop.random.next(), loop.random.next())
        }
    }

    // MARK: - The request's body

    private func stream(_ length: Int?, _ produce: @escaping @Sendable (BodyWriter) async throws -> Void) {
        owed = length
        let entrance = loop.entrance
        let writer = BodyWriter(loop: entrance) { [weak self] piece in self?.send(piece) }
        self.writer = writer
        writer.setBlocked(isRequestPaused)
        producer = Task { [self] in
            do {
                try await produce(writer)
                entrance.execute { self.produced(nil) }
            } catch {
                entrance.execute { self.produced(error) }
            }
        }
    }

    private func send(_ piece: ByteBuffer) {
        guard let call else { return }
        loop.tick()
        if let owed {
            guard piece.readableBytes <= owed else {
                end(throwing: CallError.invalidRequest("the body is longer than was declared"))
                return
            }
            self.owed = owed - piece.readableBytes
        }
        if chunksRequest {
            var chunk = ByteBuffer()
            chunk.reserveCapacity(piece.readableBytes + ChunkWriter.overhead)
            chunk.writeChunkBegin(piece.readableBytes)
            chunk.writeImmutableBuffer(piece)
            chunk.writeStaticString("\r\n")
            call.requestBody(chunk)
        } else {
            call.requestBody(piece)
        }
    }

    private func produced(_ error: (any Error)?) {
        guard let call else { return }
        loop.tick()
        if let error {
            end(throwing: error)
            return
        }
        guard owed ?? 0 == 0 else {
            end(throwing: CallError.invalidRequest("the body is shorter than was declared"))
            return
        }
        if chunksRequest { call.requestBody(ByteBuffer(staticString: "0\r\n\r\n")) }
        call.requestEnd()
    }

    override func setRequestPaused(_ isPaused: Bool) {
        isRequestPaused = isPaused
        writer?.setBlocked(isPaused)
    }

    // MARK: - The answer

    override func deliverHead(_ call: ForwardedCall, retryNo: Bool) {
        let entrance = loop.entrance
        let body = BodyStreamStorage(
            wanted: { [weak self] in entrance.execute { [weak self] in self?.bodyWanted() } },
            abandoned: { [weak self] in entrance.execute { [weak self] in self?.cancelOnLoop() } })
        self.body = body
        call.identity.notes?.add(call.trouble)
        var fields = call.responseBytes.withUnsafeReadableBytes { bytes in
            var dropping = HeaderRules.hopByHop
            if call.destination?.isExternal == true { dropping = dropping.union(HeaderRules.mesh) }
            return HTTPFields(call.response.fields, bytes, dropping: dropping)
        }
        if retryNo { fields[HTTPField.Name("mesh-retry")!] = "no" }
        let trace = TraceContext(traceID: call.identity.traceID, spanID: call.identity.callSpan, flags: call.identity.flags)
        continuation?.resume(
            returning: CallResponse(status: Int(call.response.status), fields: fields, body: BodyStream(body), trace: trace))
        continuation = nil
    }

    override func deliverBody(_ bytes: ByteBuffer) {
        if body?.push(bytes) == false { canTakeBody = false }
    }

    private func bodyWanted() {
        canTakeBody = true
        loop.tick()
        call?.sourceWritabilityChanged(true)
    }

    override func deliverEnd(_ call: ForwardedCall) {
        body?.finish()
        end()
    }

    override func deliverFailure(_ failure: CallFailure, _ call: ForwardedCall) {
        continuation?.resume(throwing: error(failure, call))
        continuation = nil
        end()
    }

    override func breakOff(_ failure: CallFailure, _ call: ForwardedCall) {
        body?.fail(error(failure, call))
        end()
    }

    private func error(_ failure: CallFailure, _ call: ForwardedCall) -> CallError {
        .failed(service: call.destination?.service ?? "", failure: failure, traceID: call.identity.traceID)
    }

    private func end() {
        guard let call else { return }
        self.call = nil
        writer?.fail(CancellationError())
        producer?.cancel()
        loop.recycle(call)
    }

    /// The task gave up, or broke its own word: the call is cancelled upstream.
    private func end(throwing error: any Error) {
        guard let call else { return }
        call.sourceLeft()
        continuation?.resume(throwing: error)
        continuation = nil
        body?.fail(error)
        end()
    }

    override func callEnds() { end(throwing: CancellationError()) }

    private func cancelOnLoop() {
        isCancelled = true
        loop.tick()
        end(throwing: CancellationError())
    }

    /// From any thread: the caller's task was cancelled.
    func cancel() {
        loop.entrance.execute { self.cancelOnLoop() }
    }
}
