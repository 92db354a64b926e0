package import MeshModel
import MeshTelemetry

/// What the traces of one group have more often than those of another: what a slow group has in common.
package struct GroupComparison: Hashable, Sendable {
    package struct Group: Hashable, Sendable {
        /// As it is to be called: `slow (>= p99)`, or the query.
        package var name: String
        package var traces: Int
        package var median: Timespan
        /// 0...1
        package var failed: Double
    }

    /// Something that a trace has or has not.
    package struct Trait: Hashable, Sendable {
        /// Empty for what is of the trace as a whole.
        package var service: String
        /// `mesh.fault`, `version`, `attempts`, ...
        package var name: String
        package var value: String

        package init(service: String, name: String, value: String) {
            self.service = service
            self.name = name
            self.value = value
        }
    }

    package struct Finding: Hashable, Sendable {
        package var trait: Trait
        /// 0...1 of the group's traces that have it.
        package var share: Double
        package var baseline: Double
        package var median: Timespan

        /// How much more often; nil where the other group never has it.
        package var ratio: Double? { baseline > 0 ? share / baseline : nil }
    }

    package var group: Group
    package var baseline: Group
    /// By the difference of the shares, the largest first; only what chance does not explain.
    package var findings: [Finding]
    package var isSampled: Bool
    package var leftOut: LeftOutTraces
    package var problems: [String]
}

/// Counts the traits of two groups of traces.
struct TraitCount {
    private var counts: [GroupComparison.Trait: (traces: Int, durations: [Int64])] = [:]
    private(set) var traces = 0
    private(set) var failed = 0
    private(set) var durations: [Int64] = []

    /// Attributes whose values are measures, or names of one request: no two traces share them but by chance.
    private static let measures: Set<String> = [
        "mesh.connect_us", "mesh.first_byte_us", "mesh.remaining_ms", "mesh.backoff_ms", "http.request.body.size",
        "http.response.body.size", "network.peer.port", "client.port", "http.request.header.x-request-id", "mesh.credit_left",
    ]

    mutating func add(_ summary: StoredTraceSummary, _ analysis: TraceAnalysis) {
        traces += 1
        let duration = summary.duration.nanoseconds
        durations.append(duration)
        if summary.status.map({ $0 >= 500 }) ?? true { failed += 1 }
        var seen: Set<GroupComparison.Trait> = []
        func has(_ service: String, _ name: String, _ value: String) { seen.insert(.init(service: service, name: name, value: value)) }
        has("", "route", summary.route)
        has("", "status", summary.status.map(String.init) ?? "none")
        for flag in summary.flags { has("", "flag", flag) }
        for retry in analysis.retries { has(retry.destination, "retried", "yes") }
        for node in analysis.tree.nodes {
            let span = node.span
            // What an attempt tells is about the one it went to.
            let service = span.text(.destination) ?? span.origin.service
            if node.span.kind == .server || node.span.kind == .gateway {
                if let version = span.origin.version { has(service, "version", version) }
                has(service, "instance", String(span.origin.instance.description.prefix(8)))
            }
            if span.status == .error, span.kind != .gateway { has(service, "error", "yes") }
            for attribute in span.attributes where !Self.measures.contains(attribute.name) {
                if case .double = attribute.value { continue }
                // A destination is the service itself.
                if attribute.name == "mesh.destination" || attribute.name == "mesh.destination_tier" { continue }
                has(service, attribute.name, attribute.value.description)
            }
        }
        for trait in seen { counts[trait, default: (0, [])].traces += 1; counts[trait]?.durations.append(duration) }
    }

    /// What this group has more often than the other.
    func findings(against other: TraitCount) -> [GroupComparison.Finding] {
        guard traces > 0, other.traces > 0 else { return [] }
        return counts.compactMap { trait, count -> GroupComparison.Finding? in
            let share = Double(count.traces) / Double(traces)
            let baseline = Double(other.counts[trait]?.traces ?? 0) / Double(other.traces)
            // Two-proportion z-test with three standard errors, and enough of a difference to matter.
            let pooled = (Double(count.traces) + baseline * Double(other.traces)) / Double(traces + other.traces)
            let error = (pooled * (1 - pooled) * (1 / Double(traces) + 1 / Double(other.traces))).squareRoot()
            guard count.traces >= 3 || count.traces == traces, share - baseline >= 0.05, share - baseline > 3 * error else { return nil }
            return .init(trait: trait, share: share, baseline: baseline, median: .nanoseconds(Quantile.of(count.durations.sorted(), 0.5)))
        }
        .sorted { left, right in
            let (first, second) = (left.share - left.baseline, right.share - right.baseline)
            if first != second { return first > second }
            return (left.trait.service, left.trait.name, left.trait.value) < (right.trait.service, right.trait.name, right.trait.value)
        }
    }

    func group(named name: String) -> GroupComparison.Group {
        .init(
            name: name, traces: traces, median: .nanoseconds(Quantile.of(durations.sorted(), 0.5)),
            failed: traces > 0 ? Double(failed) / Double(traces) : 0)
    }
}
