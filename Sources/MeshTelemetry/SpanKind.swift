/// What a span stands for.
///
/// Invariant: raw values are written to disk and to the wire; none is ever reused.
package enum SpanKind: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// A request as the edge gateway received it (OpenTelemetry: SERVER).
    case gateway = 1
    /// A request as a service received it (SERVER).
    case server = 2
    /// One logical call, over all its attempts (CLIENT).
    case call = 3
    /// One try of a call on one endpoint (CLIENT).
    case attempt = 4
    /// The wait before a retry (INTERNAL).
    case backoff = 5
    /// What application code recorded through swift-distributed-tracing (INTERNAL unless it said otherwise).
    case `internal` = 6
    /// The wait for a connection, or a place on one (INTERNAL).
    case queue = 7
    /// The call was refused before it went anywhere: an open breaker, no endpoint, too many calls (INTERNAL).
    case rejection = 8

    /// As it stands in `traces show --json`: the gateway is a server like any other, told apart by its tier.
    package var name: String {
        switch self {
        case .gateway, .server: "server"
        case .call: "call"
        case .attempt: "attempt"
        case .backoff: "backoff"
        case .internal: "internal"
        case .queue: "queue"
        case .rejection: "rejection"
        }
    }
}

/// OpenTelemetry's span status.
package enum SpanStatus: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    case unset = 0
    case ok = 1
    case error = 2

    package var name: String {
        switch self {
        case .unset: "unset"
        case .ok: "ok"
        case .error: "error"
        }
    }
}
