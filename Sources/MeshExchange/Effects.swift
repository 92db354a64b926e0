package import MeshModel

/// What the host has to do after an event, lane by lane in this order; a lane that is nil asks for nothing.
package struct Effects: Sendable {
    /// End what is running: close the connection or reset the stream. Nothing that it says later counts.
    package var abandon: AbandonReason?
    /// Of two attempts that run side by side, the number of the one that `abandon` ends; 0 for all that run.
    package var only: UInt8
    /// Beside the one that is running, where it is a hedge.
    package var start: Attempt?
    package var caller: CallerEffect
    /// When to call `timerFired`: the one timer of a call, always the full truth after an event; nil for none.
    package var wakeAt: Instant?

    @inlinable package init(
        abandon: AbandonReason? = nil, only: UInt8 = 0, start: Attempt? = nil, caller: CallerEffect = .nothing, wakeAt: Instant? = nil
    ) {
        self.abandon = abandon
        self.only = only
        self.start = start
        self.caller = caller
        self.wakeAt = wakeAt
    }
}

package enum AbandonReason: UInt8, Sendable {
    /// Another attempt takes its place, now or after a backoff.
    case retried
    case connectTimedOut
    case attemptTimedOut
    case deadlinePassed
    case streamIdle
    case durationExceeded
    case callerLeft
    /// The attempt beside it was answered first.
    case overtaken
}

/// What is to be done for the caller. Of `complete`, `fail` and `reset` there is exactly one per call, and it is the last
/// effect; a caller that left gets none.
package enum CallerEffect: Sendable {
    case nothing
    /// Pass the response head on, and the body as it comes; with `mesh-retry: no` added where `retryNo`.
    case forwardHead(retryNo: Bool)
    /// The response has been passed on to its end.
    case complete
    /// Answer in the service's place.
    case fail(CallFailure)
    /// The head is out: close the connection or reset the stream, so that it can't look complete.
    case reset(CallFailure)

    package var isTerminal: Bool {
        switch self {
        case .nothing, .forwardHead: false
        case .complete, .fail, .reset: true
        }
    }
}

/// One try that is to be made.
package struct Attempt: Sendable {
    /// From 1.
    package var number: Int
    /// Not counted, so that effects are copied as plain bytes: the exchange's log keeps it alive as long as the exchange lives.
    private var reference: Unmanaged<EndpointReference>
    package var endpoint: EndpointReference { reference.takeUnretainedValue() }
    /// A connection must stand by then; the exchange times it itself.
    package var connectBy: Instant
    /// What is left of the call, for `mesh-timeout-ms`; nil where it has no deadline.
    package var remaining: Timespan?
    /// Take no pooled connection: the last one to this endpoint was dead.
    package var needsNewConnection: Bool
    /// For `mesh-retry-credit`; nil where credit is off, and for a `url:` service.
    package var credit: Int?
    /// It starts beside another one, which goes on.
    package var isHedge: Bool

    package init(
        number: Int, endpoint: EndpointReference, connectBy: Instant, remaining: Timespan?, needsNewConnection: Bool, credit: Int? = nil,
        isHedge: Bool = false
    ) {
        self.number = number
        reference = Unmanaged.passUnretained(endpoint)
        self.connectBy = connectBy
        self.remaining = remaining
        self.needsNewConnection = needsNewConnection
        self.credit = credit
        self.isHedge = isHedge
    }
}

/// An endpoint, shared by reference, so that handing it around copies one pointer.
package final class EndpointReference: Sendable {
    package let endpoint: Endpoint
    package init(_ endpoint: Endpoint) { self.endpoint = endpoint }
}

/// The mesh's own answer, and why.
package struct CallFailure: Hashable, Sendable {
    package var flag: ResponseFlag
    package var status: Int
    package var cause: FailureCause
    /// The attempt that it speaks of, from 1; 0 when there was none.
    package var attempt: Int
    package var endpoint: InstanceID?
    /// The answer carries `mesh-retry: no`: nobody above is to try again.
    package var retryNo: Bool

    /// What the cause says where no more is known.
    package init(
        _ cause: FailureCause, flag: ResponseFlag? = nil, attempt: Int = 0, endpoint: InstanceID? = nil, retryNo: Bool = false
    ) {
        self.flag = flag ?? cause.flag
        status = cause.status
        self.cause = cause
        self.attempt = attempt
        self.endpoint = endpoint
        self.retryNo = retryNo
    }
}

package enum FailureCause: Hashable, Sendable, CustomStringConvertible {
    /// Answered by the host: there is no call without a route.
    case noRoute
    case noEndpoint
    /// Every endpoint's breaker is open, or the edge's own.
    case breakerOpen
    case tooManyCalls
    case tooManyPending
    /// Over the edge's concurrency limit, where what is more critical goes first.
    case overLimit
    /// The service has been shedding calls like this one.
    case throttled
    /// Less than a millisecond was left when it came.
    case deadlineOnArrival
    case deadlinePassed
    case streamIdle
    case durationExceeded
    /// Between two attempts.
    case replayOverflowed
    case attemptFailed(AttemptFailure)

    package var description: String {
        switch self {
        case .noRoute: "no route"
        case .noEndpoint: "no endpoint"
        case .breakerOpen: "circuit breaker open"
        case .tooManyCalls: "too many concurrent calls"
        case .tooManyPending: "too many calls waiting for a connection"
        case .overLimit: "concurrency limit reached"
        case .throttled: "throttled, since the service sheds load"
        case .deadlineOnArrival: "deadline passed on arrival"
        case .deadlinePassed: "deadline passed"
        case .streamIdle: "body stood still"
        case .durationExceeded: "max_duration exceeded"
        case .replayOverflowed: "request outgrew the replay buffer"
        case .attemptFailed(let failure): failure.description
        }
    }
}

extension AttemptFailure: CustomStringConvertible {
    package var description: String {
        switch self {
        case .connectFailed: "connect failed"
        case .connectTimedOut: "connect timed out"
        case .handshakeFailed: "TLS handshake failed"
        case .certificateRejected: "certificate not accepted"
        case .streamRefused: "stream refused"
        case .poolExhausted: "connection pool exhausted"
        case .closedBeforeResponse: "connection closed before the response"
        case .reset: "connection reset"
        case .protocolError: "invalid response"
        case .timedOut: "attempt timed out"
        case .truncated: "response truncated"
        case .faultInjected: "fault injected"
        }
    }
}
