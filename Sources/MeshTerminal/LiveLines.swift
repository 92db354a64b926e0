/// The lines at the bottom of a terminal that the next update writes over.
package struct LiveLines: Sendable {
    private var count = 0

    package init() {}

    /// What to write for `update`, so that it takes the place of the lines that were live.
    package mutating func replace(with update: ProgressUpdate, on terminal: TerminalTraits, width: Int) -> String {
        // From the first column: a Ctrl-C that was typed has left its echo, and the cursor behind it.
        var text = count > 0 ? "\r\u{1b}[\(count)A\u{1b}[J" : ""
        text += terminal.render(update.settled)
        count = terminal.isLive ? update.live.count : 0
        if terminal.isLive { text += terminal.render(update.live.map { $0.truncated(to: width) }) }
        return text
    }
}
