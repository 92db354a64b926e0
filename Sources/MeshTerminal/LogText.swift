package import MeshAdminAPI

/// `mesh logs`: one line per line, with its time and the instance that wrote it.
package struct LogText: Sendable {
    private static let colours: [Style] = [.cyan, .green, .magenta, .blue, .yellow]
    private var nameWidth = 0
    private var styles: [String: Style] = [:]
    private let offset: Int64

    /// - Parameter offset: seconds east of UTC of the one who reads.
    package init(offset: Int64) { self.offset = offset }

    /// Services get their colours in the order in which they first speak; the column of names only grows.
    package mutating func line(_ line: LogLine) -> StyledText {
        nameWidth = max(nameWidth, DisplayWidth.of(line.instance))
        let style: Style
        if let known = styles[line.service] {
            style = known
        } else {
            style = Self.colours[styles.count % Self.colours.count]
            styles[line.service] = style
        }
        return StyledText(Quantities.preciseClock(line.time, offset: offset) + " ", .dim)
            + StyledText(line.instance, style).padded(to: nameWidth) + StyledText(" ")
            + StyledText(DisplayWidth.printable(line.text), line.stream == .error ? .red : nil)
    }
}
