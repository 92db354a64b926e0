/// How calls from one service to another are doing, over the last ten seconds: `mesh edges --json`.
package struct EdgeStatus: Hashable, Sendable, Codable {
    package var from: String
    package var to: String
    /// Calls per second, those refused included.
    package var rps: Double
    /// 0...1; nil without a call.
    package var okRatio: Double?
    package var p50MS: Double?
    package var p99MS: Double?
    /// Attempts per call.
    package var tries: Double?
    /// `closed`, `open`, `half-open`, or how many endpoints are left alone: `1 of 3 open`.
    package var breaker: String
    /// What a request's deadline had left, in milliseconds, when the slowest hundredth of its calls here ended; nil without a deadline.
    package var budgetLeft: Double?
    /// Calls under way.
    package var active: Int
    /// Retries that the budget would grant now.
    package var retryBudget: Int
    /// Trouble made on purpose.
    package var fault: String?
    /// How many calls each caller may have under way now; nil where that is not limited.
    package var limit: Double?
    /// The share of calls that a caller rejects, since the service sheds them.
    package var throttled: Double?

    package init(
        from: String, to: String, rps: Double, okRatio: Double? = nil, p50MS: Double? = nil, p99MS: Double? = nil, tries: Double? = nil,
        breaker: String = "closed", budgetLeft: Double? = nil, active: Int = 0, retryBudget: Int = 0, fault: String? = nil,
        limit: Double? = nil, throttled: Double? = nil
    ) {
        self.from = from
        self.to = to
        self.rps = rps
        self.okRatio = okRatio
        self.p50MS = p50MS
        self.p99MS = p99MS
        self.tries = tries
        self.breaker = breaker
        self.budgetLeft = budgetLeft
        self.active = active
        self.retryBudget = retryBudget
        self.fault = fault
        self.limit = limit
        self.throttled = throttled
    }

    private enum CodingKeys: String, CodingKey {
        case from, to, rps
        case okRatio = "ok_ratio"
        case p50MS = "p50_ms"
        case p99MS = "p99_ms"
        case tries, breaker
        case budgetLeft = "budget_left"
        case active
        case retryBudget = "retry_budget"
        case fault, limit, throttled
    }
}

/// Why an edge is as it is: `mesh why FROM TO --json`.
package struct EdgeExplanation: Hashable, Sendable, Codable {
    package var edge: EdgeStatus
    /// Of all callers, oldest first.
    package var events: [Event]
    package var endpoints: [Endpoint]
    /// In the last ten seconds, by cause: calls that the caller's side refused, attempts repeated, and not repeated.
    package var refusals: [String: UInt64]
    package var retries: [String: UInt64]
    package var refusedRetries: [String: UInt64]
    /// Attempts beside a slow one by what became of them, and those not made by why not; nil from a daemon that does not tell.
    package var hedges: [String: UInt64]?
    package var refusedHedges: [String: UInt64]?

    package struct Event: Hashable, Sendable, Codable {
        package var at: Timestamp
        /// `opened`, `half-opened` or `closed` of a breaker; `ejected`, `readmitted`, `panic began` or `panic ended`.
        package var what: String
        /// The endpoint; nil for the edge as a whole.
        package var endpoint: String?
        /// The replica that it was, where the daemon knows it.
        package var replica: String?
        package var reason: String?
        package var calls: Int?
        package var failures: Int?
        package var causes: [Cause]
        package var windowSeconds: Double?
        package var openForMS: Double?
        package var traceID: String?

        package init(
            at: Timestamp, what: String, endpoint: String? = nil, replica: String? = nil, reason: String? = nil, calls: Int? = nil,
            failures: Int? = nil, causes: [Cause] = [], windowSeconds: Double? = nil, openForMS: Double? = nil, traceID: String? = nil
        ) {
            self.at = at
            self.what = what
            self.endpoint = endpoint
            self.replica = replica
            self.reason = reason
            self.calls = calls
            self.failures = failures
            self.causes = causes
            self.windowSeconds = windowSeconds
            self.openForMS = openForMS
            self.traceID = traceID
        }

        private enum CodingKeys: String, CodingKey {
            case at, what, endpoint, replica, reason, calls, failures, causes
            case windowSeconds = "window_seconds"
            case openForMS = "open_for_ms"
            case traceID = "trace_id"
        }
    }

    package struct Cause: Hashable, Sendable, Codable {
        package var cause: String
        package var count: Int

        package init(cause: String, count: Int) {
            self.cause = cause
            self.count = count
        }
    }

    /// One instance, as one caller sees it.
    package struct Endpoint: Hashable, Sendable, Codable {
        package var instance: String
        package var replica: String?
        package var version: String?
        package var breaker: String
        package var inFlight: Int
        package var latencyMS: Double?
        /// In the breaker's window.
        package var calls: Int
        package var failures: Int
        package var draining: Bool
        /// Left alone, since it does worse than the others.
        package var isEjected: Bool?

        package init(
            instance: String, replica: String? = nil, version: String? = nil, breaker: String, inFlight: Int = 0, latencyMS: Double? = nil,
            calls: Int = 0, failures: Int = 0, draining: Bool = false, isEjected: Bool? = nil
        ) {
            self.instance = instance
            self.replica = replica
            self.version = version
            self.breaker = breaker
            self.inFlight = inFlight
            self.latencyMS = latencyMS
            self.calls = calls
            self.failures = failures
            self.draining = draining
            self.isEjected = isEjected
        }

        private enum CodingKeys: String, CodingKey {
            case instance, replica, version, breaker
            case inFlight = "in_flight"
            case latencyMS = "latency_ms"
            case calls, failures, draining
            case isEjected = "ejected"
        }
    }

    package init(
        edge: EdgeStatus, events: [Event] = [], endpoints: [Endpoint] = [], refusals: [String: UInt64] = [:],
        retries: [String: UInt64] = [:], refusedRetries: [String: UInt64] = [:], hedges: [String: UInt64]? = nil,
        refusedHedges: [String: UInt64]? = nil
    ) {
        self.edge = edge
        self.events = events
        self.endpoints = endpoints
        self.refusals = refusals
        self.retries = retries
        self.refusedRetries = refusedRetries
        self.hedges = hedges
        self.refusedHedges = refusedHedges
    }

    private enum CodingKeys: String, CodingKey {
        case edge, events, endpoints, refusals, retries, hedges
        case refusedRetries = "refused_retries"
        case refusedHedges = "refused_hedges"
    }
}

/// The golden signals of one service, as its callers see it over the last ten seconds: `mesh stat --json`.
package struct ServiceSignals: Hashable, Sendable, Codable {
    package var service: String
    package var tier: String
    package var rps: Double
    package var okRatio: Double?
    package var p50MS: Double?
    package var p99MS: Double?
    /// Attempts per call.
    package var tries: Double?
    package var inFlight: Int
    package var callers: Int

    package init(
        service: String, tier: String, rps: Double, okRatio: Double? = nil, p50MS: Double? = nil, p99MS: Double? = nil,
        tries: Double? = nil,
        inFlight: Int = 0, callers: Int = 0
    ) {
        self.service = service
        self.tier = tier
        self.rps = rps
        self.okRatio = okRatio
        self.p50MS = p50MS
        self.p99MS = p99MS
        self.tries = tries
        self.inFlight = inFlight
        self.callers = callers
    }

    private enum CodingKeys: String, CodingKey {
        case service, tier, rps
        case okRatio = "ok_ratio"
        case p50MS = "p50_ms"
        case p99MS = "p99_ms"
        case tries
        case inFlight = "in_flight"
        case callers
    }
}
