import MeshAdminAPI
import TestSupport
import Testing

@testable import MeshTerminal

/// What a person sees of the traces commands, at two widths.
@Suite(.calculating) struct GoldenTests {
    private static let widths = [80, 120]

    @Test(arguments: widths) func list(width: Int) {
        Golden.expect("traces-list-\(width)", TraceTable.lines(Example.traces, now: Example.noon, offset: 0, width: width))
    }

    @Test(arguments: widths) func search(width: Int) {
        Golden.expect("traces-search-\(width)", TraceTable.searchLines(Example.found, now: Example.noon, offset: 0, width: width))
    }

    @Test(arguments: widths) func tail(width: Int) {
        Golden.expect(
            "traces-tail-\(width)", Example.traces.map { TraceTable.tailLine($0, now: Example.noon, offset: 0, width: width) })
    }

    @Test(arguments: [60, 80, 120, 200]) func show(width: Int) {
        Golden.expect("traces-show-\(width)", Waterfall.lines(Example.order, width: width))
    }

    @Test(arguments: [60, 80, 120, 200]) func showSideBySide(width: Int) {
        Golden.expect("traces-show-parallel-\(width)", Waterfall.lines(Example.fanOut, width: width))
    }

    @Test(arguments: widths) func showTenThousandSpans(width: Int) {
        let lines = Waterfall.lines(Example.huge, width: width)
        #expect(lines.count < 60)
        Golden.expect("traces-show-huge-\(width)", lines)
    }

    @Test(arguments: widths) func path(width: Int) {
        Golden.expect("traces-path-\(width)", TracePathTable.lines(Example.path, width: width))
    }

    @Test(arguments: widths) func compare(width: Int) {
        Golden.expect("traces-compare-\(width)", TraceComparisonTable.lines(Example.comparison, width: width))
    }

    @Test(arguments: widths) func stats(width: Int) {
        Golden.expect("traces-stats-\(width)", TraceStatisticsTable.lines(Example.statistics, width: width))
    }

    /// The drawing that the command was designed by, word for word.
    @Test func thePathIsDrawnAsDesigned() {
        #expect(
            TerminalTraits().render(TracePathTable.lines(Example.path, width: 100)) == """
                MS ON CRITICAL PATH    typical (p45-55)   slow (>=p99)   change
                edge                       0.9                1.1        +0.2
                domain      orders        11.8               19.0        +7.2
                enterprise  inventory      4.1               31.4       +27.3
                            ledger        22.6              238.0      +215.4  <- 73% of the slowness
                retries + backoff          0.2               38.0       +37.8
                mesh + wire                1.4                8.2        +6.8

                """)
    }

    @Test func noLineIsWiderThanTheTerminal() {
        for width in stride(from: 40, through: 220, by: 20) {
            let all =
                Waterfall.lines(Example.fanOut, width: width) + Waterfall.lines(Example.huge, width: width)
                + TracePathTable.lines(Example.path, width: width) + TraceStatisticsTable.lines(Example.statistics, width: width)
                + TraceComparisonTable.lines(Example.comparison, width: width)
            for line in all { #expect(line.width <= max(width, 60), "\(line.plain)") }
        }
    }

    @Test func everythingIsShownWhenAsked() {
        let lines = Waterfall.lines(Example.huge, width: 100, showsAll: true)
        #expect(lines.count > 6_600)
        #expect(!lines.contains { $0.plain.contains("…") && $0.plain.contains("×") })
    }

    @Test func aChainOfTenThousandIsCutWithAWord() {
        var spans = [Example.span("0", nil, "gateway", "edge", .server, "GET /", 0, 10_000)]
        for depth in 1..<10_000 {
            spans.append(Example.span("\(depth)", "\(depth - 1)", "orders", "domain", .internal, "step", Double(depth) / 10, 5_000))
        }
        let lines = Waterfall.lines(TraceDetail(traceID: "1", spans: spans), width: 100)
        #expect(lines.count < 320)
        #expect(lines.contains { $0.plain.contains("9,700 spans deeper") })
    }

    @Test func aSparklineShowsWhatIsThere() {
        #expect(Sparkline.text([]) == "")
        #expect(Sparkline.text([0, 1, 1_000]) == " ▁█")
        #expect(Sparkline.text([4, 4]) == "██")
        #expect(Sparkline.text([1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇█")
    }
}
