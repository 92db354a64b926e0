package import MeshAdminAPI

/// `mesh traces stats`: groups of traces in numbers, with the form of their durations.
package enum TraceStatisticsTable {
    /// A histogram of fewer bars says nothing.
    private static let fewestBars = 8

    package static func lines(_ report: TraceStatisticsReport, width: Int?) -> [StyledText] {
        guard !report.groups.isEmpty else { return ["no trace matches"] }
        let bars = bars(report, width: width)
        var table = Table(columns(report) + [.init(scale(report, bars: bars), dropOrder: 1)])
        for group in report.groups {
            table.add(cells(group, report) + [StyledText(Sparkline.text(Sparkline.merged(group.histogram, to: bars)), .cyan)])
        }
        return table.lines(width: width)
    }

    /// As many as there is room for beside the numbers; a bar stands for one class or several.
    private static func bars(_ report: TraceStatisticsReport, width: Int?) -> Int {
        let classes = report.boundsMS.count
        guard let width else { return classes }
        var numbers = Table(columns(report))
        for group in report.groups { numbers.add(cells(group, report)) }
        let taken = numbers.lines(width: nil).map(\.width).max() ?? 0
        return max(min(fewestBars, classes), min(classes, width - taken - Table.gap))
    }

    /// The histogram comes after them; it goes last.
    private static func columns(_ report: TraceStatisticsReport) -> [Table.Column] {
        [
            .init(report.by.uppercased(), minimum: 12), .init("TRACES", alignment: .trailing),
            .init("RPS", alignment: .trailing, dropOrder: 3),
            .init("FAILED", alignment: .trailing, dropOrder: 2),
        ] + times(report).map { Table.Column($0.uppercased(), alignment: .trailing) }
    }

    private static func times(_ report: TraceStatisticsReport) -> [String] { report.measures.filter { $0 != "errors" } }

    private static func cells(_ group: TraceStatisticsReport.Group, _ report: TraceStatisticsReport) -> [StyledText] {
        [
            StyledText(group.value.isEmpty ? "(none)" : DisplayWidth.printable(group.value)),
            StyledText(Quantities.grouped(group.traces)),
            StyledText(report.seconds > 0 ? rate(Double(group.traces) / report.seconds) : "-"),
            StyledText(Quantities.percent(Double(group.failed) / Double(max(1, group.traces))), group.failed > 0 ? .red : nil),
        ] + times(report).map { StyledText(group.measures[$0].map { Quantities.duration(milliseconds: $0) } ?? "-") }
    }

    /// Above the histograms: where their classes begin and end.
    private static func scale(_ report: TraceStatisticsReport, bars: Int) -> String {
        guard let last = report.boundsMS.last, let first = report.boundsMS.first else { return "" }
        let (left, right) = (Quantities.duration(milliseconds: first), Quantities.duration(milliseconds: last))
        let room = bars - left.count - right.count
        return room > 0
            ? left + String(repeating: " ", count: room) + right : String(repeating: " ", count: max(0, bars - right.count)) + right
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

    /// As few classes as wanted, each the sum of neighbours.
    package static func merged(_ counts: [Int], to classes: Int) -> [Int] {
        guard classes > 0, classes < counts.count else { return counts }
        var result = [Int](repeating: 0, count: classes)
        for (index, count) in counts.enumerated() { result[index * classes / counts.count] += count }
        return result
    }

    /// The highest is full; what is there at all has a bar, what is not has none.
    package static func text(_ counts: [Int]) -> String {
        let most = counts.max() ?? 0
        return String(
            counts.map { count in
                count <= 0 ? " " : bars[min(bars.count - 1, (count * bars.count - 1) / max(1, most))]
            })
    }
}
