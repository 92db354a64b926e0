/// Columns of text under a heading, fitted to a width.
///
/// Where the natural widths do not fit, columns that may shrink are cut (`…`), then columns are dropped, the least important first.
package struct Table: Sendable {
    package struct Column: Sendable {
        package var title: String
        package var alignment: StyledText.Alignment
        /// The least width it may be cut to; nil: it is never cut.
        package var minimum: Int?
        /// Columns are dropped from the highest number down; 0 is never dropped.
        package var dropOrder: Int

        package init(_ title: String, alignment: StyledText.Alignment = .leading, minimum: Int? = nil, dropOrder: Int = 0) {
            self.title = title
            self.alignment = alignment
            self.minimum = minimum
            self.dropOrder = dropOrder
        }
    }

    private enum Row: Sendable {
        case cells([StyledText])
        /// Written below a row as it is, cut to the width.
        case note(StyledText)
    }

    package var columns: [Column]
    private var rows: [Row] = []
    static let gap = 2

    package init(_ columns: [Column]) { self.columns = columns }

    package mutating func add(_ cells: [StyledText]) {
        precondition(cells.count == columns.count, "one cell per column")
        rows.append(.cells(cells))
    }

    package mutating func addNote(_ note: StyledText) { rows.append(.note(note)) }

    package func lines(width: Int?) -> [StyledText] {
        let widths = fittedWidths(width)
        let shown = columns.indices.filter { widths[$0] != nil }
        func line(_ cells: [StyledText]) -> StyledText {
            var line = StyledText()
            for (position, index) in shown.enumerated() {
                let columnWidth = widths[index] ?? 0
                let cell = cells[index].truncated(to: columnWidth)
                let isLast = position == shown.count - 1
                line =
                    line
                    + (isLast && columns[index].alignment == .leading
                        ? cell : cell.padded(to: columnWidth, alignment: columns[index].alignment))
                if !isLast { line.append(String(repeating: " ", count: Self.gap)) }
            }
            return line
        }
        let heading = line(columns.map { StyledText($0.title, .bold) })
        return [heading]
            + rows.map { row in
                switch row {
                case .cells(let cells): line(cells)
                case .note(let note): width.map { note.truncated(to: $0) } ?? note
                }
            }
    }

    /// The width of each column, nil for one that is dropped.
    private func fittedWidths(_ width: Int?) -> [Int?] {
        var widths: [Int?] = columns.indices.map { index in
            rows.reduce(DisplayWidth.of(columns[index].title)) { widest, row in
                if case .cells(let cells) = row { max(widest, cells[index].width) } else { widest }
            }
        }
        guard let width else { return widths }
        func excess() -> Int {
            let kept = widths.compactMap { $0 }
            return kept.reduce(0, +) + Self.gap * max(0, kept.count - 1) - width
        }
        let droppable = columns.indices.filter { columns[$0].dropOrder > 0 }.sorted { columns[$0].dropOrder > columns[$1].dropOrder }
        var dropped = 0
        while true {
            var cut = widths
            var over = excess()
            // The widest column that may be cut gives first.
            while over > 0 {
                let candidates = columns.indices.filter { index in
                    guard let minimum = columns[index].minimum, let now = cut[index] else { return false }
                    return now > max(minimum, 1)
                }
                guard let widest = candidates.max(by: { (cut[$0] ?? 0) < (cut[$1] ?? 0) }) else { break }
                cut[widest] = (cut[widest] ?? 1) - 1
                over -= 1
            }
            if over <= 0 || dropped == droppable.count { return cut }
            widths[droppable[dropped]] = nil
            dropped += 1
        }
    }
}
