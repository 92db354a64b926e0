package import MeshAdminAPI

/// `mesh traces stats`: groups of traces in numbers, with the form of their durations.
package enum TraceStatisticsTable {
    package static func lines(_ report: TraceStatisticsReport, width: Int?) -> [StyledText] {
        guard !report.groups.isEmpty else { return ["no trace matches"] }
        let measures = report.measures.filter { $0 != "errors" }
        var columns: [Table.Column] = [
            .init(report.by.uppercased(), minimum: 12), .init("TRACES", alignment: .trailing),
            .init("RPS", alignment: .trailing, dropOrder: 2),
            .init("FAILED", alignment: .trailing, dropOrder: 1),
        ]
        columns += measures.map { .init($0.uppercased(), alignment: .trailing) }
        columns.append(.init(scale(report), dropOrder: 3))
        var table = Table(columns)
        for group in report.groups {
            var cells = [
                StyledText(group.value.isEmpty ? "(none)" : DisplayWidth.printable(group.value)),
                StyledText(Quantities.grouped(group.traces)),
                StyledText(report.seconds > 0 ? rate(Double(group.traces) / report.seconds) : "-"),
                StyledText(
                    Quantities.percent(Double(group.failed) / Double(max(1, group.traces))), group.failed > 0 ? .red : nil),
            ]
            cells += measures.map { StyledText(group.measures[$0].map { Quantities.duration(milliseconds: $0) } ?? "-") }
            cells.append(StyledText(Sparkline.text(group.histogram), .cyan))
            table.add(cells)
        }
        return table.lines(width: width)
    }

    /// Above the histograms: where their classes begin and end.
    private static func scale(_ report: TraceStatisticsReport) -> String {
        guard let last = report.boundsMS.last, let first = report.boundsMS.first else { return "" }
        let (left, right) = (Quantities.duration(milliseconds: first), Quantities.duration(milliseconds: last))
        let room = report.boundsMS.count - left.count - right.count
        return room > 0 ? left + String(repeating: " ", count: room) + right : right
    }

    private static func rate(_ perSecond: Double) -> String {
        switch perSecond {
        case ..<0.095: "<0.1"
        case ..<9.95: Quantities.decimal(perSecond, 1)
        default: Quantities.decimal(perSecond, 0)
        }
    }
}

/// Counts as a row of bars, one column each.
package enum Sparkline {
    private static let bars = Array("▁▂▃▄▅▆▇█")

    /// The highest is full; what is there at all has a bar, what is not has none.
    package static func text(_ counts: [Int]) -> String {
        let most = counts.max() ?? 0
        return String(
            counts.map { count in
                count <= 0 ? " " : bars[min(bars.count - 1, (count * bars.count - 1) / max(1, most))]
            })
    }
}
