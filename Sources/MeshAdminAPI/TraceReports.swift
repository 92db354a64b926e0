/// Traces that match a query and yet are no requests that could be counted.
package struct LeftOutReport: Hashable, Sendable, Codable {
    /// Work that goes on after its request; counted where the query names its route.
    package var detached: Int
    /// Of which no root has come.
    package var rootless: Int

    package init(detached: Int, rootless: Int) {
        self.detached = detached
        self.rootless = rootless
    }
}

/// Where slow traces spend what typical ones do not: the shape of `traces path --json`.
package struct TracePathReport: Hashable, Sendable, Codable {
    /// Traces between two percentiles of the duration.
    package struct Band: Hashable, Sendable, Codable {
        package var fromPercentile: Double
        package var toPercentile: Double
        package var traces: Int
        /// The average duration.
        package var meanMS: Double

        package init(fromPercentile: Double, toPercentile: Double, traces: Int, meanMS: Double) {
            self.fromPercentile = fromPercentile
            self.toPercentile = toPercentile
            self.traces = traces
            self.meanMS = meanMS
        }

        private enum CodingKeys: String, CodingKey {
            case fromPercentile = "from_percentile"
            case toPercentile = "to_percentile"
            case traces
            case meanMS = "mean_ms"
        }
    }

    /// Averages over the traces of each band; the lines add up to the bands' means.
    package struct Line: Hashable, Sendable, Codable {
        /// `service`, `retries` (tries that were followed by another, and the waits before those) or `mesh` (mesh and wire).
        package var kind: String
        package var tier: String?
        package var service: String?
        package var typicalMS: Double
        package var slowMS: Double
        package var changeMS: Double
        /// Of the difference of the means; nil where slow is not slower.
        package var share: Double?

        package init(
            kind: String, tier: String? = nil, service: String? = nil, typicalMS: Double, slowMS: Double, changeMS: Double, share: Double?
        ) {
            self.kind = kind
            self.tier = tier
            self.service = service
            self.typicalMS = typicalMS
            self.slowMS = slowMS
            self.changeMS = changeMS
            self.share = share
        }

        private enum CodingKeys: String, CodingKey {
            case kind, tier, service
            case typicalMS = "typical_ms"
            case slowMS = "slow_ms"
            case changeMS = "change_ms"
            case share
        }
    }

    /// How many matched.
    package var traces: Int
    /// How many routes they are of.
    package var routes: Int
    package var typical: Band
    package var slow: Band
    package var lines: [Line]
    /// True where only a part of a band, taken evenly, was looked at.
    package var sampled: Bool
    /// nil where nothing was.
    package var leftOut: LeftOutReport?
    /// Files that could not be read.
    package var problems: [String]

    package init(
        traces: Int, routes: Int, typical: Band, slow: Band, lines: [Line], sampled: Bool, leftOut: LeftOutReport? = nil,
        problems: [String]
    ) {
        self.traces = traces
        self.routes = routes
        self.typical = typical
        self.slow = slow
        self.lines = lines
        self.sampled = sampled
        self.leftOut = leftOut
        self.problems = problems
    }

    private enum CodingKeys: String, CodingKey {
        case traces, routes, typical, slow, lines, sampled
        case leftOut = "left_out"
        case problems
    }
}

/// What the traces of one group have more often than those of another: the shape of `traces compare --json`.
package struct TraceComparisonReport: Hashable, Sendable, Codable {
    package struct Group: Hashable, Sendable, Codable {
        package var name: String
        package var traces: Int
        package var p50MS: Double
        /// 0…1
        package var failedRatio: Double

        package init(name: String, traces: Int, p50MS: Double, failedRatio: Double) {
            self.name = name
            self.traces = traces
            self.p50MS = p50MS
            self.failedRatio = failedRatio
        }

        private enum CodingKeys: String, CodingKey {
            case name, traces
            case p50MS = "p50_ms"
            case failedRatio = "failed_ratio"
        }
    }

    package struct Finding: Hashable, Sendable, Codable {
        /// nil for what is of the trace as a whole.
        package var service: String?
        package var name: String
        package var value: String
        /// 0…1 of the group's traces that have it.
        package var share: Double
        package var baselineShare: Double
        /// How many times as often; nil where the other group never has it.
        package var times: Double?
        /// Of the group's traces that have it.
        package var p50MS: Double

        package init(service: String?, name: String, value: String, share: Double, baselineShare: Double, times: Double?, p50MS: Double) {
            self.service = service
            self.name = name
            self.value = value
            self.share = share
            self.baselineShare = baselineShare
            self.times = times
            self.p50MS = p50MS
        }

        private enum CodingKeys: String, CodingKey {
            case service, name, value, share
            case baselineShare = "baseline_share"
            case times
            case p50MS = "p50_ms"
        }
    }

    package var group: Group
    package var baseline: Group
    package var findings: [Finding]
    package var sampled: Bool
    package var leftOut: LeftOutReport?
    package var problems: [String]

    package init(
        group: Group, baseline: Group, findings: [Finding], sampled: Bool, leftOut: LeftOutReport? = nil, problems: [String]
    ) {
        self.group = group
        self.baseline = baseline
        self.findings = findings
        self.sampled = sampled
        self.leftOut = leftOut
        self.problems = problems
    }

    private enum CodingKeys: String, CodingKey {
        case group, baseline, findings, sampled
        case leftOut = "left_out"
        case problems
    }
}

/// Groups of traces in numbers: the shape of `traces stats --json`, and of a query with `| by`.
package struct TraceStatisticsReport: Hashable, Sendable, Codable {
    package struct Group: Hashable, Sendable, Codable {
        /// The route, the version, …; empty where the traces have none.
        package var value: String
        package var traces: Int
        package var failed: Int
        /// By name (`p50`, `mean`, …) in milliseconds; `errors` is a share (0…1).
        package var measures: [String: Double]
        /// How many lie in each class of `boundsMS`.
        package var histogram: [Int]

        package init(value: String, traces: Int, failed: Int, measures: [String: Double], histogram: [Int]) {
            self.value = value
            self.traces = traces
            self.failed = failed
            self.measures = measures
            self.histogram = histogram
        }
    }

    /// What they are grouped by: `route`, `version`, `attr.NAME`, …
    package var by: String
    /// The names of the measures in the order asked for.
    package var measures: [String]
    package var groups: [Group]
    /// The upper ends of the histogram's classes, rising evenly in their logarithm.
    package var boundsMS: [Double]
    /// From the first to the last of the traces.
    package var seconds: Double
    package var leftOut: LeftOutReport?
    package var problems: [String]

    package init(
        by: String, measures: [String], groups: [Group], boundsMS: [Double], seconds: Double, leftOut: LeftOutReport? = nil,
        problems: [String]
    ) {
        self.by = by
        self.measures = measures
        self.groups = groups
        self.boundsMS = boundsMS
        self.seconds = seconds
        self.leftOut = leftOut
        self.problems = problems
    }

    private enum CodingKeys: String, CodingKey {
        case by, measures, groups
        case boundsMS = "bounds_ms"
        case seconds
        case leftOut = "left_out"
        case problems
    }
}

/// One line of `GET /v1/traces/tail`: a trace, a count of those that found no room, or nothing but a sign of life.
package struct TraceTailEvent: Hashable, Sendable, Codable {
    package var trace: TraceSummary?
    package var dropped: Int?

    package init(trace: TraceSummary? = nil, dropped: Int? = nil) {
        self.trace = trace
        self.dropped = dropped
    }
}

/// What `mesh traces import` brought.
package struct TraceImportReport: Hashable, Sendable, Codable {
    package var spans: Int
    package var traces: [String]

    package init(spans: Int, traces: [String]) {
        self.spans = spans
        self.traces = traces
    }
}
