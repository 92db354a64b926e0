import MeshAdminAPI
import Testing

@testable import MeshTerminal

@Suite struct WaterfallTests {
    private func drawn(_ trace: TraceDetail, _ width: Int?) -> String { TerminalTraits().render(Waterfall.lines(trace, width: width)) }

    @Test func eightyColumns() {
        #expect(
            drawn(Example.order, 80) == """
                edge        POST /orders  362 ██████████████████████████████████████████ self 2
                domain       orders       352  ████████████████████████████████████████ self 18
                enterprise    inventory#1  60   ▓▓▓▓▓▓▓ 503
                              backoff      15          ·
                              inventory#2   9           █
                              ledger      241             ████████████████████████████
                mesh + wire 17
                why: slower than 98.7% of this route; retries cost 75ms (21%); ledger at its own
                     p97

                """)
        #expect(drawn(Example.order, nil) == drawn(Example.order, 80))
    }

    @Test func oneHundredAndTwentyColumns() {
        #expect(
            drawn(Example.order, 120) == """
                edge        POST /orders  362 ██████████████████████████████████████████████████████████████████████████████████ self 2
                domain       orders       352  ████████████████████████████████████████████████████████████████████████████████ self 18
                enterprise    inventory#1  60    ▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 503
                              backoff      15                  ···
                              inventory#2   9                     ██
                              ledger      241                        ███████████████████████████████████████████████████████
                mesh + wire 17
                why: slower than 98.7% of this route; retries cost 75ms (21%); ledger at its own p97

                """)
    }

    @Test func aNarrowTerminalLosesTheTiersAndKeepsTheNumbersOfAttempts() {
        #expect(
            drawn(Example.order, 40) == """
                POST /orders 362 ███████████████ self 2
                 orders      352 ███████████████ self 18
                  invento…#1  60  ▓▓ 503
                  backoff     15    ·
                  invento…#2   9     █
                  ledger     241     ██████████
                mesh + wire 17
                why: slower than 98.7% of this route;
                     retries cost 75ms (21%); ledger at
                     its own p97

                """)
    }

    @Test func noLineIsWiderThanTheTerminal() {
        for width in 40...220 {
            for line in Waterfall.lines(Example.order, width: width) { #expect(line.width <= width) }
        }
    }

    @Test func coloursChangeNothingButColours() {
        let coloured = Waterfall.lines(Example.order, width: 80).map { $0.rendered(hasColour: true) }.joined(separator: "\n")
        #expect(coloured.contains("\u{1b}[31m▓▓▓▓▓▓▓\u{1b}[0m"))
        let plain = coloured.replacing(/\u{1b}\[[0-9]+m/, with: "")
        #expect(plain + "\n" == drawn(Example.order, 80))
    }

    @Test func callsSideBySideCountOnce() {
        let trace = TraceDetail(
            traceID: "1",
            spans: [
                Example.span("o", nil, "orders", "domain", .server, "POST /orders", 0, 50),
                Example.span("c1", "o", "orders", "domain", .call, "crm", 5, 30, ["mesh.destination": .string("crm")]),
                Example.span("a1", "c1", "orders", "domain", .attempt, "crm", 5, 30),
                Example.span("s1", "a1", "crm", "enterprise", .server, "GET /customers/1", 6, 20),
                Example.span("c2", "o", "orders", "domain", .call, "inventory", 5, 40, ["mesh.destination": .string("inventory")]),
                Example.span("a2", "c2", "orders", "domain", .attempt, "inventory", 5, 40),
                Example.span("s2", "a2", "inventory", "enterprise", .server, "POST /reservations", 7, 36),
            ])
        let rows = TraceRows(trace)
        #expect(rows.rows.map(\.label) == ["POST /orders", "crm", "inventory"])
        #expect(rows.rows[0].selfTime == 10_000_000)
        // 5 to 6 before either serves, and 43 to 45 after the last has served.
        #expect(rows.meshAndWire == 3_000_000)
        #expect(drawn(trace, 80).contains("enterprise   crm         20.0      ██"))
    }

    @Test func withNothingInParallelThePartsAddUp() {
        let rows = TraceRows(Example.order)
        let selfTimes = rows.rows.map { $0.selfTime ?? $0.duration }.reduce(0, +)
        #expect(selfTimes + rows.meshAndWire == rows.total)
        #expect(rows.retryCost == 75_000_000)
    }

    @Test func aTryThatNobodyServedIsShownByItsCaller() {
        let trace = TraceDetail(
            traceID: "1",
            spans: [
                Example.span("g", nil, "gateway", "edge", .server, "GET /catalog/**", 0, 8, ["http.response.status_code": .integer(503)]),
                Example.span("c", "g", "gateway", "edge", .call, "catalog", 1, 6, ["mesh.destination": .string("catalog")]),
                Example.span(
                    "a", "c", "gateway", "edge", .attempt, "catalog", 1, 6,
                    ["mesh.destination": .string("catalog"), "mesh.flag": .string("UF")]),
                Example.span(
                    "d", "g", "gateway", "edge", .call, "crm", 7.5, 0.1, ["mesh.destination": .string("crm"), "mesh.flag": .string("BO")],
                    status: "error"),
            ], complete: false, missing: 2)
        #expect(
            drawn(trace, 80) == """
                edge  GET /catalog 8.00 ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 503 self 1.90
                       catalog     6.00      ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ UF
                       crm         0.10                                        ▓ BO
                mesh + wire 0.00
                incomplete: 2 spans missing (still under way, or lost: mesh ps shows whether an
                     instance ended)

                """)
    }

    @Test func whereTheCallerGaveUpItsViewCounts() {
        let trace = TraceDetail(
            traceID: "1",
            spans: [
                Example.span("g", nil, "gateway", "edge", .server, "GET /slow", 0, 101, ["http.response.status_code": .integer(504)]),
                Example.span("c", "g", "gateway", "edge", .call, "echo", 0, 100),
                Example.span("a", "c", "gateway", "edge", .attempt, "echo", 0, 100, ["mesh.flag": .string("UT")]),
                Example.span("s", "a", "echo", "enterprise", .server, "GET /slow", 1, 2_000, ["http.response.status_code": .integer(200)]),
            ])
        let rows = TraceRows(trace)
        #expect(rows.total == 101_000_000)
        #expect(rows.rows.map(\.kind) == [.failed, .failed])
        #expect(rows.rows[1].note == "UT")
    }

    @Test func whatComesBeforeATryStandsBeforeIt() {
        let trace = TraceDetail(
            traceID: "1",
            spans: [
                Example.span("g", nil, "gateway", "edge", .server, "POST /orders", 0, 332),
                Example.span("c", "g", "gateway", "edge", .call, "ledger", 0, 330, ["mesh.destination": .string("ledger")]),
                // Refused at once: the wait after it begins with it.
                Example.span("b", "c", "gateway", "edge", .backoff, "backoff", 1, 15),
                Example.span(
                    "a1", "c", "gateway", "edge", .attempt, "ledger", 1, 0, ["mesh.attempt": .integer(1), "mesh.flag": .string("FI")]),
                Example.span("a2", "c", "gateway", "edge", .attempt, "ledger", 16, 306, ["mesh.fault": .string("delay 300ms")]),
                Example.span("q", "a2", "gateway", "edge", .queue, "connect", 16, 300),
                Example.span("s", "a2", "ledger", "enterprise", .server, "POST /payments", 317, 4),
            ])
        let rows = TraceRows(trace)
        #expect(rows.rows.map(\.label) == ["POST /orders", "ledger", "backoff", "fault", "ledger"])
        #expect(rows.rows.map(\.depth) == [0, 1, 1, 1, 1])
        #expect(rows.rows[3].note == "delay 300ms" && rows.rows[3].kind == .backoff)
        #expect(rows.rows[4].duration == 4_000_000)
        #expect(rows.retryCost == 15_000_000)
    }

    @Test func aDamagedTraceIsDrawnAllTheSame() {
        let trace = TraceDetail(
            traceID: "1",
            spans: [
                Example.span("x", "x", "a", "edge", .server, "own parent", 0, 1),
                Example.span("y", nil, "b", "edge", .server, "twice", 0, 1),
                Example.span("y", "y", "b", "edge", .server, "twice", 0, 1),
                Example.span("z", "lost", "c", "domain", .server, "orphan", 3, 1),
                Example.span("n", "y", "b", "edge", .internal, "\u{1b}[2Jcleared", -5, -3),
            ])
        let text = drawn(trace, 80)
        #expect(text.contains("twice"))
        #expect(text.contains("orphan"))
        #expect(!text.contains("\u{1b}"))
        #expect(drawn(TraceDetail(traceID: "1", spans: []), 80) == "no spans\n")
    }

    @Test func theDaemonsReasonIsTakenFirst() {
        var trace = Example.order
        trace.why = "ledger waits for a lock"
        #expect(drawn(trace, 80).hasSuffix("mesh + wire 17\nwhy: ledger waits for a lock\n"))
    }
}
