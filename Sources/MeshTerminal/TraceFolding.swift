/// Makes a long trace short enough to be read: what repeats is shown by its longest, what is tiny beside the rest by a count.
///
/// Invariant: nothing is left out without a row that says how much; what failed stays, as far as it is not itself a crowd.
enum TraceFolding {
    /// Up to so many rows nothing is folded.
    static let comfortable = 60
    /// So many rows remain, about.
    static let most = 200
    /// Of siblings of one name, the longest that stay, and the failed ones.
    private static let kept = 3
    private static let keptFailed = 3

    static func fold(_ rows: [TraceRow]) -> [TraceRow] {
        guard rows.count > comfortable else { return rows }
        let repeated = foldRepeated(rows)
        return repeated.count > most ? foldSmall(repeated) : repeated
    }

    /// The row's own index and those of all rows below it.
    private static func subtree(_ index: Int, _ rows: [TraceRow]) -> Range<Int> {
        var end = index + 1
        while end < rows.count, rows[end].depth > rows[index].depth || rows[end].kind == .event { end += 1 }
        return index..<end
    }

    private struct Name: Hashable {
        var parent: Int
        var label: String
        var kind: TraceRow.Kind
    }

    /// Siblings of one name beyond the longest become one row, with all that is below them.
    private static func foldRepeated(_ rows: [TraceRow]) -> [TraceRow] {
        var groups: [Name: [Int]] = [:]
        var parents: [Int] = []
        for (index, row) in rows.enumerated() where row.kind != .event {
            while let last = parents.last, rows[last].depth >= row.depth { parents.removeLast() }
            let kind: TraceRow.Kind = row.kind == .failed ? .work : row.kind
            groups[Name(parent: parents.last ?? -1, label: row.label, kind: kind), default: []].append(index)
            parents.append(index)
        }
        var isFolded = [Bool](repeating: false, count: rows.count)
        /// After which row which summary stands.
        var summaries: [Int: [TraceRow]] = [:]
        for (name, members) in groups.sorted(by: { $0.value[0] < $1.value[0] }) where members.count > kept + 2 {
            // What is within a folded one is gone already; groups come parents first.
            guard !isFolded[members[0]] else { continue }
            var staying = Set(members.sorted { rows[$0].duration > rows[$1].duration }.prefix(kept))
            staying.formUnion(members.filter { rows[$0].kind == .failed }.prefix(keptFailed))
            let folded = members.filter { !staying.contains($0) && !isFolded[$0] }
            guard folded.count > 1 else { continue }
            var count = 0
            for member in folded {
                let range = subtree(member, rows)
                count += rows[range].reduce(0) { $0 + $1.spans }
                for index in range { isFolded[index] = true }
            }
            let times = folded.map { rows[$0].duration }
            var summary = rows[folded[0]]
            summary.kind = .folded
            summary.label = "… \(Quantities.grouped(folded.count)) × \(name.label)"
            summary.ordinal = nil
            summary.end = folded.map { rows[$0].end }.max() ?? summary.end
            summary.note =
                "sum \(Quantities.duration(milliseconds: Double(times.reduce(0, +)) / 1e6)), longest "
                + Quantities.duration(milliseconds: Double(times.max() ?? 0) / 1e6)
            summary.spans = count
            summary.selfTime = nil
            summary.critical = nil
            let anchor = subtree(staying.max() ?? folded[0], rows).upperBound - 1
            summaries[anchor, default: []].append(summary)
        }
        var result: [TraceRow] = []
        for (index, row) in rows.enumerated() {
            if !isFolded[index] { result.append(row) }
            if let after = summaries[index] { result += after }
        }
        return result
    }

    /// The shortest go, so that about `most` rows remain; what is above a row that stays stays, too.
    private static func foldSmall(_ rows: [TraceRow]) -> [TraceRow] {
        let threshold = rows.map(\.duration).sorted(by: >)[most]
        var stays = rows.map { $0.duration > threshold || $0.kind == .failed || $0.kind == .folded }
        if stays.count(where: { $0 }) > 2 * most { stays = rows.map { $0.duration > threshold } }
        // Where most are equally long, the first ones stand for all.
        var left = most - stays.count(where: { $0 })
        for index in rows.indices where left > 0 && !stays[index] && rows[index].duration == threshold {
            stays[index] = true
            left -= 1
        }
        var parents: [Int] = []
        for (index, row) in rows.enumerated() {
            while let last = parents.last, rows[last].depth >= row.depth { parents.removeLast() }
            if stays[index] { for parent in parents { stays[parent] = true } }
            parents.append(index)
        }
        var result: [TraceRow] = []
        var hidden: [TraceRow] = []
        func flush() {
            guard let first = hidden.first else { return }
            if hidden.count == 1 {
                result += hidden
            } else {
                result.append(
                    TraceRow(
                        tier: "", label: "… \(Quantities.grouped(hidden.reduce(0) { $0 + $1.spans })) shorter",
                        depth: hidden.map(\.depth).min() ?? first.depth,
                        kind: .folded, start: hidden.map(\.start).min() ?? 0, end: hidden.map(\.end).max() ?? 0,
                        note: "longest " + Quantities.duration(milliseconds: Double(hidden.map(\.duration).max() ?? 0) / 1e6)))
            }
            hidden = []
        }
        for (index, row) in rows.enumerated() {
            if stays[index] {
                flush()
                result.append(row)
            } else {
                hidden.append(row)
            }
        }
        flush()
        return result
    }
}
