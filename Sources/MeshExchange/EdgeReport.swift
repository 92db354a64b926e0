package import MeshModel
import MeshPolicy

/// How one edge of one process is doing, as it is told to the daemon: totals since the process began, and the state of now.
///
/// Totals are kept by name, so that either end may know more of them than the other.
package struct EdgeReport: Hashable, Sendable, Codable {
    package var to: String
    package var tier: String
    /// See `Name`.
    package var totals: [String: UInt64]
    /// Totals by a word: why a call was refused, why an attempt was or was not repeated.
    package var refusals: [String: UInt64]
    package var retries: [String: UInt64]
    package var refusedRetries: [String: UInt64]
    /// Second attempts beside a first one by what became of them, and those that were not made by why not; nil from an instance that
    /// does not tell.
    package var hedges: [String: UInt64]?
    package var refusedHedges: [String: UInt64]?
    package var latencies: LatencyHistogram
    /// What a request's deadline had left when its call ended.
    package var remaining: LatencyHistogram
    package var active: Int
    package var retrying: Int
    package var pending: Int
    /// Retries that the budget would grant now.
    package var budget: Int
    /// `closed`, `open` or `half-open`.
    package var breaker: String
    /// How many calls may be under way now; nil where that is not limited.
    package var limit: Double?
    /// The share of calls that is rejected here, since the service sheds them; nil from an instance that does not tell.
    package var throttled: Double?
    /// Fewer than half of the endpoints are in use, so that calls go to ejected ones too.
    package var isPanicking: Bool?
    /// What trouble is made on purpose now.
    package var fault: String?
    package var endpoints: [EndpointReport]
    /// Oldest first.
    package var events: [EdgeEvent]

    /// Totals.
    package enum Name {
        package static let calls = "calls"
        package static let failed = "calls.failed"
        package static let refused = "calls.refused"
        package static let attempts = "attempts"
        package static let retries = "retries"
        package static let unsentRetries = "retries.unsent"
        package static let hedges = "hedges"
    }

    package subscript(total name: String) -> UInt64 { totals[name] ?? 0 }
}

package struct EndpointReport: Hashable, Sendable, Codable {
    package var instance: String
    package var version: String?
    package var inFlight: Int
    /// What the balancer thinks that an answer takes.
    package var latencyMilliseconds: Double?
    package var breaker: String
    /// In the breaker's window.
    package var calls: Int
    package var failures: Int
    package var takesNoCalls: Bool
    /// Left alone, since it does worse than the others; nil from an instance that does not tell.
    package var isEjected: Bool?
}

/// Something that happened on an edge, for `mesh why`.
package struct EdgeEvent: Hashable, Sendable, Codable {
    package var at: UnixTime
    /// nil for the edge as a whole.
    package var instance: String?
    /// `opened`, `half-opened` or `closed`; `ejected`, `readmitted`, `panic began` or `panic ended`.
    package var what: String
    /// Of an opening: why, of how many attempts how many failed, and what they failed of.
    package var reason: String?
    package var calls: Int?
    package var failures: Int?
    package var causes: [CauseCount]
    package var openFor: Timespan?
    package var traceID: String?
}

extension Destination {
    /// - Parameter wall: the time of day at `now`.
    package func report(now: Instant, wall: UnixTime) -> EdgeReport {
        let statistics = statistics(now: now)
        let counters = statistics.counters
        func texts<Key: CustomStringConvertible>(_ counts: [Key: Int]) -> [String: UInt64] {
            Dictionary(counts.map { ($0.key.description, UInt64(max(0, $0.value))) }, uniquingKeysWith: +)
        }
        return EdgeReport(
            to: service, tier: tier,
            totals: [
                EdgeReport.Name.calls: counters.calls, EdgeReport.Name.failed: counters.failed, EdgeReport.Name.refused: counters.refused,
                EdgeReport.Name.attempts: counters.attempts, EdgeReport.Name.retries: counters.retries,
                EdgeReport.Name.unsentRetries: counters.unsentRetries, EdgeReport.Name.hedges: counters.hedges,
            ].mapValues { UInt64(max(0, $0)) },
            refusals: texts(statistics.refusals), retries: texts(statistics.retriesByCause),
            refusedRetries: texts(statistics.refusedRetries),
            hedges: texts(statistics.hedges), refusedHedges: texts(statistics.refusedHedges),
            latencies: statistics.latencies, remaining: statistics.remaining, active: statistics.active, retrying: statistics.retrying,
            pending: statistics.pending,
            budget: statistics.budget, breaker: statistics.breaker.rawValue, limit: statistics.limit, throttled: statistics.throttled,
            isPanicking: statistics.isPanicking,
            fault: fault(at: now)?.description,
            endpoints: statistics.endpoints.map { endpoint in
                EndpointReport(
                    instance: endpoint.instance.description, version: endpoint.version, inFlight: endpoint.inFlight,
                    latencyMilliseconds: endpoint.latency.map { Double($0.nanoseconds) / 1e6 }, breaker: endpoint.breaker.rawValue,
                    calls: Int(endpoint.window.calls), failures: Int(endpoint.window.failures), takesNoCalls: endpoint.takesNoCalls,
                    isEjected: endpoint.isEjected)
            },
            events: (statistics.events.map { EdgeEvent($0, now: now, wall: wall) }
                + statistics.ejections.map { EdgeEvent($0, now: now, wall: wall) }).sorted { $0.at < $1.at })
    }
}

extension EdgeEvent {
    init(_ event: BreakerEvent, now: Instant, wall: UnixTime) {
        at = UnixTime(nanoseconds: wall.nanoseconds - (now - event.at).nanoseconds)
        instance = event.instance?.description
        causes = event.causes
        traceID = event.traceID?.description
        switch event.change {
        case .opened(let reason, let calls, let failures, let span):
            what = "opened"
            self.reason = reason.rawValue
            self.calls = calls
            self.failures = failures
            openFor = span
        case .halfOpened: what = "half-opened"
        case .closed: what = "closed"
        }
    }

    init(_ event: EjectionEvent, now: Instant, wall: UnixTime) {
        at = UnixTime(nanoseconds: wall.nanoseconds - (now - event.at).nanoseconds)
        instance = event.instance?.description
        causes = []
        switch event.change {
        case .ejected(let rate, let threshold, let span):
            what = "ejected"
            reason = "\(Self.percent(rate)) of its calls succeeded, less than \(Self.percent(threshold))"
            openFor = span
        case .readmitted: what = "readmitted"
        case .panicBegan(let left, let all):
            what = "panic began"
            reason = "\(left) of \(all) endpoints are left, so that calls go to ejected ones too"
        case .panicEnded: what = "panic ended"
        }
    }

    private static func percent(_ share: Double) -> String { "\((max(0, share) * 1000).rounded() / 10) %" }
}
