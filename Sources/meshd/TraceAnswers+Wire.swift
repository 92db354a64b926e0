import MeshAdminAPI
import MeshModel
import MeshStore
import MeshTelemetry

// The store's types in the words of the admin API.

extension TraceSummary {
    init(_ stored: StoredTraceSummary, matched: [FoundSpan]? = nil) {
        self.init(
            traceID: stored.traceID.description, startedAt: Timestamp(stored.started), route: stored.route, status: stored.status,
            durationMS: stored.duration.seconds * 1000, services: stored.services, attempts: stored.attempts, flags: stored.flags,
            tiers: stored.tiers.map { TierShare(tier: $0.tier, share: $0.share) }, note: stored.note,
            matched: matched?.map { found in
                MatchedSpan(
                    spanID: found.span.spanID.description, service: found.span.origin.service, name: found.span.name,
                    durationMS: found.span.duration.seconds * 1_000, selfMS: found.selfTime.seconds * 1_000)
            })
    }
}

extension TraceDetail {
    /// - Parameter isDeskewed: whether spans of other hosts stand where they belong, or where their clocks said.
    init(_ stored: StoredTrace, isDeskewed: Bool) {
        self.init(
            traceID: stored.traceID.description,
            spans: stored.nodes.indices.map { index in
                let span = stored.nodes[index].span
                let raw = isDeskewed ? nil : stored.rawStarts[span.spanID]
                return TraceSpan(
                    span, start: raw ?? span.start, selfTime: stored.analysis.tree.selfTime(of: index),
                    path: stored.analysis.path.stretches[index].map { ($0, stored.analysis.path.own[index]) })
            },
            comparison: MeshAdminAPI.TraceComparison(
                slowerThanPercent: stored.comparison.slowerThan.map { $0 * 100 },
                services: stored.comparison.services.mapValues { $0 * 100 }),
            why: stored.why, complete: stored.analysis.isComplete, missing: stored.analysis.missing.count,
            clocks: stored.analysis.clocks.estimates.sorted { $0.key < $1.key }.map { _, estimate in
                ClockOffset(
                    services: estimate.services, offsetMS: estimate.offset.seconds * 1_000, errorMS: estimate.error.seconds * 1_000,
                    applied: isDeskewed)
            })
    }
}

extension TraceSpan {
    init(_ span: DecodedSpan, start: UnixTime, selfTime: Timespan, path: (CriticalPath.Stretch, own: Timespan)?) {
        // The path is told in the times in which the span is told.
        let moved = start.nanoseconds &- span.start.nanoseconds
        self.init(
            spanID: span.spanID.description, parentSpanID: span.parent?.description, service: span.origin.service, tier: span.origin.tier,
            instance: span.origin.instance.description, kind: Kind(span.kind), name: span.name, startUnixNano: start.nanoseconds,
            durationNS: span.duration.nanoseconds, selfNS: selfTime.nanoseconds, version: span.origin.version,
            criticalPath: path.map { stretch, own in
                Stretch(
                    startUnixNano: stretch.start.nanoseconds &+ moved, durationNS: stretch.end.nanoseconds &- stretch.start.nanoseconds,
                    ownNS: own.nanoseconds)
            },
            status: span.status.name, attributes: Self.attributes(span.attributes),
            events: span.events.map {
                Event(name: $0.name, timeUnixNano: $0.time.nanoseconds &+ moved, attributes: Self.attributes($0.attributes))
            })
    }

    private static func attributes(_ attributes: [DecodedSpan.Attribute]) -> [String: MeshAdminAPI.AttributeValue] {
        Dictionary(attributes.map { ($0.name, MeshAdminAPI.AttributeValue($0.value)) }, uniquingKeysWith: { $1 })
    }
}

extension TraceSpan.Kind {
    /// The gateway's span is a server's: which of the two says the span's service.
    init(_ kind: SpanKind) { self = kind == .gateway ? .server : TraceSpan.Kind(rawValue: kind.name) }
}

extension MeshAdminAPI.AttributeValue {
    init(_ value: MeshTelemetry.AttributeValue) {
        self =
            switch value {
            case .string(let text): .string(text)
            case .integer(let number): .integer(number)
            case .double(let number): .double(number)
            case .bool(let flag): .boolean(flag)
            case .array(let elements): .strings(elements.map(\.description))
            }
    }
}

extension TraceStatisticsReport {
    init(_ statistics: TraceStatistics) {
        let measures = statistics.grouping.measures.map(\.name)
        self.init(
            by: statistics.grouping.key.name, measures: measures,
            groups: statistics.groups.map { group in
                Group(
                    value: group.value, traces: group.traces, failed: group.failed,
                    measures: Dictionary(zip(measures, group.measures), uniquingKeysWith: { $1 }), histogram: group.histogram)
            },
            boundsMS: statistics.bounds.map { $0.seconds * 1_000 }, seconds: statistics.span.seconds,
            leftOut: LeftOutReport(statistics.leftOut),
            problems: statistics.problems)
    }
}

extension LeftOutReport {
    /// Nil where nothing was left out.
    init?(_ leftOut: LeftOutTraces) {
        guard leftOut != LeftOutTraces() else { return nil }
        self.init(detached: leftOut.detached, rootless: leftOut.rootless)
    }
}

extension TraceGrouping.Measure {
    fileprivate var name: String {
        switch self {
        case .quantile(let share):
            // 0.999 is p99.9, and 0.5 no p50.0.
            let tenths = Int((share * 1_000).rounded())
            return tenths % 10 == 0 ? "p\(tenths / 10)" : "p\(tenths / 10).\(tenths % 10)"
        case .mean: return "mean"
        case .least: return "min"
        case .most: return "max"
        case .errors: return "errors"
        }
    }
}

extension TracePathReport {
    init(_ path: PathComparison) {
        let difference = (path.slow.mean - path.typical.mean).seconds
        self.init(
            traces: path.traces, routes: path.routes, typical: Band(path.typical), slow: Band(path.slow),
            lines: path.lines.map { line in
                let (kind, tier, service): (String, String?, String?) =
                    switch line.part {
                    case .service(let tier, let name): ("service", tier, name)
                    case .retries: ("retries", nil, nil)
                    case .mesh: ("mesh", nil, nil)
                    }
                return Line(
                    kind: kind, tier: tier, service: service, typicalMS: line.typical.seconds * 1_000, slowMS: line.slow.seconds * 1_000,
                    changeMS: line.change.seconds * 1_000, share: difference > 0 ? line.change.seconds / difference : nil)
            },
            sampled: path.isSampled, leftOut: LeftOutReport(path.leftOut), problems: path.problems)
    }
}

extension TracePathReport.Band {
    init(_ band: PathComparison.Band) {
        self.init(fromPercentile: band.from * 100, toPercentile: band.to * 100, traces: band.traces, meanMS: band.mean.seconds * 1_000)
    }
}

extension TraceComparisonReport {
    /// - Parameter names: the queries, where there are two.
    init(_ comparison: GroupComparison, names: (String, String)?) {
        self.init(
            group: Group(comparison.group, name: names?.0), baseline: Group(comparison.baseline, name: names?.1),
            findings: comparison.findings.map { finding in
                Finding(
                    service: finding.trait.service.isEmpty ? nil : finding.trait.service, name: finding.trait.name,
                    value: finding.trait.value,
                    share: finding.share, baselineShare: finding.baseline, times: finding.ratio, p50MS: finding.median.seconds * 1_000)
            },
            sampled: comparison.isSampled, leftOut: LeftOutReport(comparison.leftOut), problems: comparison.problems)
    }
}

extension TraceComparisonReport.Group {
    init(_ group: GroupComparison.Group, name: String?) {
        self.init(name: name ?? group.name, traces: group.traces, p50MS: group.median.seconds * 1_000, failedRatio: group.failed)
    }
}
