package import MeshAdminAPI

/// `mesh traces path`: the critical paths of typical and slow traces side by side, and where the difference sits.
package enum TracePathTable {
    private struct Row {
        var tier: String
        var label: String
        var line: TracePathReport.Line
    }

    package static func lines(_ report: TracePathReport, width: Int?) -> [StyledText] {
        guard report.traces > 0 else { return ["no trace matches"] }
        let rows = rows(of: report)
        let culprit = rows.indices.max { rows[$0].line.changeMS < rows[$1].line.changeMS }
        let tierWidth = (rows.map { DisplayWidth.of($0.tier) }.max() ?? 0) + 2
        func left(_ row: Row) -> StyledText {
            guard row.line.kind == "service", !row.label.isEmpty else { return StyledText(row.label.isEmpty ? row.tier : row.label) }
            return StyledText(row.tier).padded(to: tierWidth) + StyledText(row.label)
        }
        let columns = Columns(labels: max(21, rows.map { left($0).width }.max() ?? 0), report)
        var lines = [columns.heading]
        for (index, row) in rows.enumerated() {
            var line = columns.line(left(row), row.line)
            if index == culprit, let share = row.line.share, share > 0, row.line.changeMS >= 0.05 {
                let remark = "  <- \(Quantities.percent(min(1, share)))"
                let whole = remark + " of the slowness"
                line.append(line.width + whole.count <= width ?? .max ? whole : remark, .yellow)
            }
            lines.append(line)
        }
        return width.map { width in lines.map { $0.truncated(to: width) } } ?? lines
    }

    /// The headings begin where the columns do; the points of the numbers stand one below the other.
    private struct Columns {
        let heading: StyledText
        private let edges: [Int]

        init(labels: Int, _ report: TracePathReport) {
            let titles = ["typical (\(band(report.typical)))", "slow (\(band(report.slow)))", "change"]
            var heading = StyledText("MS ON CRITICAL PATH", .bold).padded(to: labels + 2)
            var edges: [Int] = []
            for (title, offset) in zip(titles, [7, 7, 4]) {
                edges.append(heading.width + offset)
                heading.append(title, .bold)
                if title != titles.last { heading.append("   ") }
            }
            self.heading = heading
            self.edges = edges
        }

        func line(_ left: StyledText, _ line: TracePathReport.Line) -> StyledText {
            var text = left
            for (number, edge) in zip([number(line.typicalMS), number(line.slowMS), signed(line.changeMS)], edges) {
                text = text.padded(to: max(text.width + 1, edge - number.count))
                text.append(number)
            }
            return text
        }
    }

    /// What is worth saying beside the table.
    package static func remarks(_ report: TracePathReport) -> [String] {
        guard report.traces > 0 else { return [] }
        let means = [report.typical, report.slow].map { Quantities.duration(milliseconds: $0.meanMS) }
        var remarks = [
            "\(Quantities.grouped(report.traces)) \(report.traces == 1 ? "trace" : "traces"); typical \(means[0]), slow \(means[1]) on average"
        ]
        if report.routes > 1 { remarks.append("of \(report.routes) routes: name one to compare like with like, route:\"GET /x\"") }
        if report.traces < 100 { remarks.append("too few for a p99: the slowest one stands for it") }
        if report.sampled { remarks.append("bands sampled evenly") }
        return remarks
    }

    private static func rows(of report: TracePathReport) -> [Row] {
        var rows: [Row] = []
        var tier: String?
        for line in report.lines {
            switch line.kind {
            case "service":
                // What no trace waited for is not worth a line; the first is where the requests came in.
                if !rows.isEmpty, max(line.typicalMS, line.slowMS) < 0.05 { continue }
                // The gateway is alone in its tier, whose name says it.
                let isAlone =
                    rows.isEmpty && line.service == "gateway"
                    && !report.lines.contains { $0.kind == "service" && $0.tier == line.tier && $0.service != line.service }
                let isFirst = line.tier != tier
                tier = line.tier
                rows.append(
                    Row(
                        tier: isFirst ? DisplayWidth.printable(line.tier ?? "") : "",
                        label: isAlone ? "" : DisplayWidth.printable(line.service ?? ""), line: line))
            case "retries": rows.append(Row(tier: "", label: "retries + backoff", line: line))
            default: rows.append(Row(tier: "", label: "mesh + wire", line: line))
            }
        }
        return rows
    }

    private static func band(_ band: TracePathReport.Band) -> String {
        let from = percentile(band.fromPercentile)
        return band.toPercentile >= 100 ? ">=p\(from)" : "p\(from)-\(percentile(band.toPercentile))"
    }

    private static func percentile(_ value: Double) -> String {
        // 55.00000000000001 is what a share of 0.55 comes to.
        abs(value - value.rounded()) < 0.01 ? Quantities.decimal(value, 0) : Quantities.decimal(value, 1)
    }

    private static func number(_ milliseconds: Double) -> String { Quantities.decimal(milliseconds, 1) }

    private static func signed(_ milliseconds: Double) -> String {
        let text = Quantities.decimal(milliseconds, 1)
        return milliseconds >= 0 || text == "0.0" ? "+" + text : text
    }
}
