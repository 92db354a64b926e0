import MeshAdminAPI
import MeshExchange
import MeshModel
import MeshTransport

/// What instances said of their traffic lately: from it come `mesh edges`, `why` and `stat`, and the metrics.
///
/// Instances tell totals; what happened in the window is the difference of two of them, so that a report that is lost loses nothing.
struct TrafficLedger: Sendable {
    static let window = Timespan.seconds(10)

    private struct Report: Sendable {
        var at: Instant
        var edges: [EdgeReport]
        /// Totals, by name.
        var counters: [String: UInt64]
    }

    private struct Instance: Sendable {
        var service: String
        var tier: String
        /// Oldest first: one from before the window, if there is one, and those in it.
        var reports: [Report] = []
        var metrics: [MetricFamily] = []

        var counters: [String: UInt64] { reports.last?.counters ?? [:] }
    }

    private var instances: [InstanceID: Instance] = [:]

    mutating func reported(
        _ edges: [EdgeReport], counters: [String: UInt64] = [:], metrics: [MetricFamily], by instance: InstanceID, of service: String,
        tier: String, now: Instant
    ) {
        var known = instances[instance] ?? Instance(service: service, tier: tier)
        known.reports.append(Report(at: now, edges: edges, counters: counters))
        while known.reports.count > 1, known.reports[1].at <= now + (.zero - Self.window) { known.reports.removeFirst() }
        known.metrics = metrics
        instances[instance] = known
    }

    mutating func left(_ instance: InstanceID) { instances[instance] = nil }

    /// What an instance said last of the requests that came to it; nil where it has said nothing yet.
    func inbound(of instance: InstanceID) -> RolloutTraffic.Told? {
        guard let known = instances[instance], let at = known.reports.last?.at, let traffic = InboundTraffic(counters: known.counters)
        else { return nil }
        return RolloutTraffic.Told(at: at, traffic: traffic)
    }

    /// What an instance answered in the window: requests per second, and the share of them that it failed, nil without any.
    ///
    /// Nil where it has not said so twice.
    func inbound(of instance: InstanceID, now: Instant) -> (rps: Double, failedRatio: Double?)? {
        guard let reports = instances[instance]?.reports, let newest = reports.last, let oldest = reports.first, reports.count > 1,
            now - newest.at < Self.window
        else { return nil }
        func difference(_ name: String) -> Double {
            Double((newest.counters[name] ?? 0).subtractingOrAll(oldest.counters[name] ?? 0))
        }
        let (requests, seconds) = (difference("inbound.requests"), (newest.at - oldest.at).seconds)
        guard seconds > 0 else { return nil }
        return (requests / seconds, requests > 0 ? min(1, difference("inbound.failures") / requests) : nil)
    }

    // MARK: The window

    /// What happened on one edge in the window, of all instances of the caller.
    private struct Window {
        var seconds = 0.0
        var calls: UInt64 = 0
        var failed: UInt64 = 0
        var refused: UInt64 = 0
        var attempts: UInt64 = 0
        var latencies = LatencyHistogram()
        var remaining = LatencyHistogram()
        var rps = 0.0
        var refusals: [String: UInt64] = [:]
        var retries: [String: UInt64] = [:]
        var refusedRetries: [String: UInt64] = [:]
        var hedges: [String: UInt64] = [:]
        var refusedHedges: [String: UInt64] = [:]
        var latest: [EdgeReport] = []
        var toTier = ""

        var okRatio: Double? { calls + refused == 0 ? nil : 1 - Double(min(failed, calls) + refused) / Double(calls + refused) }
        var tries: Double? { calls == 0 ? nil : Double(attempts) / Double(calls) }
        func milliseconds(_ share: Double) -> Double? { latencies.quantile(share).map { Double($0.nanoseconds) / 1e6 } }

        mutating func add(_ newest: EdgeReport, since oldest: EdgeReport?, seconds: Double) {
            func difference(_ name: String) -> UInt64 { newest[total: name].subtractingOrAll(oldest?[total: name] ?? 0) }
            let calls = difference(EdgeReport.Name.calls)
            let refused = difference(EdgeReport.Name.refused)
            self.calls += calls
            self.refused += refused
            failed += difference(EdgeReport.Name.failed)
            attempts += difference(EdgeReport.Name.attempts)
            latencies.merge(oldest.map { newest.latencies.since($0.latencies) } ?? newest.latencies)
            remaining.merge(oldest.map { newest.remaining.since($0.remaining) } ?? newest.remaining)
            if seconds > 0 { rps += Double(calls + refused) / seconds }
            func add(_ newest: [String: UInt64]?, since oldest: [String: UInt64]?, to sums: inout [String: UInt64]) {
                for (key, value) in newest ?? [:] { sums[key, default: 0] += value.subtractingOrAll(oldest?[key] ?? 0) }
            }
            add(newest.refusals, since: oldest?.refusals, to: &refusals)
            add(newest.retries, since: oldest?.retries, to: &retries)
            add(newest.refusedRetries, since: oldest?.refusedRetries, to: &refusedRetries)
            add(newest.hedges, since: oldest?.hedges, to: &hedges)
            add(newest.refusedHedges, since: oldest?.refusedHedges, to: &refusedHedges)
            latest.append(newest)
            toTier = newest.tier
        }

        mutating func add(_ other: Window) {
            calls += other.calls
            refused += other.refused
            failed += other.failed
            attempts += other.attempts
            latencies.merge(other.latencies)
            rps += other.rps
            latest += other.latest
            toTier = other.toTier
        }
    }

    private func windows(now: Instant) -> [FaultBook.Edge: Window] {
        var windows: [FaultBook.Edge: Window] = [:]
        for instance in instances.values.sorted(by: { $0.service < $1.service }) {
            guard let newest = instance.reports.last, now - newest.at < Self.window, let oldest = instance.reports.first else { continue }
            let seconds = (newest.at - oldest.at).seconds
            for edge in newest.edges {
                // With one report alone nothing is known of when its calls were.
                let before = oldest.edges.first { $0.to == edge.to } ?? (instance.reports.count == 1 ? edge : nil)
                windows[FaultBook.Edge(from: instance.service, to: edge.to), default: Window()].add(edge, since: before, seconds: seconds)
            }
        }
        return windows
    }

    // MARK: Views

    func edges(now: Instant) -> [EdgeStatus] {
        windows(now: now).map { Self.status($0.key, $0.value) }.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
    }

    private static func status(_ edge: FaultBook.Edge, _ window: Window) -> EdgeStatus {
        EdgeStatus(
            from: edge.from, to: edge.to, rps: window.rps, okRatio: window.okRatio, p50MS: window.milliseconds(0.5),
            p99MS: window.milliseconds(0.99), tries: window.tries, breaker: breaker(window.latest),
            budgetLeft: window.remaining.quantile(0.01).map { Double($0.nanoseconds) / 1e6 },
            active: window.latest.reduce(0) { $0 + $1.active }, retryBudget: window.latest.reduce(0) { $0 + $1.budget },
            fault: window.latest.lazy.compactMap(\.fault).first, limit: window.latest.compactMap(\.limit).min(),
            throttled: window.latest.compactMap(\.throttled).max())
    }

    /// The worst that any caller sees: the edge's own breaker, else how many endpoints are left alone.
    private static func breaker(_ reports: [EdgeReport]) -> String {
        for condition in ["open", "half-open"] where reports.contains(where: { $0.breaker == condition }) { return condition }
        let worst = reports.max { left, right in tripped(left).count < tripped(right).count }
        guard let worst, let first = tripped(worst).first else { return "closed" }
        let count = tripped(worst).count
        return worst.endpoints.count == 1 ? first.breaker : "\(count) of \(worst.endpoints.count) open"
    }

    private static func tripped(_ report: EdgeReport) -> [EndpointReport] { report.endpoints.filter { $0.breaker != "closed" } }

    /// - Parameter replica: the name of an instance, where it is known.
    func explanation(
        from: String, to: String, window span: Timespan?, now: Instant, replica: (String) -> String?
    ) -> EdgeExplanation? {
        let edge = FaultBook.Edge(from: from, to: to)
        guard let window = windows(now: now)[edge] else { return nil }
        let events = window.latest.flatMap(\.events).map { event in
            EdgeExplanation.Event(
                at: Timestamp(event.at), what: event.what, endpoint: event.instance, replica: event.instance.flatMap(replica),
                reason: event.reason, calls: event.calls, failures: event.failures,
                causes: event.causes.map { EdgeExplanation.Cause(cause: $0.cause, count: $0.count) },
                windowSeconds: event.calls == nil ? nil : span?.seconds, openForMS: event.openFor.map { Double($0.nanoseconds) / 1e6 },
                traceID: event.traceID)
        }
        let endpoints = window.latest.flatMap(\.endpoints).map { endpoint in
            EdgeExplanation.Endpoint(
                instance: endpoint.instance, replica: replica(endpoint.instance), version: endpoint.version, breaker: endpoint.breaker,
                inFlight: endpoint.inFlight, latencyMS: endpoint.latencyMilliseconds, calls: endpoint.calls, failures: endpoint.failures,
                draining: endpoint.takesNoCalls, isEjected: endpoint.isEjected)
        }
        func some(_ counts: [String: UInt64]) -> [String: UInt64] { counts.filter { $0.value > 0 } }
        return EdgeExplanation(
            edge: Self.status(edge, window), events: events.sorted { $0.at < $1.at },
            endpoints: endpoints.sorted { ($0.replica ?? $0.instance) < ($1.replica ?? $1.instance) }, refusals: some(window.refusals),
            retries: some(window.retries), refusedRetries: some(window.refusedRetries), hedges: some(window.hedges),
            refusedHedges: some(window.refusedHedges))
    }

    func signals(now: Instant) -> [ServiceSignals] {
        var services: [String: (window: Window, callers: Int)] = [:]
        for (edge, window) in windows(now: now) {
            services[edge.to, default: (Window(), 0)].window.add(window)
            services[edge.to, default: (Window(), 0)].callers += 1
        }
        return services.map { service, sum in
            ServiceSignals(
                service: service, tier: sum.window.toTier, rps: sum.window.rps, okRatio: sum.window.okRatio,
                p50MS: sum.window.milliseconds(0.5), p99MS: sum.window.milliseconds(0.99), tries: sum.window.tries,
                inFlight: sum.window.latest.reduce(0) { $0 + $1.active }, callers: sum.callers)
        }.sorted { $0.service < $1.service }
    }

    // MARK: Metrics

    /// What every instance measured, with its name and its service's.
    func families() -> [MetricFamily] {
        var families: [MetricFamily] = []
        for (id, instance) in instances.sorted(by: { ($0.value.service, $0.key.description) < ($1.value.service, $1.key.description) }) {
            let labels = [MetricLabel("service", instance.service), MetricLabel("instance", id.description)]
            let own =
                (instance.reports.last?.edges ?? []).flatMap(EdgeMetrics.families) + EdgeMetrics.families(ofCounters: instance.counters)
                + instance.metrics
            families += own.map { $0.labelled(labels) }
        }
        return MetricFamily.merged(families)
    }
}

extension UInt64 {
    /// The difference; all of it where a total went back, as it does when a process begins anew.
    fileprivate func subtractingOrAll(_ earlier: UInt64) -> UInt64 { earlier <= self ? self - earlier : self }
}
