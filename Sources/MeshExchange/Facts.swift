package import MeshModel
package import MeshPolicy

/// What the exchange is told about a request before it begins.
package struct RequestFacts: Sendable {
    package var method: MethodSet
    /// It carries `Idempotency-Key`, or its route is marked `idempotent: true`.
    package var isMarkedIdempotent: Bool
    /// Its body is not wholly at hand: the deadline waits until `requestSent`, and progress is watched instead.
    package var bodyIsStreamed: Bool
    /// On gRPC the deadline covers the body of the response as well.
    package var isGRPC: Bool
    /// The route's `max_duration`, from the first byte of the request to the last of the response.
    package var maxDuration: Timespan?
    /// Named as the example in the events that this call causes.
    package var traceID: TraceID?
    /// A hash of what is to keep its client at one version and endpoint, the same in every process: of the route's sticky cookie or
    /// field, or of the value that `balance: hash` names; nil where it may go anywhere.
    package var affinity: UInt64?
    /// The route's; instead of the edge's own.
    package var fault: FaultPolicy?
    /// Whether it goes before others where not all can.
    package var criticality = Criticality.standard
    /// False for what can't run twice at a time, though it may be repeated: a tunnel.
    package var isHedgeable = true

    package init(
        method: MethodSet, isMarkedIdempotent: Bool = false, bodyIsStreamed: Bool = false, isGRPC: Bool = false,
        maxDuration: Timespan? = nil, traceID: TraceID? = nil, affinity: UInt64? = nil, fault: FaultPolicy? = nil
    ) {
        self.method = method
        self.isMarkedIdempotent = isMarkedIdempotent
        self.bodyIsStreamed = bodyIsStreamed
        self.isGRPC = isGRPC
        self.maxDuration = maxDuration
        self.traceID = traceID
        self.affinity = affinity
        self.fault = fault
    }
}

/// What the exchange is told about a final (non-1xx) response head.
package struct ResponseFacts: Hashable, Sendable {
    package var status: Int
    /// Of an answer that consists of trailers only.
    package var grpcStatus: Int?
    /// `mesh-retry: no`: a tier below has tried what could be tried.
    package var meshRetryNo: Bool
    package var overload: OverloadScope
    /// `Retry-After` or `grpc-retry-pushback-ms`, as a span from now.
    package var retryAfter: Timespan?
    /// A negative or unreadable `grpc-retry-pushback-ms`.
    package var forbidsRetry: Bool
    /// `mesh-credit-spent`: extra attempts that this answer took in the tiers below; without the field, none.
    package var creditSpent: Int

    package init(
        status: Int, grpcStatus: Int? = nil, meshRetryNo: Bool = false, overload: OverloadScope = .none, retryAfter: Timespan? = nil,
        forbidsRetry: Bool = false, creditSpent: Int = 0
    ) {
        self.status = status
        self.grpcStatus = grpcStatus
        self.meshRetryNo = meshRetryNo
        self.overload = overload
        self.retryAfter = retryAfter
        self.forbidsRetry = forbidsRetry
        self.creditSpent = creditSpent
    }
}

/// Who is overloaded, as `mesh-overload` says.
package enum OverloadScope: UInt8, Sendable {
    case none
    /// This instance: another one may do better.
    case host
    /// All of them: nobody upstream tries again.
    case pool
}

/// How an attempt ended other than by the end of a response.
package enum AttemptFailure: Hashable, Sendable {
    case connectFailed
    case connectTimedOut
    /// The connection stood, and TLS could not be agreed on.
    case handshakeFailed
    /// The peer showed a certificate that is not believed, or one for another name.
    case certificateRejected
    /// The peer said that it did not take the stream: REFUSED_STREAM, or a GOAWAY below its id.
    case streamRefused
    /// No connection was to be had from this process's own pool.
    case poolExhausted
    /// An orderly end of the connection before a byte of the response. `requestWritten`: a byte of the request was handed
    /// to the socket; `reused`: the connection had carried a request before.
    case closedBeforeResponse(reused: Bool, requestWritten: Bool)
    /// Reset by the peer after the request was written.
    case reset
    /// The peer broke HTTP.
    case protocolError
    /// `attempt_timeout` passed.
    case timedOut
    /// The response began and did not end.
    case truncated
    /// This process answered in the upstream's place, since a fault was asked for.
    case faultInjected(status: Int)

    /// The peer can't have begun to work on it, so that it may be tried elsewhere whatever its method.
    package var isProvablyUnsent: Bool {
        switch self {
        case .connectFailed, .connectTimedOut, .handshakeFailed, .certificateRejected, .streamRefused, .poolExhausted: true
        case .closedBeforeResponse(_, let requestWritten): !requestWritten
        case .reset, .protocolError, .timedOut, .truncated, .faultInjected: false
        }
    }

    /// Says nothing about the endpoint's health: an idle connection that was closed just then, a graceful end, our own limit.
    package var isNeutral: Bool {
        switch self {
        case .streamRefused, .poolExhausted: true
        case .closedBeforeResponse(let reused, _): reused
        case .connectFailed, .connectTimedOut, .handshakeFailed, .certificateRejected, .reset, .protocolError, .timedOut, .truncated: false
        case .faultInjected(let status): status < 500 || status == 501
        }
    }

    /// The connection was at fault and not the endpoint, so that a new connection to the same endpoint may do.
    var blamesConnection: Bool {
        switch self {
        case .streamRefused: true
        case .closedBeforeResponse(let reused, let requestWritten): reused && !requestWritten
        default: false
        }
    }

    package var flag: ResponseFlag {
        switch self {
        case .connectFailed, .connectTimedOut, .handshakeFailed, .certificateRejected: .connectFailure
        case .streamRefused, .reset: .upstreamReset
        case .poolExhausted: .overflow
        case .closedBeforeResponse, .truncated: .upstreamClosed
        case .protocolError: .upstreamProtocolError
        case .timedOut: .upstreamTimeout
        case .faultInjected: .faultInjected
        }
    }

    /// Of the answer when nothing else is left to answer with.
    package var status: Int {
        switch self {
        case .poolExhausted: 503
        case .timedOut: 504
        case .faultInjected(let status): status
        default: 502
        }
    }
}
