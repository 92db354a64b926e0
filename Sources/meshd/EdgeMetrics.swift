import MeshExchange
import MeshModel

/// An edge's report as metrics.
enum EdgeMetrics {
    /// Of `mesh_call_duration_seconds`.
    static let bounds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private static let totals: [(name: String, metric: String, help: String)] = [
        (EdgeReport.Name.calls, "mesh_calls_total", "Calls that were let through."),
        (EdgeReport.Name.failed, "mesh_calls_failed_total", "Calls that failed."),
        (EdgeReport.Name.attempts, "mesh_attempts_total", "Attempts of calls, the first one included."),
        (EdgeReport.Name.hedges, "mesh_hedges_sent_total", "Second attempts beside a first one that was slow."),
        (EdgeReport.Name.unsentRetries, "mesh_retries_unsent_total", "Attempts made elsewhere, since the one before was never sent."),
    ]

    static func families(of edge: EdgeReport) -> [MetricFamily] {
        let to = MetricLabel("to", edge.to)
        func family(_ name: String, _ kind: MetricFamily.Kind, _ help: String, _ value: Double) -> MetricFamily {
            MetricFamily(name, kind, help: help, samples: [MetricSample(value, labels: [to])])
        }
        func byWord(_ name: String, _ label: String, _ help: String, _ counts: [String: UInt64]) -> MetricFamily {
            MetricFamily(
                name, .counter, help: help,
                samples: counts.sorted { $0.key < $1.key }.map { MetricSample(Double($0.value), labels: [to, MetricLabel(label, $0.key)]) })
        }
        var families = totals.map { family($0.metric, .counter, $0.help, Double(edge[total: $0.name])) }
        let named = Set(totals.map(\.name) + [EdgeReport.Name.refused, EdgeReport.Name.retries])
        // What a newer instance counts is told under its own name.
        for (name, value) in edge.totals.sorted(by: { $0.key < $1.key }) where !named.contains(name) {
            let words = name.split { !$0.isASCII || !($0.isLetter || $0.isNumber) }.joined(separator: "_")
            families.append(family("mesh_\(words)_total", .counter, "As the instance counts it: \(name).", Double(value)))
        }
        families += [
            byWord("mesh_calls_refused_total", "cause", "Calls answered on the caller's side.", edge.refusals),
            byWord("mesh_retries_total", "reason", "Attempts that were repeated, by what had gone wrong.", edge.retries),
            byWord(
                "mesh_retries_refused_total", "reason", "Failed attempts that were not repeated, by why not.", edge.refusedRetries),
            byWord("mesh_hedges_total", "outcome", "Second attempts that are over, by what became of them.", edge.hedges ?? [:]),
            byWord(
                "mesh_hedges_refused_total", "reason", "Second attempts that were due and not made, by why not.", edge.refusedHedges ?? [:]),
            family("mesh_calls_active", .gauge, "Calls under way.", Double(edge.active)),
            family("mesh_calls_retrying", .gauge, "Calls under way that are being repeated.", Double(edge.retrying)),
            family("mesh_attempts_pending", .gauge, "Attempts that wait for a connection.", Double(edge.pending)),
            family(
                "mesh_calls_throttled_share", .gauge, "Share of calls that is rejected here, since the service sheds.", edge.throttled ?? 0),
            family(
                "mesh_panic", .gauge, "1 while calls go to ejected endpoints too, since too few others are left.",
                edge.isPanicking == true ? 1 : 0),
            family("mesh_retry_budget", .gauge, "Retries that the budget would grant now.", Double(edge.budget)),
            breakers(edge, to), ejections(edge, to), durations(edge, to),
        ]
        if let limit = edge.limit { families.append(family("mesh_calls_limit", .gauge, "Calls that may be under way at once.", limit)) }
        return families
    }

    /// What an instance was asked, by its counters.
    static func families(ofCounters counters: [String: UInt64]) -> [MetricFamily] {
        let known: [(name: String, metric: String, kind: MetricFamily.Kind, help: String)] = [
            ("inbound.requests", "mesh_requests_total", .counter, "Requests that were answered."),
            (
                "inbound.failures", "mesh_requests_failed_total", .counter,
                "Requests that were answered 5xx, or whose answer was broken off."
            ),
            (
                "inbound.abandoned", "mesh_requests_abandoned_total", .counter,
                "Requests whose callers went before an answer began."
            ),
            ("inbound.shed", "mesh_requests_shed_total", .counter, "Requests that were turned away, since there were too many at once."),
            ("inbound.limit", "mesh_requests_limit", .gauge, "Requests that the instance may work on at once."),
        ]
        return known.compactMap { name, metric, kind, help in
            counters[name].map { MetricFamily(metric, kind, help: help, samples: [MetricSample(Double($0))]) }
        }
    }

    private static func breakers(_ edge: EdgeReport, _ to: MetricLabel) -> MetricFamily {
        func value(_ condition: String) -> Double { condition == "open" ? 2 : condition == "half-open" ? 1 : 0 }
        return MetricFamily(
            "mesh_breaker_state", .gauge, help: "0 closed, 1 half-open, 2 open; without an endpoint, that of the whole edge.",
            samples: [MetricSample(value(edge.breaker), labels: [to, MetricLabel("endpoint", "")])]
                + edge.endpoints.map { MetricSample(value($0.breaker), labels: [to, MetricLabel("endpoint", $0.instance)]) })
    }

    private static func ejections(_ edge: EdgeReport, _ to: MetricLabel) -> MetricFamily {
        MetricFamily(
            "mesh_endpoint_ejected", .gauge, help: "1 for an endpoint that is left alone, since it does worse than the others.",
            samples: edge.endpoints.map { MetricSample($0.isEjected == true ? 1 : 0, labels: [to, MetricLabel("endpoint", $0.instance)]) })
    }

    private static func durations(_ edge: EdgeReport, _ to: MetricLabel) -> MetricFamily {
        let counts = edge.latencies.cumulative(bounds.map { Timespan.seconds($0) })
        return MetricFamily(
            "mesh_call_duration_seconds", .histogram, help: "From the first byte of a request to the head of its answer.",
            samples: [
                MetricSample(
                    sum: edge.latencies.sum.seconds, count: edge.latencies.total,
                    buckets: zip(bounds, counts).map { MetricBucket(bound: $0, count: $1) }, labels: [to])
            ])
    }
}
