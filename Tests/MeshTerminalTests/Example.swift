import MeshAdminAPI

@testable import MeshTerminal

/// What the tests draw: the shop.
enum Example {
    static let noon = Timestamp(nanoseconds: 1_777_637_049_120_000_000)  // 2026-05-01T12:04:09.12Z

    /// An order of 362 ms: inventory is tried twice, then the ledger takes its time.
    static let order = TraceDetail(
        traceID: "8f3ac1d2e3f405162738495a6b7c8d9e",
        spans: [
            span("g", nil, "gateway", "edge", .server, "POST /orders", 0, 362, ["http.response.status_code": .integer(201)]),
            span("c1", "g", "gateway", "edge", .call, "orders", 1, 360, ["mesh.destination": .string("orders")]),
            span("a1", "c1", "gateway", "edge", .attempt, "orders", 1, 360, ["mesh.destination": .string("orders")]),
            span("o", "a1", "orders", "domain", .server, "POST /orders", 5, 352),
            span("c2", "o", "orders", "domain", .call, "inventory", 13, 87, ["mesh.destination": .string("inventory")]),
            span("a2", "c2", "orders", "domain", .attempt, "inventory", 13, 61, retried(1, status: 503)),
            span(
                "i1", "a2", "inventory", "enterprise", .server, "POST /reservations", 13.5, 60, ["http.response.status_code": .integer(503)]
            ),
            span("b", "c2", "orders", "domain", .backoff, "backoff", 74, 15),
            span("a3", "c2", "orders", "domain", .attempt, "inventory", 89, 11, retried(2, status: 201)),
            span("i2", "a3", "inventory", "enterprise", .server, "POST /reservations", 90, 9),
            span("c3", "o", "orders", "domain", .call, "ledger", 100, 247, ["mesh.destination": .string("ledger")]),
            span("a4", "c3", "orders", "domain", .attempt, "ledger", 100, 247, ["mesh.destination": .string("ledger")]),
            span("l", "a4", "ledger", "enterprise", .server, "POST /payments", 103, 241),
        ], comparison: TraceComparison(slowerThanPercent: 98.7, services: ["ledger": 97.4, "inventory": 60]))

    static func retried(_ number: Int64, status: Int64) -> [String: AttributeValue] {
        ["mesh.destination": .string("inventory"), "mesh.attempt": .integer(number), "http.response.status_code": .integer(status)]
    }

    /// Times in milliseconds.
    static func span(
        _ id: String, _ parent: String?, _ service: String, _ tier: String, _ kind: TraceSpan.Kind, _ name: String, _ start: Double,
        _ duration: Double, _ attributes: [String: AttributeValue] = [:], status: String = "unset"
    ) -> TraceSpan {
        TraceSpan(
            spanID: id, parentSpanID: parent, service: service, tier: tier, instance: service + "-1", kind: kind, name: name,
            startUnixNano: noon.nanoseconds + Int64(start * 1e6), durationNS: Int64(duration * 1e6), status: status, attributes: attributes)
    }

    static func instance(
        _ service: String, _ tier: String, _ number: Int, version: String? = "a41f", state: InstanceState = .ready,
        address: String = "unix:/run/x",
        restarts: Int = 0, cpu: Double? = 6, memory: Int? = 19 << 20, exit: String? = nil, line: String? = nil, next: Double? = nil
    ) -> InstanceStatus {
        InstanceStatus(
            service: service, tier: tier, instance: "\(service)-\(number)", version: version, state: state, ready: state == .ready,
            pid: 100 + number,
            address: address, restarts: restarts, cpuPercent: cpu, rssBytes: memory, startedAt: noon, lastExit: exit, lastErrorLine: line,
            nextRestartIn: next)
    }

    static let instances = [
        instance("gateway", "edge", 1, address: "127.0.0.1:8080", cpu: 3.6, memory: 14 << 20),
        instance("orders", "domain", 1), instance("orders", "domain", 2),
        instance(
            "catalog/v2", "domain", 1, version: "1.5", state: .crashLoop, address: "127.0.0.1:41022", restarts: 6, cpu: nil, memory: nil,
            exit: "exit 1 after 0.3s", line: "bad schema v7", next: 14),
        instance("inventory", "enterprise", 1), instance("inventory", "enterprise", 2, restarts: 1),
        instance("inventory", "enterprise", 3, state: .starting),
    ]

    static let traces = [
        TraceSummary(
            traceID: "8f3ac1d2e3f405162738495a6b7c8d9e", startedAt: noon, route: "POST /orders", status: 201, durationMS: 362,
            services: ["gateway", "orders", "inventory", "ledger"], attempts: 2, tiers: shares(0.006, 0.05, 0.86), note: "1 retry inventory"
        ),
        TraceSummary(
            traceID: "77be02a0e3f405162738495a6b7c8d9e", startedAt: Timestamp(nanoseconds: noon.nanoseconds - 86_400_000_000_000),
            route: "GET /catalog", status: 503, durationMS: 4.04, services: ["gateway", "catalog"], attempts: 1, flags: ["UH"],
            tiers: [.init(tier: "edge", share: 0.3), .init(tier: "domain", share: 0.7)]),
        TraceSummary(
            traceID: "77be02afe3f405162738495a6b7c8d9e", startedAt: noon, route: "GET /customers/{id}", status: nil, durationMS: 15_000,
            services: ["gateway"], attempts: 1),
    ]

    private static func shares(_ edge: Double, _ domain: Double, _ enterprise: Double) -> [TraceSummary.TierShare] {
        [.init(tier: "edge", share: edge), .init(tier: "domain", share: domain), .init(tier: "enterprise", share: enterprise)]
    }

    static let upEvents: [UpEvent] = [
        .check(.init(file: "mesh.yaml", findings: 0)), .control(.init(address: "127.0.0.1", socket: ".mesh/control.sock")),
        .tier(tier("enterprise", [("inventory", 0, 3), ("ledger", 0, 1), ("crm", 0, 1)], 0.1)),
        .tier(tier("enterprise", [("inventory", 3, 3), ("ledger", 1, 1), ("crm", 1, 1)], 0.6)),
        .tier(tier("domain", [("orders", 2, 2), ("catalog", 2, 2), ("customers", 1, 1)], 0.5)),
        .tier(tier("edge", [("gateway", 1, 1)], 0.2, urls: ["http://127.0.0.1:8080"])),
        .finished(.init(processes: 11, seconds: 1.4, urls: ["http://127.0.0.1:8080"])),
    ]

    static func tier(_ name: String, _ services: [(String, Int, Int)], _ seconds: Double, urls: [String] = []) -> TierProgress {
        TierProgress(
            tier: name, services: services.map { ServiceProgress(service: $0.0, ready: $0.1, wanted: $0.2) }, urls: urls,
            isDone: services.allSatisfy { $0.1 == $0.2 }, seconds: seconds)
    }

    /// Everything that stays after these events.
    static func up(_ events: [UpEvent], width: Int) -> String {
        var progress = UpProgress(width: width)
        return TerminalTraits().render(events.flatMap { progress.apply($0).settled })
    }
}
