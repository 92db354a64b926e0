internal import HTTPTypes
internal import MeshEventLoop
internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import MeshTelemetry
internal import NIOCore

/// One request that user code answers: the bridge between its source's event loop and its task.
///
/// Invariant: touched on the loop only, but for what it hands to the task; after `clientLeft` nothing is written.
final class InboundHandlerTask: LoopTimed, @unchecked Sendable {
    private let loop: TransportLoop
    private weak var source: RequestSource?
    private let call: ForwardedCall
    private let deadline: Instant?
    private var body: BodyStreamStorage?
    private var task: Task<Void, Never>?
    private var writer: BodyWriter?
    private var bodyWasRead = false
    /// Body bytes that the declared length still allows; nil where none was declared.
    private var owed: Int?
    private var sendsBody = true
    /// Of the answer, once it has begun.
    private var status: Int?
    /// The handler is being run for the first time, on the loop.
    private var isBeginning = false
    /// What it said before it ever waited.
    private var immediate: Result<OutboundResponse, any Error>?

    init(source: RequestSource, call: ForwardedCall, deadline: Instant?) {
        loop = source.loop
        self.source = source
        self.call = call
        self.deadline = deadline
        super.init()
        if let granted = source.inheritedCredit(of: call) ?? loop.retryCredit.grant {
            call.sharedCredit = SharedRetryCredit(granted: granted)
        }
    }

    func start(_ handler: @escaping @Sendable (InboundRequest) async throws -> OutboundResponse) {
        guard let source else { return }
        if let deadline { loop.setTimer(self, due: deadline) }
        let entrance = loop.entrance
        let request = makeRequest(source, body: source.bodyFollows ? openBody() : .empty)
        run { [self] in
            let result: Result<OutboundResponse, any Error>
            do {
                result = .success(try await handler(request))
            } catch {
                result = .failure(error)
            }
            // On the loop already: its way onto the loop is through this call's end.
            if loop.eventLoop.inEventLoop, isBeginning {
                immediate = result
            } else {
                entrance.execute { self.handled(result) }
            }
        }
        guard let immediate else { return }
        self.immediate = nil
        handled(immediate)
    }

    private func openBody() -> BodyStream {
        let entrance = loop.entrance
        // Weakly: this holds the body, and its task and its source hold this.
        let body = BodyStreamStorage(
            wanted: { [weak self] in entrance.execute { [weak self] in self?.bodyWanted() } },
            abandoned: { [weak self] in entrance.execute { [weak self] in self?.bodyWanted() } })
        self.body = body
        return BodyStream(body)
    }

    private func run(_ work: @escaping @Sendable () async -> Void) {
        let place = loop.handlerPlacement.place(now: loop.now)
        guard place != .pool else {
            task = Task(operation: work)
            return
        }
        // An answer of before must not wait for what this one does.
        loop.sockets?.sendHeld()
        let began = loop.now
        let before = place == .loopWatched ? ThreadUse.sinceBeginning() : nil
        isBeginning = true
        task = Task.immediate(operation: work)
        isBeginning = false
        let held = loop.tick() - began
        guard held > HandlerPlacement.patience else { return }
        loop.handlerPlacement.heldLoop(for: held, use: before.map { ThreadUse.sinceBeginning().since($0) }, now: loop.now)
    }

    /// Of the connection, or between processes of the mesh.
    private static let hiddenFields = HeaderRules.hopByHop.union(HeaderRules.mesh).union([.host, .traceparent, .tracestate])

    private func makeRequest(_ source: RequestSource, body: BodyStream) -> InboundRequest {
        call.requestBytes.withUnsafeReadableBytes { bytes in
            let head = InboundFields(call.request.fields, in: call.requestBytes, dropping: Self.hiddenFields)
            let path = call.path.withTarget(of: call.request, bytes, basePath: nil) { String(decoding: $0, as: UTF8.self) }
            let notes = TraceNotes()
            call.identity.notes = notes
            let identity = call.identity
            var caller: String?
            if let field = call.request.fields.first(.meshCaller) { caller = String(decoding: bytes[field.value], as: UTF8.self) }
            let id: String?
            if let made = identity.madeRequestID {
                id = Hexadecimal.string(made.high, made.low)
            } else {
                id = call.request.fields.first(.xRequestID).map { String(decoding: bytes[$0.value], as: UTF8.self) }
            }
            return InboundRequest(
                method: HTTPRequest.Method(String(decoding: bytes[call.request.method], as: UTF8.self)) ?? .get, path: path,
                authority: call.request.authority.map { String(decoding: bytes[$0], as: UTF8.self) }, head: head, body: body,
                context: InboundContext(
                    deadline: deadline,
                    trace: TraceContext(traceID: identity.traceID, spanID: identity.serverSpan ?? identity.callSpan, flags: identity.flags),
                    peer: source.peer, callerService: caller, requestID: id, received: identity.received,
                    credit: call.sharedCredit, notes: notes,
                    propagated: PropagatedFields(
                        tracestate: call.request.fields.joined(.tracestate, bytes), baggage: call.request.fields.joined(.baggage, bytes)),
                    criticality: identity.criticality))
        }
    }

    // MARK: - The request's body

    /// The handler asks for bytes, or has let go of them, so that they are read past.
    private func bodyWanted() {
        guard let source, source.handler === self, source.bodyFollows else { return }
        loop.tick()
        if !bodyWasRead {
            bodyWasRead = true
            if call.request.expectsContinue, !source.answerBegan {
                source.deliverContinue()
            }
        }
        source.setRequestPaused(false)
    }

    func bodyArrived(_ piece: ByteBuffer) {
        guard body?.push(piece) == false else { return }
        source?.setRequestPaused(true)
    }

    func bodyEnded() { body?.finish() }

    // MARK: - The answer

    private func handled(_ result: Result<OutboundResponse, any Error>) {
        guard let source, source.handler === self else { return }
        loop.tick()
        switch result {
        case .success(let response):
            if let route = response.route { call.identity.route = route }
            switch response.kind {
            case .own(let status, let fields, let body):
                write(status, fields, body, on: source)
            case .forward(let service):
                source.handler = nil
                loop.removeTimer(self)
                guard !bodyWasRead else {
                    source.answer(
                        MeshAnswer(status: 500, flag: nil, cause: "the handler read the body of a request that it passed on"))
                    return
                }
                source.forward(call, to: service)
                if !source.isClosed { source.setRequestPaused(false) }
            }
        case .failure:
            source.handler = nil
            loop.removeTimer(self)
            self.body?.fail(CancellationError())
            source.answer(MeshAnswer(status: 500, flag: nil, cause: "the handler failed"))
        }
        source.flushDelivered()
    }

    private func write(_ status: Int, _ fields: HTTPFields, _ body: OutboundBody, on source: RequestSource) {
        let isHead = call.request.methodKind == .head
        let allowsBody = status >= 200 && status != 204 && status != 304
        sendsBody = allowsBody && !isHead
        self.status = status
        var length: Int?
        switch body {
        case .none: length = 0
        case .bytes(let bytes): length = bytes.readableBytes
        case .stream(let declared, _): length = declared
        }
        source.deliverHead(
            HandlerHead(
                status: status, fields: fields, length: length, hasBody: sendsBody, allowsLength: allowsBody,
                trouble: call.identity.notes?.trouble ?? [], creditSpent: call.creditSpent))
        switch body {
        case .none:
            finish(source)
        case .bytes(let bytes):
            if sendsBody { source.deliverBody(bytes) }
            finish(source)
        case .stream(let declared, let produce):
            guard sendsBody else {
                finish(source)
                return
            }
            owed = declared
            stream(produce, on: source)
        }
    }

    private func stream(_ produce: @escaping @Sendable (BodyWriter) async throws -> Void, on source: RequestSource) {
        let entrance = loop.entrance
        let writer = BodyWriter(loop: entrance) { [weak self] piece in self?.send(piece) }
        self.writer = writer
        writer.setBlocked(!source.isWritable)
        task = Task { [self] in
            let failed: Bool
            do {
                try await produce(writer)
                failed = false
            } catch {
                failed = true
            }
            entrance.execute { self.produced(failed: failed, trailers: writer.trailers) }
        }
    }

    private func send(_ piece: ByteBuffer) {
        guard let source, source.handler === self else { return }
        loop.tick()
        if let owed {
            guard piece.readableBytes <= owed else {
                breakOff(source)
                return
            }
            self.owed = owed - piece.readableBytes
        }
        source.deliverBody(piece)
        source.flushDelivered()
    }

    private func produced(failed: Bool, trailers: HTTPFields?) {
        guard let source, source.handler === self else { return }
        loop.tick()
        guard !failed, owed ?? 0 == 0 else {
            breakOff(source)
            return
        }
        finish(source, trailers: trailers)
        source.flushDelivered()
    }

    /// The deadline passed before there was an answer: the mesh gives it, and the handler is cancelled.
    override func timerFired(now: Instant) {
        guard let source, source.handler === self, !source.answerBegan else { return }
        source.handler = nil
        cancel()
        var answer = MeshAnswer(
            status: 504, flag: .deadlineExhausted, cause: FailureCause.deadlinePassed.description, error: "http_response_timeout")
        answer.retryNo = true
        source.answer(answer)
    }

    private func finish(_ source: RequestSource, trailers: HTTPFields? = nil) {
        loop.removeTimer(self)
        source.handler = nil
        body?.fail(CancellationError())
        call.recordServerSpan(status: status, flag: nil, end: loop.now)
        source.deliverEnd(trailers: trailers)
    }

    /// The body can't be completed: the client must not take it for complete.
    private func breakOff(_ source: RequestSource) {
        source.handler = nil
        loop.removeTimer(self)
        call.recordServerSpan(status: status, flag: .localReset, end: loop.now)
        writer?.fail(CancellationError())
        source.breakOffAnswer()
    }

    func writabilityChanged(_ isWritable: Bool) { writer?.setBlocked(!isWritable) }

    /// The client is gone: the task is cancelled, and what it still does is for nobody.
    func clientLeft() {
        call.recordServerSpan(status: status, flag: .downstreamClosed, end: loop.now)
        cancel()
    }

    private func cancel() {
        loop.removeTimer(self)
        task?.cancel()
        body?.fail(CancellationError())
        writer?.fail(CancellationError())
    }
}
