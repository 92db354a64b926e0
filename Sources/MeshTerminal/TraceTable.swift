package import MeshAdminAPI

/// `mesh traces list`: one line per trace.
package enum TraceTable {
    /// - Parameter offset: seconds east of UTC of the one who reads.
    package static func lines(_ traces: [TraceSummary], now: Timestamp, offset: Int64, width: Int?) -> [StyledText] {
        let tiers = tierOrder(traces)
        var table = Table([
            .init("ID"), .init("WHEN", dropOrder: 4), .init("ROUTE", minimum: 12), .init("STATUS"), .init("TIME"),
            .init(tiers.isEmpty ? "TIERS" : tiers.joined(separator: "/"), dropOrder: 6),
            .init("NOTE", minimum: 14, dropOrder: 5),
        ])
        let ids = shortIDs(traces.map(\.traceID))
        for (trace, id) in zip(traces, ids) {
            table.add([
                StyledText(id, .cyan), StyledText(Quantities.clock(trace.startedAt, now: now, offset: offset)),
                StyledText(DisplayWidth.printable(trace.route)), StyledText(trace.status.map(String.init) ?? "-", style(trace.status)),
                StyledText(Quantities.duration(milliseconds: trace.durationMS)), StyledText(shares(trace, tiers)),
                StyledText(DisplayWidth.printable(note(trace)), .yellow),
            ])
        }
        return table.lines(width: width)
    }

    /// `mesh traces search`: each trace with the spans that were meant.
    package static func searchLines(_ traces: [TraceSummary], now: Timestamp, offset: Int64, width: Int?) -> [StyledText] {
        var table = Table([
            .init("ID"), .init("WHEN", dropOrder: 3), .init("ROUTE", minimum: 12, dropOrder: 2), .init("TIME"),
            .init("SERVICE", minimum: 8), .init("SPAN", minimum: 14), .init("TOOK"), .init("SELF", dropOrder: 1),
        ])
        for (trace, id) in zip(traces, shortIDs(traces.map(\.traceID))) {
            let head = [
                StyledText(id, .cyan), StyledText(Quantities.clock(trace.startedAt, now: now, offset: offset)),
                StyledText(DisplayWidth.printable(trace.route)), StyledText(Quantities.duration(milliseconds: trace.durationMS)),
            ]
            let spans = trace.matched ?? []
            if spans.isEmpty { table.add(head + ["-", "-", "", ""]) }
            for (index, span) in spans.prefix(Self.mostMatches).enumerated() {
                table.add(
                    (index == 0 ? head : ["", "", "", ""]) + [
                        StyledText(DisplayWidth.printable(span.service)), StyledText(DisplayWidth.printable(span.name)),
                        StyledText(Quantities.duration(milliseconds: span.durationMS)),
                        StyledText(Quantities.duration(milliseconds: span.selfMS)),
                    ])
            }
            if spans.count > Self.mostMatches {
                table.addNote(StyledText("  … and \(spans.count - Self.mostMatches) more: mesh traces show \(id)", .dim))
            }
        }
        return table.lines(width: width)
    }

    private static let mostMatches = 5

    /// `mesh traces tail`: a line as it comes, in columns that do not depend on those before.
    package static func tailLine(_ trace: TraceSummary, now: Timestamp, offset: Int64, width: Int?) -> StyledText {
        var line = StyledText(String(trace.traceID.prefix(8)), .cyan)
        line.append("  " + Quantities.clock(trace.startedAt, now: now, offset: offset) + "  ")
        line = line + StyledText(trace.status.map(String.init) ?? "-", style(trace.status)).padded(to: 3) + "  "
        line = line + StyledText(Quantities.duration(milliseconds: trace.durationMS)).padded(to: 6, alignment: .trailing) + "  "
        line.append(DisplayWidth.printable(trace.route.isEmpty ? "(no root yet)" : trace.route))
        let note = note(trace)
        if !note.isEmpty { line.append("  " + DisplayWidth.printable(note), .yellow) }
        return width.map { line.truncated(to: $0) } ?? line
    }

    static func style(_ status: Int?) -> Style? {
        switch status {
        case .some(200..<400): .green
        case .some(400..<500): .yellow
        default: .red
        }
    }

    private static func note(_ trace: TraceSummary) -> String {
        trace.note ?? trace.flags.joined(separator: " ")
    }

    private static func shares(_ trace: TraceSummary, _ tiers: [String]) -> String {
        guard !trace.tiers.isEmpty else { return "-" }
        return tiers.map { tier in
            trace.tiers.first { $0.tier == tier }.map { Quantities.percent($0.share) } ?? "-"
        }.joined(separator: " / ")
    }

    /// Tiers in an order that every trace agrees with, as far as they agree.
    private static func tierOrder(_ traces: [TraceSummary]) -> [String] {
        var order: [String] = []
        for trace in traces.sorted(by: { $0.tiers.count > $1.tiers.count }) {
            for tier in trace.tiers.map(\.tier) where !order.contains(tier) { order.append(tier) }
        }
        return order
    }

    /// The shortest beginnings, six digits at least, that tell the ids of one list apart.
    static func shortIDs(_ ids: [String]) -> [String] {
        let sorted = Set(ids).sorted()
        var needed: [String: Int] = [:]
        for (left, right) in zip(sorted, sorted.dropFirst()) {
            let common = zip(left, right).prefix { $0 == $1 }.count
            needed[left] = max(needed[left] ?? 0, common + 1)
            needed[right] = max(needed[right] ?? 0, common + 1)
        }
        return ids.map { String($0.prefix(max(6, needed[$0] ?? 0))) }
    }
}
