internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

/// An answer that the mesh itself makes: `Proxy-Status` (RFC 9209) says which hop and why, the body (RFC 9457) says it to people.
struct MeshAnswer {
    var status: Int
    var flag: ResponseFlag?
    /// In words, without a line end or quotation mark.
    var cause: String
    /// The `error` of RFC 9209.
    var error: String
    /// The attempt that it speaks of, and its endpoint.
    var attempt = 0
    var endpoint: InstanceID?
    var destination: String?
    var retryNo = false
    /// This instance has too much to do.
    var isOverload = false
    /// For `mesh-credit-spent`, towards a caller that gave credit.
    var creditSpent: Int?
    /// For `mesh-trouble`, towards a tier above.
    var trouble = TraceTrouble()
    /// What a route answers, instead of what is wrong; text where its lines do not say otherwise.
    private var contents: [UInt8]?

    /// For a request that this process has no room for; another one of the service may have.
    static var shed: MeshAnswer {
        var answer = MeshAnswer(status: 503, flag: .shed, cause: "too many requests at once", error: "connection_limit_reached")
        answer.isOverload = true
        return answer
    }

    /// A route's own answer.
    init(status: Int, contents: [UInt8]) {
        self.init(status: status, flag: nil, cause: "")
        self.contents = contents
    }

    init(status: Int, flag: ResponseFlag?, cause: String, error: String = "proxy_internal_response") {
        self.status = status
        self.flag = flag
        self.cause = cause
        self.error = error
    }

    init(_ failure: CallFailure, to destination: String?) {
        self.init(status: failure.status, flag: failure.flag, cause: failure.cause.description, error: Self.error(failure.cause))
        attempt = failure.attempt
        endpoint = failure.endpoint
        self.destination = destination
        retryNo = failure.retryNo
    }

    init(_ error: MessageError) {
        self.init(
            status: error.status, flag: .downstreamProtocolError, cause: "\(error.reason.description)", error: "http_request_error")
    }

    private static func error(_ cause: FailureCause) -> String {
        switch cause {
        case .noRoute: "destination_not_found"
        case .noEndpoint, .breakerOpen: "destination_unavailable"
        case .replayOverflowed: "proxy_internal_error"
        case .tooManyCalls, .tooManyPending, .overLimit, .throttled: "connection_limit_reached"
        case .deadlineOnArrival, .deadlinePassed, .streamIdle, .durationExceeded: "http_response_timeout"
        case .attemptFailed(let failure):
            switch failure {
            case .connectFailed: "connection_refused"
            case .connectTimedOut: "connection_timeout"
            case .handshakeFailed: "tls_protocol_error"
            case .certificateRejected: "tls_certificate_error"
            case .streamRefused, .closedBeforeResponse, .reset: "connection_terminated"
            case .poolExhausted: "connection_limit_reached"
            case .protocolError: "http_protocol_error"
            case .timedOut: "http_response_timeout"
            case .truncated: "http_response_incomplete"
            case .faultInjected: "proxy_internal_response"
            }
        }
    }

    /// Writes the whole message; a HEAD request gets no body.
    ///
    /// - Parameter route: whose lines and edits it gets as any other answer of the route.
    func write(
        identity: CallIdentity?, route: RouteState?, service: String, isHead: Bool, keepsAlive: Bool, clientVersion: UInt8,
        into output: inout ByteBuffer
    ) {
        let isEdge = identity?.origin != .mesh
        let edits = route?.responseEdits
        let body = contents ?? Array(problem(identity).utf8)
        // RFC 9110 8.6: neither length nor content.
        let hasBody = status != 204 && status != 304
        output.writeString("HTTP/1.1 \(status) \(ReasonPhrase.of(status))\r\n")
        if hasBody, !body.isEmpty, edits?.dropped.contains(Array("content-type".utf8)) != true {
            output.writeStaticString(
                contents == nil ? "content-type: application/problem+json\r\n" : "content-type: text/plain; charset=utf-8\r\n")
        }
        if hasBody { output.writeString("content-length: \(body.count)\r\n") }
        if let flag {
            var details = "flag=\(flag.code)"
            if attempt > 0 { details += "; attempt=\(attempt)" }
            if !isEdge, let endpoint { details += "; endpoint=\(endpoint)" }
            details += "; \(subject)"
            output.writeString("proxy-status: \(service); error=\(error); details=\"\(details)\"\r\n")
        }
        if let route { output.writeBytes(route.responseLines) }
        if let edits { output.writeBytes(edits.lines) }
        if let identity, isEdge { output.writeString("mesh-trace: \(identity.traceID)\r\n") }
        if !isEdge {
            if retryNo { output.writeString("mesh-retry: no\r\n") }
            if isOverload { output.writeString("mesh-overload: host\r\n") }
            output.writeStaticString(trouble.line)
        }
        if let creditSpent { output.writeString("mesh-credit-spent: \(creditSpent)\r\n") }
        if !keepsAlive {
            output.writeString("connection: close\r\n")
        } else if clientVersion == 0 {
            output.writeString("connection: keep-alive\r\n")
        }
        output.writeString("\r\n")
        if !isHead, hasBody { output.writeBytes(body) }
    }

    private var subject: String { destination.map { "\($0): \(cause)" } ?? cause }

    private func problem(_ identity: CallIdentity?) -> String {
        var problem = "{\"type\":\"about:blank\",\"title\":\"\(ReasonPhrase.of(status))\",\"status\":\(status)"
        problem += ",\"detail\":\"\(subject)\""
        if let flag { problem += ",\"flag\":\"\(flag.code)\"" }
        if let identity { problem += ",\"trace_id\":\"\(identity.traceID)\"" }
        return problem + "}\n"
    }
}

/// The phrases of RFC 9110 for the statuses that this process writes.
enum ReasonPhrase {
    static func of(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: ""
        }
    }
}
