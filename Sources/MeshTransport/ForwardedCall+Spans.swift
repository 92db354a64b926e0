internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import MeshTelemetry
internal import NIOCore

// What is left of a call when it is over: one span for the request, one for the call, one for each attempt and backoff.

extension ForwardedCall {
    func recordSpans() {
        let recorder = loop.recorder
        guard recorder.isEnabled, identity.isRecorded, let destination, let attempts else { return }
        let end = loop.now
        let flag = callFlag
        let status = failure?.status ?? attempts.last?.status
        let last = attempts.last
        for attempt in attempts { record(attempt, of: destination, end: end) }
        recorder.record(
            SpanHeader(
                kind: .call, traceID: identity.traceID, spanID: identity.callSpan, parent: identity.serverSpan ?? identity.parent,
                start: attempts.first?.started ?? identity.received, end: end,
                status: failure != nil || (status ?? 0) >= 500 || flag != nil ? .error : .unset)
        ) { span in
            span.name(destination.service)
            span.add(.destination, destination.service)
            span.add(.destinationTier, destination.tier)
            if destination.isExternal { span.add(.external, true) }
            addMethod(to: &span)
            if let status { span.add(.httpResponseStatusCode, status) }
            span.add(.attempts, attempts.count)
            if let flag { span.add(flag) }
            if let failure { span.add(.cause, failure.cause.description) }
            if replayHasOverflowed { span.add(.replayOverflowed, true) }
            if routeState.isMirror { span.add(.mirror, true) }
            if let last, last.retry != .notNeeded { span.add(.retryReason, last.retry.rawValue) }
        }
        recordServerSpan(status: status, flag: flag, end: end)
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
                start: attempt.started, end: attempt.ended ?? end, status: flag != nil || (attempt.status ?? 0) >= 500 ? .error : .unset)
        ) { span in
            span.name(destination.service)
            span.add(.destination, destination.service)
            span.add(.attempt, attempt.number)
            span.add(.endpoint, attempt.instance)
            if let version = attempt.version { span.add(.endpointVersion, version) }
            if routeState.isMirror { span.add(.mirror, true) }
            if let status = attempt.status { span.add(.httpResponseStatusCode, status) }
            if let flag { span.add(flag) }
            if let failure = attempt.failure { span.add(.cause, failure.description) }
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
    }

    /// The span of the request as this process received it; none for a call that its own code made.
    func recordServerSpan(status: Int?, flag: ResponseFlag?, end: Instant) {
        let recorder = loop.recorder
        guard recorder.isEnabled, identity.isRecorded, let serverSpan = identity.serverSpan else { return }
        recorder.record(
            SpanHeader(
                kind: identity.origin == .edge ? .gateway : .server, traceID: identity.traceID, spanID: serverSpan, parent: identity.parent,
                start: identity.received, end: end, status: (status ?? 500) >= 500 || flag == .downstreamClosed ? .error : .unset)
        ) { span in
            requestBytes.withUnsafeReadableBytes { bytes in
                guard request.length <= bytes.count, request.length > 0 else { return }
                if let route = identity.route {
                    span.name(method: bytes[request.method], route: Self.withoutMethod(route))
                    span.add(.httpRoute, Self.withoutMethod(route))
                } else {
                    span.name(UnsafeRawBufferPointer(rebasing: bytes[request.method.lowerBound..<request.path.upperBound]))
                }
                span.add(.httpRequestMethod, bytes[request.method])
                span.add(.urlPath, bytes[request.path])
                if let query = request.query { span.add(.urlQuery, bytes[query]) }
                if let field = request.fields.first(.meshCaller) { span.add(.caller, bytes[field.value]) }
            }
            if let status { span.add(.httpResponseStatusCode, status) }
            if let flag { span.add(flag) }
            if let link = identity.link { span.link(link.traceID, link.spanID) }
        }
    }

    private func addMethod(to span: inout SpanWriter) {
        requestBytes.withUnsafeReadableBytes { bytes in
            guard request.length <= bytes.count, request.length > 0 else { return }
            span.add(.httpRequestMethod, bytes[request.method])
            span.add(.urlPath, bytes[request.path])
        }
    }

    /// Routes that fit one method are named with it, and span names begin with the method anyway.
    private static func withoutMethod(_ route: String) -> String {
        guard let space = route.firstIndex(of: " ") else { return route }
        return String(route[route.index(after: space)...])
    }
}
