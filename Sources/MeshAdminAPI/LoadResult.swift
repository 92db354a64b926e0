/// What came of `mesh load`: `mesh load --json`. Latencies are from the time at which a request was meant to be sent.
package struct LoadResult: Hashable, Sendable, Codable {
    package var sent: Int
    /// Sent more than 10 ms after their time.
    package var late: Int
    /// Answered 5xx, or not at all.
    package var errors: Int
    package var rate: Double
    package var seconds: Double
    /// By status, or by what went wrong.
    package var outcomes: [String: Int]
    package var meanMS: Double?
    package var p50MS: Double?
    package var p90MS: Double?
    package var p99MS: Double?
    package var p999MS: Double?
    package var maxMS: Double?
    /// The slowest first.
    package var slowest: [Slow]
    /// Used at once, at most.
    package var connections: Int

    package struct Slow: Hashable, Sendable, Codable {
        package var traceID: String?
        package var ms: Double
        package var status: Int?

        package init(traceID: String?, ms: Double, status: Int?) {
            self.traceID = traceID
            self.ms = ms
            self.status = status
        }

        private enum CodingKeys: String, CodingKey {
            case traceID = "trace_id"
            case ms, status
        }
    }

    package init(
        sent: Int, late: Int, errors: Int, rate: Double, seconds: Double, outcomes: [String: Int], meanMS: Double? = nil,
        p50MS: Double? = nil, p90MS: Double? = nil, p99MS: Double? = nil, p999MS: Double? = nil, maxMS: Double? = nil, slowest: [Slow] = [],
        connections: Int = 0
    ) {
        self.sent = sent
        self.late = late
        self.errors = errors
        self.rate = rate
        self.seconds = seconds
        self.outcomes = outcomes
        self.meanMS = meanMS
        self.p50MS = p50MS
        self.p90MS = p90MS
        self.p99MS = p99MS
        self.p999MS = p999MS
        self.maxMS = maxMS
        self.slowest = slowest
        self.connections = connections
    }

    private enum CodingKeys: String, CodingKey {
        case sent, late, errors, rate, seconds, outcomes
        case meanMS = "mean_ms"
        case p50MS = "p50_ms"
        case p90MS = "p90_ms"
        case p99MS = "p99_ms"
        case p999MS = "p999_ms"
        case maxMS = "max_ms"
        case slowest, connections
    }
}
