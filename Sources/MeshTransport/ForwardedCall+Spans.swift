internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import MeshTelemetry
internal import NIOCore

// What is left of a call when it is over: one span for the request, one for the call, one for each attempt, backoff and rejection.
// Names and attributes are those of OpenTelemetry's HTTP and RPC conventions; what follows from others is added where spans are read.

extension ForwardedCall {
    /// What this call and all below it tell of trouble, as far as it is known now.
    var trouble: TraceTrouble {
        var trouble = identity.troubleBelow
        if reading({ $0.pointee.attempts.hasRepetition }) ?? false { trouble.insert(.retried) }
        if (reading { $0.pointee.attempts.status } ?? 0) >= 500 { trouble.insert(.error) }
        if failure != nil { trouble.insert(.error) }
        if let notes = identity.notes { trouble.formUnion(notes.trouble) }
        return trouble
    }

    func recordSpans() {
        guard identity.isRecorded, let destination, exchange != nil else { return }
        let end = loop.now
        let flag = callFlag
        let status = failure?.status ?? reading { $0.pointee.attempts.status }
        logAccess(status: status, flag: flag, end: end)
        let recorder = loop.recorder
        guard recorder.isEnabled else { return }
        // Who made the call in code hears of it there; what answers a request tells it with the answer.
        if identity.origin == .local { identity.notes?.add(trouble) }
        let decision = decide(status: status, flag: flag, end: end)
        if decision == .notKept {
            recordNotKept(end: end)
            return
        }
        guard let attempts else { return }
        let decisive = attempts.place
        // By index, since an iterator copies the log and each record.
        for index in attempts.indices { record(attempts[index], of: destination, end: end) }
        let started = attempts.isEmpty ? identity.received : attempts[0].started
        if attempts.isEmpty, let failure { recordRejection(failure, end: end) }
        recorder.record(
            SpanHeader(
                kind: .call, traceID: identity.traceID, spanID: identity.callSpan, parent: identity.serverSpan ?? identity.parent,
                start: started, end: end,
                status: failure != nil || Self.hasFailed(status: status, flag: flag) ? .error : .unset,
                decision: identity.serverSpan == nil ? decision : nil)
        ) { span in
            span.name(destination.service)
            span.add(.destination, destination.service)
            span.add(.destinationTier, destination.tier)
            if destination.isExternal { span.add(.external, true) }
            addRequest(to: &span, path: true)
            if let status { span.add(.httpResponseStatusCode, status) }
            span.add(.attempts, attempts.count)
            addRemaining(at: started, to: &span)
            if let flag { span.add(flag) }
            if let failure { span.add(.cause, failure.cause.description) }
            if replayHasOverflowed { span.add(.replayOverflowed, true) }
            if routeState.isMirror { span.add(.mirror, true) }
            if let decisive, attempts[decisive].retry != .notNeeded { span.add(.retryReason, attempts[decisive].retry.rawValue) }
        }
        recordServerSpan(status: status, flag: flag, end: end, decision: decision)
    }

    private func record(_ attempt: AttemptRecord, of destination: Destination, end: Instant) {
        let recorder = loop.recorder
        if attempt.backoff > .zero {
            recorder.record(
                SpanHeader(
                    kind: .backoff, traceID: identity.traceID, spanID: identity.attemptSpan(-attempt.number), parent: identity.callSpan,
                    start: attempt.started + (.zero - attempt.backoff), end: attempt.started)
            ) { span in
                span.name("backoff")
                span.add(.destination, destination.service)
                span.add(.backoffMilliseconds, attempt.backoff.milliseconds)
            }
        }
        let flag = attempt.flag
        recorder.record(
            SpanHeader(
                kind: .attempt, traceID: identity.traceID, spanID: identity.attemptSpan(attempt.number), parent: identity.callSpan,
                start: attempt.started, end: attempt.ended ?? end,
                status: Self.hasFailed(status: attempt.status, flag: flag) ? .error : .unset)
        ) { span in
            span.name(destination.service)
            span.add(.destination, destination.service)
            span.add(.attempt, attempt.number)
            span.add(.endpoint, attempt.instance)
            addRemaining(at: attempt.started, to: &span)
            if let version = attempt.version { span.add(.endpointVersion, version) }
            if routeState.isMirror { span.add(.mirror, true) }
            addRequest(to: &span, path: false)
            addAddress(attempt.endpoint.endpoint.addresses.first, to: &span)
            if let status = attempt.status { span.add(.httpResponseStatusCode, status) }
            if let flag { span.add(flag) }
            if let failure = attempt.failure { span.add(.cause, failure.description) }
            if let waited = attempt.hedgedAfter { span.add(.hedge, "no answer after \(waited.milliseconds) ms") }
            if let refusal = attempt.hedgeRefusal { span.add(.hedgeRefused, refusal.rawValue) }
            if let fault = attempt.fault { span.add(.fault, fault.description) }
            if attempt.retry != .notNeeded {
                span.add(.retried, attempt.retry.isRetry)
                span.add(.retryReason, attempt.retry.rawValue)
            }
            if let left = attempt.creditLeft { span.add(.creditLeft, left) }
            if let connected = attempt.connected {
                span.add(.connectMicroseconds, (connected - attempt.started).nanoseconds / 1000)
            }
            if let head = attempt.head { span.add(.firstByteMicroseconds, (head - attempt.started).nanoseconds / 1000) }
        }
        recordQueue(attempt, of: destination)
    }

    /// The time until the attempt had a connection, where it had to wait for one long enough to be seen.
    private func recordQueue(_ attempt: AttemptRecord, of destination: Destination) {
        guard let connected = attempt.connected ?? (attempt.failure != nil ? attempt.ended : nil),
            connected - attempt.started >= Self.visibleWait
        else { return }
        loop.recorder.record(
            SpanHeader(
                kind: .queue, traceID: identity.traceID, spanID: identity.attemptSpan(attempt.number + Self.queueSpans),
                parent: identity.attemptSpan(attempt.number), start: attempt.started, end: connected)
        ) { span in
            span.name("connect")
            span.add(.destination, destination.service)
        }
    }

    private static let visibleWait = Timespan.milliseconds(1)
    /// Sets the ids of these spans apart from those of the attempts themselves.
    private static let queueSpans = 1 << 20

    private func recordRejection(_ failure: CallFailure, end: Instant) {
        loop.recorder.record(
            SpanHeader(
                kind: .rejection, traceID: identity.traceID, spanID: identity.attemptSpan(0), parent: identity.callSpan,
                start: end, end: end, status: .error)
        ) { span in
            span.name(failure.cause.description)
            if let destination { span.add(.destination, destination.service) }
            span.add(failure.flag)
        }
    }

    // MARK: - The request in this process

    /// Notes that the request is being worked on, so that a crash of this process does not hide it.
    func noteOpenSpan() {
        guard identity.isRecorded, let serverSpan = identity.serverSpan else { return }
        identity.openNote = requestBytes.withUnsafeReadableBytes { bytes in
            loop.recorder.open(
                identity.origin == .edge ? .gateway : .server, identity.traceID, serverSpan, parent: identity.parent,
                start: identity.received,
                name: UnsafeRawBufferPointer(rebasing: bytes[request.method.lowerBound..<request.path.upperBound]))
        }
    }

    func closeOpenSpan() {
        guard let note = identity.openNote else { return }
        loop.recorder.close(note)
        identity.openNote = nil
    }

    /// A line for every request from outside, whether its trace is kept or not.
    private func logAccess(status: Int?, flag: ResponseFlag?, end: Instant) {
        guard let log = loop.accessLog, identity.origin == .edge, identity.serverSpan != nil else { return }
        log.write(self, status: status, flag: flag, end: end)
    }

    /// Of a request that went no further than this process.
    func recordServerSpan(status: Int?, flag: ResponseFlag?, end: Instant) {
        guard identity.isRecorded else { return }
        logAccess(status: status, flag: flag, end: end)
        guard loop.recorder.isEnabled else { return }
        let decision = decide(status: status, flag: flag, end: end)
        if decision == .notKept {
            recordNotKept(end: end)
        } else {
            recordServerSpan(status: status, flag: flag, end: end, decision: decision)
        }
    }

    /// The span of the request as this process received it; none for a call that its own code made.
    private func recordServerSpan(status: Int?, flag: ResponseFlag?, end: Instant, decision: KeepReason?) {
        closeOpenSpan()
        guard let serverSpan = identity.serverSpan else { return }
        loop.recorder.record(
            SpanHeader(
                kind: identity.origin == .edge ? .gateway : .server, traceID: identity.traceID, spanID: serverSpan, parent: identity.parent,
                start: identity.received, end: end, status: isError(status: status, flag: flag) ? .error : .unset, decision: decision)
        ) { span in
            requestBytes.withUnsafeReadableBytes { bytes in
                guard request.length <= bytes.count, request.length > 0 else { return }
                if let route = identity.route {
                    Self.withoutMethod(route) { path in
                        span.name(method: bytes[request.method], route: path)
                        span.add(.httpRoute, path)
                    }
                } else {
                    span.name(UnsafeRawBufferPointer(rebasing: bytes[request.method.lowerBound..<request.path.upperBound]))
                }
                span.add(.httpRequestMethod, bytes[request.method])
                span.add(.urlPath, bytes[request.path])
                if let query = request.query { span.add(.urlQuery, bytes[query]) }
                if let field = request.fields.first(.meshCaller) { span.add(.caller, bytes[field.value]) }
                addRPC(to: &span, bytes)
                if identity.origin == .edge { addClient(to: &span, bytes) }
            }
            if let status { span.add(.httpResponseStatusCode, status) }
            if let deadline = identity.deadline {
                span.add(.remainingMilliseconds, max(0, (deadline - identity.received).milliseconds))
            }
            if let flag { span.add(flag) }
            if let link = identity.link { span.link(link.traceID, link.spanID) }
        }
    }

    /// What was left of the call's deadline when the span began.
    private func addRemaining(at start: Instant, to span: inout SpanWriter) {
        guard let deadline = callDeadline, deadline != .distantFuture else { return }
        span.add(.remainingMilliseconds, max(0, (deadline - start).milliseconds))
    }

    /// At the edge, who asked; inside the mesh the caller's own span says it.
    private func addClient(to span: inout SpanWriter, _ bytes: UnsafeRawBufferPointer) {
        if let range = request.authority, let authority = Authority(bytes[range]) {
            span.add(.serverAddress, bytes[range][authority.host])
            if let port = authority.port { span.add(.serverPort, port) }
        }
        clientAddress.withUnsafeBytes { address in
            span.add(.clientAddress, address)
            span.add(.networkPeerAddress, address)
        }
        span.add(.networkProtocolVersion, bodyIsData ? "2" : request.minorVersion == 0 ? "1.0" : "1.1")
        if identity.isSecure { span.add(.urlScheme, "https") }
        if let agent = request.fields.first(named: "user-agent", in: bytes) { span.add(.userAgentOriginal, bytes[agent.value]) }
    }

    // MARK: - Whether it is kept

    /// Decides on the trace where it began here; nil elsewhere. Once for each request.
    private func decide(status: Int?, flag: ResponseFlag?, end: Instant) -> KeepReason? {
        guard identity.isRoot else { return nil }
        var trouble = trouble
        if isError(status: status, flag: flag) { trouble.insert(.error) }
        return loop.decider.ended(
            identity.traceID, route: identity.routeNumber, after: end - identity.received, trouble: trouble, isAsked: identity.isKeepAsked)
    }

    /// What was cancelled did not fail.
    private static func hasFailed(status: Int?, flag: ResponseFlag?) -> Bool {
        (status ?? 0) >= 500 || flag != nil && flag != .downstreamClosed
    }

    /// A client that left is one at the edge only. Inside the mesh the caller knows why it did, and says so: its deadline passed, its
    /// own client left, or another attempt was faster.
    private func isError(status: Int?, flag: ResponseFlag?) -> Bool {
        if flag == .downstreamClosed { return identity.origin == .edge }
        return (status ?? 500) >= 500
    }

    /// All that the daemon has to know of a trace that nobody will see.
    private func recordNotKept(end: Instant) {
        closeOpenSpan()
        loop.recorder.record(
            SpanHeader(
                kind: identity.origin == .edge ? .gateway : .server, traceID: identity.traceID,
                spanID: identity.serverSpan ?? identity.callSpan, parent: identity.parent, start: identity.received, end: end,
                decision: .notKept)
        ) { _ in }
    }

    // MARK: - Attributes

    private func addRequest(to span: inout SpanWriter, path: Bool) {
        requestBytes.withUnsafeReadableBytes { bytes in
            guard request.length <= bytes.count, request.length > 0 else { return }
            span.add(.httpRequestMethod, bytes[request.method])
            if path {
                span.add(.urlPath, bytes[request.path])
                addRPC(to: &span, bytes)
            }
        }
    }

    /// A gRPC call is known by its content type; its path is `/package.Service/Method`.
    private func addRPC(to span: inout SpanWriter, _ bytes: UnsafeRawBufferPointer) {
        guard request.methodKind == .post, let type = request.fields.first(.contentType),
            type.value.count >= 16, bytes[type.value].slice(0, 16).equalsIgnoringCase("application/grpc")
        else { return }
        span.add(.rpcSystem, "grpc")
        let path = bytes[request.path]
        if path.count > 1, path[0] == ASCII.slash, let end = path[1...].firstIndex(of: ASCII.slash), end + 1 < path.count {
            span.add(.rpcService, UnsafeRawBufferPointer(rebasing: path[1..<end]))
            span.add(.rpcMethod, UnsafeRawBufferPointer(rebasing: path[(end + 1)...]))
        }
        // Only with a head that went out: before it, what stands in `response` may be of another attempt, or of another call.
        if isCommitted, let field = response.fields.only(.grpcStatus) {
            responseBytes.withUnsafeReadableBytes { answer in
                if let code = FieldValue.decimal(answer[field.value]) { span.add(.rpcGRPCStatusCode, code) }
            }
        }
    }

    private func addAddress(_ address: MeshModel.SocketAddress?, to span: inout SpanWriter) {
        switch address {
        case .tcp(let host, let port):
            span.add(.serverAddress, host)
            span.add(.serverPort, port)
        case .unix(let path):
            span.add(.serverAddress, path)
            span.add(.networkTransport, "unix")
        case nil: break
        }
    }

    /// Routes that fit one method are named with it, and span names begin with the method anyway.
    private static func withoutMethod(_ route: String, _ body: (UnsafeRawBufferPointer) -> Void) {
        var route = route
        route.withUTF8 { text in
            let bytes = UnsafeRawBufferPointer(text)
            body(bytes.firstIndex(of: ASCII.space).map { UnsafeRawBufferPointer(rebasing: bytes[($0 + 1)...]) } ?? bytes)
        }
    }
}
