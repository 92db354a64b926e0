import MeshModel
package import MeshPolicy

// What counts as a failure, and what of it a policy lists as a reason to try again.

extension ResponseFacts {
    /// What the head says of the endpoint's health.
    package var outcome: Outcome {
        if let grpcStatus, Self.isFailure(grpcStatus: grpcStatus) { return meshRetryNo ? .neutral : .failure }
        guard (500...599).contains(status), status != 501 else { return .success }
        // A tier below answers for it; this endpoint only passed it on. One that sheds is well: it does what it can.
        return meshRetryNo || isShed ? .neutral : .failure
    }

    /// The endpoint itself turned the request away, since it has too much to do.
    package var isShed: Bool { status == 503 && overload != .none && !meshRetryNo }

    /// DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE.
    package static func isFailure(grpcStatus: Int) -> Bool {
        switch grpcStatus {
        case 4, 8, 13, 14: true
        default: false
        }
    }

    /// Only then a policy may list it.
    var isError: Bool { status >= 400 || grpcStatus.map { $0 != 0 } ?? false }

    func isListed(in conditions: RetryConditions) -> Bool {
        if let grpcStatus { return conditions.include(grpcCode: grpcStatus) }
        return conditions.include(status: status)
    }
}

extension AttemptFailure {
    func isListed(in conditions: RetryConditions) -> Bool {
        switch self {
        case .connectFailed, .connectTimedOut, .handshakeFailed, .certificateRejected: conditions.kinds.contains(.connect)
        case .streamRefused, .closedBeforeResponse, .reset, .protocolError, .truncated: conditions.kinds.contains(.reset)
        case .timedOut: conditions.kinds.contains(.timeout)
        case .poolExhausted: false
        case .faultInjected(let status): conditions.include(status: status)
        }
    }
}
