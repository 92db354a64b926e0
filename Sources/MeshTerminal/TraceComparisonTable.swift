package import MeshAdminAPI

/// `mesh traces compare`: two groups, and what the first has more often.
package enum TraceComparisonTable {
    package static func lines(_ report: TraceComparisonReport, width: Int?) -> [StyledText] {
        guard report.group.traces > 0, report.baseline.traces > 0 else {
            let empty = report.group.traces == 0 ? report.group.name : report.baseline.name
            return [StyledText("no trace is in '\(DisplayWidth.printable(empty))'")]
        }
        var groups = Table([
            .init("GROUP", minimum: 16), .init("TRACES", alignment: .trailing), .init("P50", alignment: .trailing),
            .init("FAILED", alignment: .trailing),
        ])
        for (letter, group) in [("A", report.group), ("B", report.baseline)] {
            groups.add([
                StyledText("\(letter)  \(DisplayWidth.printable(group.name))"), StyledText(Quantities.grouped(group.traces)),
                StyledText(Quantities.duration(milliseconds: group.p50MS)),
                StyledText(Quantities.percent(group.failedRatio), group.failedRatio > 0 ? .red : nil),
            ])
        }
        guard !report.findings.isEmpty else {
            return groups.lines(width: width) + ["", "nothing is more frequent in A than in B beyond chance"]
        }
        var table = Table([
            .init("MORE OFTEN IN A", minimum: 16), .init("VALUE", minimum: 8), .init("A", alignment: .trailing),
            .init("B", alignment: .trailing), .init("TIMES", alignment: .trailing, dropOrder: 2),
            .init("P50 THERE", alignment: .trailing, dropOrder: 3), .init("", dropOrder: 1),
        ])
        for finding in report.findings {
            let name = [finding.service, finding.name].compactMap { $0 }.joined(separator: ": ")
            table.add([
                StyledText(DisplayWidth.printable(name)), StyledText(DisplayWidth.printable(finding.value)),
                StyledText(Quantities.percent(finding.share)), StyledText(Quantities.percent(finding.baselineShare)),
                StyledText(finding.times.map { times($0) } ?? "only A"), StyledText(Quantities.duration(milliseconds: finding.p50MS)),
                bars(finding),
            ])
        }
        return groups.lines(width: width) + [""] + table.lines(width: width)
    }

    private static func times(_ ratio: Double) -> String { Quantities.decimal(ratio, ratio < 9.95 ? 1 : 0) + "x" }

    /// A's share, with B's within it.
    private static func bars(_ finding: TraceComparisonReport.Finding) -> StyledText {
        let width = 20.0
        let (whole, base) = (Int((finding.share * width).rounded()), Int((finding.baselineShare * width).rounded()))
        return StyledText(String(repeating: "▒", count: min(base, whole)), .dim)
            + StyledText(String(repeating: "█", count: max(0, whole - base)), .yellow)
    }
}
