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
            + StyledText(line.instance, style).padded(to: nameWidth) + StyledText(" ") + Self.text(of: line)
    }

    private static func text(of line: LogLine) -> StyledText {
        switch line.stream {
        case .mesh: StyledText("── " + DisplayWidth.printable(line.text), .yellow)
        case .out, .error: line.fields.flatMap(message) ?? StyledText(DisplayWidth.printable(line.text), line.stream == .error ? .red : nil)
        }
    }

    private static let messageNames = ["message", "msg", "event"]
    private static let levelNames = ["level", "severity", "lvl"]
    /// The line has its own.
    private static let timeNames: Set<String> = ["time", "timestamp", "ts", "@timestamp"]

    /// `error cannot reserve sku=A1 trace_id=…` of `{"level":"error","message":"cannot reserve",…}`; nil of one without a message.
    private static func message(_ fields: [String: JSONField]) -> StyledText? {
        guard let messageName = messageNames.first(where: { fields[$0] != nil }), let message = fields[messageName] else { return nil }
        let levelName = levelNames.first { fields[$0] != nil }
        var text = StyledText()
        if let levelName, let level = fields[levelName]?.description {
            let isBad = ["error", "critical", "fatal", "panic"].contains(level.lowercased())
            let style: Style = isBad ? .red : level.lowercased().hasPrefix("warn") ? .yellow : .dim
            text = StyledText(DisplayWidth.printable(level) + " ", style)
        }
        text = text + StyledText(DisplayWidth.printable(message.description))
        for (name, value) in fields.sorted(by: { $0.key < $1.key })
        where name != messageName && name != levelName && !timeNames.contains(name) {
            text = text + StyledText(" \(DisplayWidth.printable(name))=\(DisplayWidth.printable(value.description))", .dim)
        }
        return text
    }
}
