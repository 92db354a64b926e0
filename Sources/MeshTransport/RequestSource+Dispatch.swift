internal import HTTPTypes
internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import MeshTelemetry
internal import NIOCore

// Where a request goes.

extension RequestSource {
    /// Decides it for the head that was just read; the answer may be written before this returns.
    func dispatch(_ call: ForwardedCall) throws(MessageError) {
        try call.requestBytes.withUnsafeReadableBytes { bytes throws(MessageError) in
            try call.path.normalize(call.request, bytes, by: &loop.normalizer)
        }
        let isHealthCheck = isHealthCheck(call)
        if isHealthCheck, !isHandled {
            answerHealthCheck(call)
            return
        }
        identify(call)
        if call.request.methodKind == .connect {
            refuseConnect()
            return
        }
        guard !isForbiddenPlain else {
            answerPlain(call)
            return
        }
        call.identity.isRecorded = !isHealthCheck
        guard isHealthCheck || call.takeSeat() else {
            answer(.shed)
            return
        }
        isAwaited = true
        call.noteOpenSpan()
        switch mode {
        case .gateway: dispatchByRoute(call)
        case .forward(let service):
            call.identity.route = nil
            forward(call, to: service)
        case .handler(let handler):
            guard remainder(of: call).map({ $0 >= Exchange.leastRemainder }) ?? true else {
                answerTooLate(call)
                return
            }
            call.identity.deadline = deadline(of: call)
            let task = InboundHandlerTask(source: self, call: call, deadline: call.identity.deadline)
            self.handler = task
            // Nothing of the body is read before somebody wants it, so that the whole request can still be passed on.
            if bodyFollows { isRequestPaused = true }
            task.start(handler)
        }
    }

    /// Passes the present request on, on behalf of a handler that did not read its body.
    func forward(_ call: ForwardedCall, to service: String) {
        guard let destination = loop.snapshot.destination(named: service) else {
            var answer = MeshAnswer(
                status: 503, flag: .noHealthyEndpoint, cause: "the service is not known here", error: "destination_not_found")
            answer.destination = service
            self.answer(answer)
            return
        }
        begin(call, to: destination, route: nil, inherited: deadline(of: call))
    }

    // MARK: - The gateway

    private func dispatchByRoute(_ call: ForwardedCall) {
        switch call.decideRoute() {
        case .answer(let answer): self.answer(answer)
        case .forward(let destination, let route):
            begin(
                call, to: destination, route: route, inherited: earlier(route.deadline(received: received), grpcDeadline(of: call)))
        }
    }

    private func begin(_ call: ForwardedCall, to destination: Destination, route: Route?, inherited: Instant?) {
        call.identity.deadline = inherited
        call.offersUpgrade = call.request.upgrade != nil && !bodyFollows && call.asksForOtherProtocol
        let fields = call.request.fields.present
        var facts = RequestFacts(method: MethodSet(call.request.methodKind), traceID: call.identity.traceID)
        facts.isMarkedIdempotent = fields.contains(.idempotencyKey) || route?.isIdempotent ?? false
        facts.bodyIsStreamed = bodyFollows
        facts.maxDuration = route?.maxDuration
        facts.isGRPC = call.isGRPC
        facts.isHedgeable = !call.offersUpgrade
        facts.affinity = call.routeState.affinity ?? destination.affinityKey.flatMap { call.affinity(by: $0) }
        facts.fault = route?.fault(at: loop.now)
        if let route { call.identity.criticality = route.criticality }
        facts.criticality = call.identity.criticality
        let exchange = Exchange(
            destination: destination, request: facts, received: received, inherited: inherited, timeout: route?.timeout,
            credit: credit(of: call))
        call.begin(exchange, from: self, bodyFollows: bodyFollows)
    }

    // MARK: - What the head says about the call

    /// Gives the request its place in a trace, its id, and the deadline that it came with.
    private func identify(_ call: ForwardedCall) {
        let isEdge = if case .gateway = mode { true } else { false }
        let fields = call.request.fields.present
        call.identity.origin = isEdge ? .edge : .mesh
        call.identity.received = received
        call.requestBytes.withUnsafeReadableBytes { bytes in
            var context: TraceContext?
            if fields.contains(.traceparent), let field = call.request.fields.only(.traceparent) {
                context = TraceContext(traceparent: bytes[field.value])
            }
            call.identity.begin(context, continues: !isEdge || loop.continuesTraces, random: &loop.random)
            // A stranger's wish to be recorded, or not to be, is not obeyed.
            if isEdge {
                call.identity.flags |= TraceContext.sampledFlag
                if fields.contains(.meshKeep), !loop.keepKey.isEmpty, let field = call.request.fields.only(.meshKeep) {
                    call.identity.isKeepAsked = loop.keepKey.withUnsafeBytes { bytes[field.value].elementsEqual($0) }
                }
            }
            call.identity.isRoot = isEdge || !fields.contains(.meshCaller)
            if fields.contains(.contentType), let field = call.request.fields.first(.contentType) {
                call.isGRPC = GRPCStatus.isContentType(bytes[field.value])
            }
            var keepsID = false
            if fields.contains(.xRequestID), let field = call.request.fields.only(.xRequestID) {
                keepsID = HeaderRules.allowsRequestID(bytes[field.value])
            }
            if !isEdge, fields.contains(.meshCriticality), let field = call.request.fields.only(.meshCriticality) {
                call.identity.criticality = Criticality(bytes[field.value])
            }
            if !keepsID { call.identity.madeRequestID = (loop.random.next(), loop.random.next()) }
        }
        call.identity.serverSpan = SpanID.random(&loop.random)
        if isEdge {
            call.clientAddress = clientAddress
            call.identity.isSecure = isSecure
            call.identity.isTrusted = loop.trustedProxies.contains(clientAddress)
        }
    }

    /// What the caller has left, as `mesh-timeout-ms` says; nil without one.
    private func remainder(of call: ForwardedCall) -> Timespan? {
        guard call.request.fields.present.contains(.meshTimeout), let field = call.request.fields.only(.meshTimeout) else { return nil }
        return call.requestBytes.withUnsafeReadableBytes { bytes in
            FieldValue.decimal(bytes[field.value]).map { .milliseconds(Int64(min($0, 1 << 40))) }
        }
    }

    /// What the request may spend on extra attempts, in this tier and below.
    private func credit(of call: ForwardedCall) -> CallCredit {
        if let shared = call.sharedCredit { return .shared(shared) }
        // Behind the gateway stand tiers that can die as a whole instance: it keeps something for that.
        if call.identity.origin == .edge { return CallCredit(inherited: nil, root: loop.retryCredit, share: .half) }
        return CallCredit(inherited: inheritedCredit(of: call), root: loop.retryCredit, share: .whole)
    }

    /// As `mesh-retry-credit` says; nil without it. What can't be read is no credit.
    func inheritedCredit(of call: ForwardedCall) -> Int? {
        guard call.request.fields.present.contains(.meshRetryCredit) else { return nil }
        guard let field = call.request.fields.only(.meshRetryCredit) else { return 0 }
        return call.requestBytes.withUnsafeReadableBytes { bytes in
            Int(min(FieldValue.decimal(bytes[field.value]) ?? 0, UInt64(RetryCredit.most)))
        }
    }

    func deadline(of call: ForwardedCall) -> Instant? { earlier(remainder(of: call).map { received + $0 }, grpcDeadline(of: call)) }

    private func grpcDeadline(of call: ForwardedCall) -> Instant? {
        guard call.isGRPC, let field = call.request.fields.only(.grpcTimeout) else { return nil }
        return call.requestBytes.withUnsafeReadableBytes { GRPCTimeout.read($0[field.value]).map { received + $0 } }
    }

    private func earlier(_ left: Instant?, _ right: Instant?) -> Instant? {
        guard let left, let right else { return left ?? right }
        return min(left, right)
    }

    private func answerTooLate(_ call: ForwardedCall) {
        var answer = MeshAnswer(
            status: 504, flag: .deadlineExhausted, cause: FailureCause.deadlineOnArrival.description, error: "http_response_timeout")
        answer.retryNo = true
        self.answer(answer)
    }

    /// There is nothing that a CONNECT could lead to: routes lead to services, and a proxy to anywhere would be an open door.
    private func refuseConnect() {
        answer(MeshAnswer(status: 501, flag: nil, cause: "CONNECT is not served here", error: "http_request_denied"))
    }

    // MARK: - Health

    /// A handler answers for its own health.
    private var isHandled: Bool { if case .handler = mode { true } else { false } }

    private func isHealthCheck(_ call: ForwardedCall) -> Bool {
        let path = loop.healthPath
        guard !path.isEmpty, Int(call.request.path.count) == path.count else { return false }
        return call.requestBytes.withUnsafeReadableBytes { bytes in
            path.withUnsafeBytes { bytes[call.request.path].elementsEqual($0) }
        }
    }

    private func answerHealthCheck(_ call: ForwardedCall) {
        call.identity.isRecorded = false
        let text: StaticString = "ok\n"
        let hasBody = call.request.methodKind != .head
        deliverHead(
            HandlerHead(
                status: loop.isDraining ? 503 : 200, fields: [.contentType: "text/plain", .cacheControl: "no-store"],
                length: text.utf8CodeUnitCount, hasBody: hasBody, allowsLength: true))
        if hasBody { deliverBody(ByteBuffer(staticString: text)) }
        deliverEnd(trailers: nil)
    }
}

extension MethodSet {
    init(_ kind: HTTPMethodKind) {
        switch kind {
        case .get: self = .get
        case .head: self = .head
        case .post: self = .post
        case .put: self = .put
        case .delete: self = .delete
        case .connect: self = .connect
        case .options: self = .options
        case .trace: self = .trace
        case .patch: self = .patch
        case .other: self = .other
        }
    }
}

extension HeadLimits {
    init(_ limits: InboundLimits) {
        self.init(bytes: min(max(limits.headBytes, 1), 1 << 30), fields: max(limits.fields, 0), target: max(limits.targetBytes, 1))
    }
}
