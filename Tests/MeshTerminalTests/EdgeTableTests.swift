import MeshAdminAPI
import Testing

@testable import MeshTerminal

@Suite struct EdgeTableTests {
    private static let noon = Timestamp("2026-05-01T12:04:30Z")!
    private static let edges = [
        EdgeStatus(
            from: "gateway", to: "catalog", rps: 4.46, okRatio: nil, p50MS: nil, p99MS: nil, tries: nil, breaker: "closed",
            budgetLeft: nil),
        EdgeStatus(
            from: "orders", to: "inventory", rps: 212.4, okRatio: 0.9996, p50MS: 4.2, p99MS: 11, tries: 1.07, breaker: "1 of 3 open",
            budgetLeft: 780, fault: "delay 300ms for 20%"),
        EdgeStatus(
            from: "orders", to: "ledger", rps: 212, okRatio: 0.981, p50MS: 31, p99MS: 402, tries: 1, breaker: "closed", budgetLeft: 598),
    ]

    private func text(_ lines: [StyledText]) -> String { TerminalTraits().render(lines) }

    @Test func edgesAt120() {
        #expect(
            text(EdgeTable.lines(Self.edges, width: 120)) == """
                FROM     TO         RPS   OK%  P50  P99  TRIES  BREAKER      BUDGET LEFT
                gateway  catalog    4.5     -    -    -  -      closed       -
                orders   inventory  212  99.9  4.2   11  1.07   1 of 3 open  780ms
                  └ fault: delay 300ms for 20%
                orders   ledger     212  98.1   31  402  1.00   closed       598ms

                """)
    }

    @Test func edgesAt60AreStillReadable() {
        for line in EdgeTable.lines(Self.edges, width: 60) { #expect(line.width <= 60) }
        #expect(text(EdgeTable.lines(Self.edges, width: 60)).contains("1 of 3"))
        #expect(text(EdgeTable.lines(Self.edges, width: 80)) == text(EdgeTable.lines(Self.edges, width: 120)))
    }

    @Test func signals() {
        let services = [
            ServiceSignals(
                service: "inventory", tier: "enterprise", rps: 424, okRatio: 1, p50MS: 4, p99MS: 12.4, tries: 1.02, inFlight: 3, callers: 2),
            ServiceSignals(service: "crm", tier: "enterprise", rps: 0),
        ]
        #expect(
            text(EdgeTable.lines(services, width: 80)) == """
                SERVICE    TIER        RPS  OK%  P50  P99  TRIES  IN FLIGHT  CALLERS
                inventory  enterprise  424  100  4.0   12  1.02           3        2
                crm        enterprise    0    -    -    -  -              0        0

                """)
    }

    @Test func faults() {
        let faults = [
            FaultStatus(from: "orders", to: "ledger", what: "abort 503", expiresAt: Timestamp("2026-05-01T12:05:12Z")),
            FaultStatus(from: "catalog", to: "inventory", what: "delay 5ms"),
        ]
        #expect(
            text(EdgeTable.lines(faults, now: Self.noon, width: 80)) == """
                FROM     TO         FAULT      ENDS
                orders   ledger     abort 503  in 42s
                catalog  inventory  delay 5ms  by mesh.yaml

                """)
    }

    private static let explanation = EdgeExplanation(
        edge: edges[1],
        events: [
            .init(
                at: Timestamp("2026-05-01T12:04:11Z")!, what: "opened", endpoint: "8f3ac1", replica: "inventory-2", reason: "failure rate",
                calls: 22, failures: 13, causes: [.init(cause: "503", count: 11), .init(cause: "attempt timed out", count: 2)],
                windowSeconds: 10, openForMS: 5000, traceID: "8f3ac1d2e4f5a6b7c8d9e0f1a2b3c4d5"),
            .init(at: Timestamp("2026-05-01T12:04:16Z")!, what: "half-opened", endpoint: "8f3ac1", replica: "inventory-2"),
        ],
        endpoints: [
            .init(instance: "a", replica: "inventory-1", breaker: "closed", inFlight: 1, latencyMS: 4.2, calls: 300, failures: 0),
            .init(instance: "b", replica: "inventory-2", breaker: "half-open", latencyMS: nil, calls: 22, failures: 13, draining: false),
        ], refusals: ["circuit breaker open": 5], retries: ["503": 11, "attempt timed out": 2], refusedRetries: ["budget exhausted": 3])

    @Test func whyAt120() {
        #expect(
            text(EdgeStory.lines(Self.explanation, now: Self.noon, offset: 0, width: 120)) == """
                orders -> inventory   212/s · 99.9% ok · p99 11ms · 1.07 tries · breaker 1 of 3 open
                fault: delay 300ms for 20%, made on purpose
                breaker of inventory-2 opened 12:04:11: 13 of 22 failed in 10s (11x503, 2xattempt timed out); example 8f3ac1d2
                breaker of inventory-2 half-opened 12:04:16
                last 10s: 5 refused by the caller (5x circuit breaker open)
                last 10s: 13 repeated (11x 503, 2x attempt timed out)
                last 10s: 3 not repeated (3x budget exhausted)
                ENDPOINT     VERSION  BREAKER    FAILED  IN FLIGHT  LATENCY
                inventory-1  -        closed      0/300          1    4.2ms
                inventory-2  -        half-open   13/22          0        -

                """)
    }

    @Test func whyFitsTheWidth() {
        for line in EdgeStory.lines(Self.explanation, now: Self.noon, offset: 0, width: 80) { #expect(line.width <= 80) }
    }

    @Test func aLoadTellsItsResult() {
        var result = LoadResult(
            sent: 30_000, late: 0, errors: 6, rate: 500, seconds: 60, outcomes: ["201": 29_994, "503": 4, "timeout": 2], p50MS: 36,
            p99MS: 240, p999MS: 410.4,
            slowest: [.init(traceID: nil, ms: 999, status: nil), .init(traceID: "77be02a0", ms: 500, status: 201)],
            connections: 12)
        #expect(
            text(LoadText.lines(result, selector: "")) == """
                sent 30000  late 0  err 0.02%  p50 36  p99 240  p99.9 410  slowest: mesh traces show 77be02
                     29994x 201  4x 503  2x timeout

                """)
        result.late = 3
        #expect(text(LoadText.lines(result, selector: "")).contains("12 connections were not enough"))
    }
}
