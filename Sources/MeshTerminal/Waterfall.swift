package import MeshAdminAPI

/// `mesh traces show`: one trace as bars over time, milliseconds, the tiers at the left.
package enum Waterfall {
    /// Where the width is not known (a pipe).
    private static let standardWidth = 80
    private static let leastBar = 8
    private static let comfortableBar = 20

    /// - Parameter showsAll: also what a long trace has too much of.
    package static func lines(_ trace: TraceDetail, width: Int?, showsAll: Bool = false) -> [StyledText] {
        let analysis = TraceRows(trace)
        guard !analysis.rows.isEmpty else { return ["no spans"] }
        let rows = showsAll ? analysis.rows : TraceFolding.fold(analysis.rows)
        let width = max(20, width ?? standardWidth)
        let places = decimalPlaces(total: analysis.total)
        let layout = Layout(rows, width: width, places: places)
        var lines: [StyledText] = []
        var tier: String?
        for row in rows {
            switch row.kind {
            case .event: lines.append(event(row, layout: layout, places: places, width: width))
            case .folded: lines.append(folded(row, layout: layout, width: width))
            default:
                lines.append(line(row, analysis, layout: layout, places: places, showsTier: !row.tier.isEmpty && row.tier != tier))
                if !row.tier.isEmpty { tier = row.tier }
            }
        }
        var sum = "mesh + wire \(milliseconds(analysis.meshAndWire, places))"
        if analysis.knowsCriticalPath, rows.contains(where: { $0.kind == .work && !isOnPath($0) }) {
            sum += "   ▒ nothing waited for it"
        }
        if rows.count < analysis.rows.count { sum += "   … folded: --all shows all \(Quantities.grouped(trace.spans.count)) spans" }
        lines.append(StyledText(sum, .dim).truncated(to: width))
        lines += clocks(trace, places: places).flatMap { wrapped($0, width: width) }
        lines += why(trace, analysis, places: places).flatMap { wrapped($0, width: width) }
        return lines
    }

    private struct Layout {
        var tier: Int
        var label: Int
        var time: Int
        var bar = leastBar

        /// The bar gets what the text leaves; where that is too little, the tiers go first, then names are cut, then the notes.
        init(_ all: [TraceRow], width: Int, places: Int) {
            let rows = all.filter { $0.kind != .event && $0.kind != .folded }
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

    private static func line(_ row: TraceRow, _ analysis: TraceRows, layout: Layout, places: Int, showsTier: Bool) -> StyledText {
        var line = StyledText()
        if layout.tier > 0 { line = StyledText(showsTier ? row.tier : "", .dim).padded(to: layout.tier) }
        line = line + StyledText(label(row, width: layout.label), row.kind == .backoff ? .dim : nil).padded(to: layout.label)
        line.append(" ")
        line = line + StyledText(milliseconds(row.duration, places)).padded(to: layout.time, alignment: .trailing)
        line.append(" ")
        let (start, length) = cells(row, total: analysis.total, width: layout.bar)
        line.append(String(repeating: " ", count: start))
        switch row.kind {
        case .work:
            for cell in start..<start + length {
                let isWaitedFor = !analysis.knowsCriticalPath || isCritical(cell, of: row, total: analysis.total, width: layout.bar)
                line.append(isWaitedFor ? "█" : "▒", .cyan)
            }
        case .failed: line.append(String(repeating: "▓", count: length), .red)
        case .backoff: line.append(String(repeating: "·", count: length), .yellow)
        case .folded, .event: break
        }
        if let suffix = suffixText(row, places) {
            line.append(" ")
            line.append(suffix, row.kind == .failed ? .red : .dim)
        }
        return line
    }

    private static func isOnPath(_ row: TraceRow) -> Bool { row.critical.map { $0.length > 0 || row.duration == 0 } ?? false }

    /// Whether the critical path is in the row at least at the middle of the cell, or anywhere in a row of one cell.
    private static func isCritical(_ cell: Int, of row: TraceRow, total: Int64, width: Int) -> Bool {
        guard let critical = row.critical, isOnPath(row) else { return false }
        let length = cells(row, total: total, width: width).length
        guard length > 1, critical.start > row.start || critical.end < row.end else { return true }
        let middle = (Double(cell) + 0.5) / Double(width) * Double(total)
        let position = min(max(middle, Double(row.start)), Double(max(row.start, row.end - 1)))
        return position >= Double(critical.start) && position <= Double(critical.end)
    }

    /// What the code said within a span: when, since the begin of the trace, and what.
    private static func event(_ row: TraceRow, layout: Layout, places: Int, width: Int) -> StyledText {
        let indent = layout.tier + min(row.depth + 1, max(0, layout.label - 4))
        let text = String(repeating: " ", count: indent) + "· \(milliseconds(row.start, places)) " + DisplayWidth.printable(row.label)
        return StyledText(text, .dim).truncated(to: width)
    }

    private static func folded(_ row: TraceRow, layout: Layout, width: Int) -> StyledText {
        let indent = layout.tier + min(row.depth, max(0, layout.label - 4))
        let text = String(repeating: " ", count: indent) + DisplayWidth.printable(row.label) + (row.note.map { "   " + $0 } ?? "")
        return StyledText(text, .dim).truncated(to: width)
    }

    /// How far the clocks of other hosts are off, and whether the bars take that into account.
    private static func clocks(_ trace: TraceDetail, places: Int) -> [String] {
        (trace.clocks ?? []).map { clock in
            let offset = (clock.offsetMS < 0 ? "-" : "+") + Quantities.decimal(abs(clock.offsetMS), 2)
            let error = Quantities.decimal(clock.errorMS, 2)
            let services = clock.services.map { DisplayWidth.printable($0) }.joined(separator: ", ")
            return clock.applied
                ? "clocks: \(services) placed by \(offset)ms (±\(error)), as the hops allow"
                : "clocks: \(services) would fit by \(offset)ms (±\(error)); times are as its host said, --deskew places it"
        }
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
