package import MeshAdminAPI

/// `mesh traces show`: one trace as bars over time, milliseconds, the tiers at the left.
package enum Waterfall {
    /// Where the width is not known (a pipe).
    private static let standardWidth = 80
    private static let leastBar = 8
    private static let comfortableBar = 20

    package static func lines(_ trace: TraceDetail, width: Int?) -> [StyledText] {
        let analysis = TraceRows(trace)
        guard !analysis.rows.isEmpty else { return ["no spans"] }
        let width = max(20, width ?? standardWidth)
        let places = decimalPlaces(total: analysis.total)
        let layout = Layout(analysis.rows, width: width, places: places)
        var lines: [StyledText] = []
        var tier: String?
        for row in analysis.rows {
            lines.append(line(row, layout: layout, total: analysis.total, places: places, showsTier: !row.tier.isEmpty && row.tier != tier))
            if !row.tier.isEmpty { tier = row.tier }
        }
        lines.append(StyledText("mesh + wire \(milliseconds(analysis.meshAndWire, places))", .dim))
        lines += why(trace, analysis, places: places).flatMap { wrapped($0, width: width) }
        return lines
    }

    private struct Layout {
        var tier: Int
        var label: Int
        var time: Int
        var bar = leastBar

        /// The bar gets what the text leaves; where that is too little, the tiers go first, then names are cut, then the notes.
        init(_ rows: [TraceRow], width: Int, places: Int) {
            tier = (rows.map { DisplayWidth.of($0.tier) }.max() ?? 0) + 2
            label = rows.map { $0.depth + DisplayWidth.of($0.label) + ($0.ordinal?.count ?? 0) }.max() ?? 0
            time = rows.map { milliseconds($0.duration, places).count }.max() ?? 1
            let suffix = rows.map { row in suffixText(row, places).map { DisplayWidth.of($0) + 1 } ?? 0 }.max() ?? 0
            let fixed = time + 2 + suffix
            func left() -> Int { width - tier - label - fixed }
            if left() < comfortableBar { label = max(min(label, 12), label - (comfortableBar - left())) }
            if left() < leastBar { tier = 0 }
            if left() < leastBar { label = max(6, label - (leastBar - left())) }
            bar = max(leastBar, left())
        }
    }

    private static func line(_ row: TraceRow, layout: Layout, total: Int64, places: Int, showsTier: Bool) -> StyledText {
        var line = StyledText()
        if layout.tier > 0 { line = StyledText(showsTier ? row.tier : "", .dim).padded(to: layout.tier) }
        line = line + StyledText(label(row, width: layout.label), row.kind == .backoff ? .dim : nil).padded(to: layout.label)
        line.append(" ")
        line = line + StyledText(milliseconds(row.duration, places)).padded(to: layout.time, alignment: .trailing)
        line.append(" ")
        let (start, length) = cells(row, total: total, width: layout.bar)
        line.append(String(repeating: " ", count: start))
        switch row.kind {
        case .work: line.append(String(repeating: "█", count: length), .cyan)
        case .failed: line.append(String(repeating: "▓", count: length), .red)
        case .backoff: line.append(String(repeating: "·", count: length), .yellow)
        }
        if let suffix = suffixText(row, places) {
            line.append(" ")
            line.append(suffix, row.kind == .failed ? .red : .dim)
        }
        return line
    }

    /// Indented by depth; the number of an attempt stays when the name is cut.
    private static func label(_ row: TraceRow, width: Int) -> String {
        let indent = String(repeating: " ", count: min(row.depth, max(0, width - 4)))
        let ordinal = row.ordinal ?? ""
        return indent + DisplayWidth.truncate(DisplayWidth.printable(row.label), to: width - indent.count - ordinal.count) + ordinal
    }

    /// Where a bar begins and how many cells it fills: at least one, and never beyond the width.
    private static func cells(_ row: TraceRow, total: Int64, width: Int) -> (start: Int, length: Int) {
        guard total > 0 else { return (0, width) }
        func position(_ time: Int64) -> Int {
            Int((Double(min(max(0, time), total)) / Double(total) * Double(width)).rounded())
        }
        let start = min(position(row.start), width - 1)
        return (start, max(1, min(width, position(row.end)) - start))
    }

    private static func suffixText(_ row: TraceRow, _ places: Int) -> String? {
        let parts = [row.note, row.selfTime.map { "self " + milliseconds($0, places) }].compactMap { $0 }
        return parts.isEmpty ? nil : parts.joined(separator: " ")
    }

    /// Three digits that count, whatever the length of the trace.
    private static func decimalPlaces(total: Int64) -> Int {
        switch total {
        case 100_000_000...: 0
        case 10_000_000...: 1
        default: 2
        }
    }

    private static func milliseconds(_ nanoseconds: Int64, _ places: Int) -> String {
        Quantities.decimal(Double(nanoseconds) / 1e6, places)
    }

    /// What made it slow: as the daemon says it, else as far as the trace itself tells; and what is not there.
    private static func why(_ trace: TraceDetail, _ analysis: TraceRows, places: Int) -> [String] {
        var lines: [String] = []
        if let why = trace.why, !why.isEmpty {
            lines.append("why: " + DisplayWidth.printable(why))
        } else {
            var reasons: [String] = []
            if let percent = trace.comparison?.slowerThanPercent, percent >= 50 {
                reasons.append("slower than \(Quantities.decimal(percent, 1))% of this route")
            }
            if analysis.retryCost > 0, analysis.total > 0 {
                let share = Quantities.percent(Double(analysis.retryCost) / Double(analysis.total))
                reasons.append("retries cost \(milliseconds(analysis.retryCost, places))ms (\(share))")
            }
            for (service, percent) in (trace.comparison?.services ?? [:]).sorted(by: { $0.value > $1.value }) where percent >= 95 {
                reasons.append("\(DisplayWidth.printable(service)) at its own p\(Quantities.decimal(percent.rounded(.down), 0))")
            }
            if !reasons.isEmpty { lines.append("why: " + reasons.joined(separator: "; ")) }
        }
        if trace.complete == false {
            let count = trace.missing.map { Quantities.count($0, "span") } ?? "spans"
            lines.append("incomplete: \(count) missing (still under way, or lost: mesh ps shows whether an instance ended)")
        }
        return lines
    }

    /// Cut at blanks; the lines after the first are indented.
    private static func wrapped(_ text: String, width: Int) -> [StyledText] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, DisplayWidth.of(last) + 1 + DisplayWidth.of(word) <= width {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append((lines.isEmpty ? "" : "     ") + word)
            }
        }
        return lines.map { StyledText($0) }
    }
}
