import MeshAdminAPI

@testable import MeshTerminal

extension Example {
    /// The one of cli.md.
    static let path = TracePathReport(
        traces: 18_204, routes: 1, typical: .init(fromPercentile: 45, toPercentile: 55, traces: 1_821, meanMS: 41),
        slow: .init(fromPercentile: 99, toPercentile: 100, traces: 183, meanMS: 335.7),
        lines: [
            pathLine("service", "edge", "gateway", 0.9, 1.1), pathLine("service", "domain", "orders", 11.8, 19),
            pathLine("service", "enterprise", "inventory", 4.1, 31.4), pathLine("service", "enterprise", "ledger", 22.6, 238),
            pathLine("retries", nil, nil, 0.2, 38), pathLine("mesh", nil, nil, 1.4, 8.2),
        ], sampled: false, problems: [])

    private static func pathLine(_ kind: String, _ tier: String?, _ service: String?, _ typical: Double, _ slow: Double)
        -> TracePathReport.Line
    {
        .init(
            kind: kind, tier: tier, service: service, typicalMS: typical, slowMS: slow, changeMS: slow - typical,
            share: (slow - typical) / 294.7)
    }

    static let comparison = TraceComparisonReport(
        group: .init(name: "slow (>= p99)", traces: 183, p50MS: 331, failedRatio: 0.016),
        baseline: .init(name: "typical (p45-55)", traces: 1_821, p50MS: 41, failedRatio: 0),
        findings: [
            finding("ledger", "mesh.fault", "true", 0.97, 0, 334), finding("ledger", "instance", "9f3c21d0", 0.88, 0.34, 330),
            finding("inventory", "retried", "yes", 0.31, 0.02, 372), finding(nil, "flag", "UT", 0.12, 0.01, 801),
            finding("orders", "http.request.header.x-customer-segment", "wholesale-north-america", 0.22, 0.11, 340),
        ], sampled: false, problems: [])

    private static func finding(
        _ service: String?, _ name: String, _ value: String, _ share: Double, _ base: Double, _ median: Double
    ) -> TraceComparisonReport.Finding {
        .init(
            service: service, name: name, value: value, share: share, baselineShare: base, times: base > 0 ? share / base : nil,
            p50MS: median)
    }

    static let statistics = TraceStatisticsReport(
        by: "route", measures: ["p50", "p90", "p99", "max"],
        groups: [
            group(
                "POST /orders", 18_204, 37, [41, 88, 331, 1_204],
                [0, 0, 0, 0, 0, 0, 2, 40, 310, 2_100, 6_020, 5_400, 2_500, 900, 500, 200, 90, 60, 40, 30, 8, 2, 1, 1]),
            group(
                "GET /catalog", 9_120, 0, [4.2, 9.1, 22, 61],
                [0, 12, 300, 2_800, 4_100, 1_400, 300, 120, 60, 20, 5, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            group(
                "GET /customers/{id}", 310, 310, [1.1, 1.4, 2.2, 3.9],
                [310, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            group("", 3, 0, [15, 15, 15, 15], [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ], boundsMS: (0..<24).map { 1.3 * Double($0 + 1) } + [], seconds: 3_600, problems: [])

    private static func group(_ value: String, _ traces: Int, _ failed: Int, _ times: [Double], _ histogram: [Int])
        -> TraceStatisticsReport.Group
    {
        .init(
            value: value, traces: traces, failed: failed,
            measures: Dictionary(uniqueKeysWithValues: zip(["p50", "p90", "p99", "max"], times)), histogram: histogram)
    }

    static let found: [TraceSummary] = {
        var first = traces[0]
        first.matched = [.init(spanID: "1", service: "ledger", name: "POST /payments", durationMS: 241, selfMS: 238)]
        var second = traces[1]
        second.matched = (0..<7).map { .init(spanID: "\($0)", service: "catalog", name: "render", durationMS: 3, selfMS: 2.5 + Double($0)) }
        return [first, second]
    }()

    /// Calls side by side, work that nothing waited for, words of the code, and a host whose clock is ahead.
    static let fanOut: TraceDetail = {
        func critical(_ from: Double, _ to: Double, own: Double) -> TraceSpan.Stretch {
            .init(startUnixNano: noon.nanoseconds + Int64(from * 1e6), durationNS: Int64((to - from) * 1e6), ownNS: Int64(own * 1e6))
        }
        var spans = [
            span("g", nil, "gateway", "edge", .server, "GET /catalog", 0, 60, ["http.response.status_code": .integer(200)]),
            span("c0", "g", "gateway", "edge", .call, "catalog", 1, 58, ["mesh.destination": .string("catalog")]),
            span("a0", "c0", "gateway", "edge", .attempt, "catalog", 1, 58),
            span("o", "a0", "catalog", "domain", .server, "GET /catalog", 2, 56),
            span("c1", "o", "catalog", "domain", .call, "crm", 5, 20, ["mesh.destination": .string("crm")]),
            span("a1", "c1", "catalog", "domain", .attempt, "crm", 5, 20),
            span("s1", "a1", "crm", "enterprise", .server, "GET /customers/1", 6, 18),
            span("c2", "o", "catalog", "domain", .call, "inventory", 5, 45, ["mesh.destination": .string("inventory")]),
            span("a2", "c2", "catalog", "domain", .attempt, "inventory", 5, 45),
            span("s2", "a2", "inventory", "enterprise", .server, "GET /stock", 7, 41),
            span("i", "o", "catalog", "domain", .internal, "warm the cache", 30, 28),
        ]
        let paths: [Int: TraceSpan.Stretch] = [
            0: critical(0, 60, own: 2), 1: critical(1, 59, own: 0), 2: critical(1, 59, own: 2), 3: critical(2, 58, own: 11),
            7: critical(5, 50, own: 0), 8: critical(5, 50, own: 4), 9: critical(7, 48, own: 41),
        ]
        for (index, path) in paths { spans[index].criticalPath = path }
        spans[9].events = [
            .init(
                name: "cache miss", timeUnixNano: noon.nanoseconds + 9_000_000,
                attributes: ["sku": .string("lamp-1"), "shelf": .integer(4)]),
            .init(name: "read from disk", timeUnixNano: noon.nanoseconds + 31_000_000),
        ]
        spans[9].logs = [
            .init(timeUnixNano: noon.nanoseconds + 10_000_000, level: "warning", text: "inventory: lamp-1 is low, reorder shelf=4")
        ]
        return TraceDetail(
            traceID: "77be02a0e3f405162738495a6b7c8d9e", spans: spans, comparison: TraceComparison(slowerThanPercent: 71),
            why: "slower than 71% of this route; inventory took 41ms (68%), at its own p90", complete: true, missing: 0,
            clocks: [.init(services: ["inventory"], offsetMS: -12.41, errorMS: 0.3, applied: false)])
    }()

    /// A batch job in one request: ten thousand spans.
    static let huge: TraceDetail = {
        var spans = [
            span("g", nil, "gateway", "edge", .server, "POST /import", 0, 10_000, ["http.response.status_code": .integer(200)]),
            span("w", "g", "orders", "domain", .internal, "import rows", 1, 9_990),
        ]
        for row in 0..<3_332 {
            let start = 2 + Double(row) * 2.99
            let failed: [String: AttributeValue] =
                row % 1_000 == 999
                ? ["http.response.status_code": .integer(503), "mesh.destination": .string("inventory")]
                : ["mesh.destination": .string("inventory")]
            spans.append(span("c\(row)", "w", "orders", "domain", .call, "inventory", start, 2.9, failed))
            spans.append(span("a\(row)", "c\(row)", "orders", "domain", .attempt, "inventory", start, 2.9 - Double(row % 7) / 10, failed))
            spans.append(span("v\(row)", "c\(row)", "orders", "domain", .internal, "validate \(row % 3)", start + 2.5, 0.3))
        }
        return TraceDetail(traceID: "1", spans: spans, complete: true, missing: 0)
    }()
}
