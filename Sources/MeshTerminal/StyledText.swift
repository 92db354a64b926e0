/// How a run of text stands out where colours are on; without them the text must say the same.
package enum Style: String, Sendable, Hashable {
    case bold, dim, red, green, yellow, blue, magenta, cyan

    var code: String {
        switch self {
        case .bold: "1"
        case .dim: "2"
        case .red: "31"
        case .green: "32"
        case .yellow: "33"
        case .blue: "34"
        case .magenta: "35"
        case .cyan: "36"
        }
    }
}

/// A line, or a part of one: runs of text with a style each.
///
/// Invariant: the width does not depend on the styles, so that a layout is the same with and without colours.
package struct StyledText: Hashable, Sendable, ExpressibleByStringLiteral {
    package struct Run: Hashable, Sendable {
        package var text: String
        package var style: Style?
    }

    package private(set) var runs: [Run] = []

    package init() {}
    package init(_ text: String, _ style: Style? = nil) { if !text.isEmpty { runs = [Run(text: text, style: style)] } }
    package init(stringLiteral value: String) { self.init(value) }

    package var plain: String { runs.map(\.text).joined() }
    package var width: Int { runs.reduce(0) { $0 + DisplayWidth.of($1.text) } }
    package var isEmpty: Bool { runs.isEmpty }

    package mutating func append(_ text: String, _ style: Style? = nil) {
        guard !text.isEmpty else { return }
        if let last = runs.indices.last, runs[last].style == style {
            runs[last].text += text
        } else {
            runs.append(Run(text: text, style: style))
        }
    }

    package static func + (left: StyledText, right: StyledText) -> StyledText {
        right.runs.reduce(into: left) { $0.append($1.text, $1.style) }
    }

    /// Filled up with blanks to `width` on the right, or on the left.
    package func padded(to width: Int, alignment: Alignment = .leading) -> StyledText {
        let blanks = StyledText(String(repeating: " ", count: max(0, width - self.width)))
        return alignment == .leading ? self + blanks : blanks + self
    }

    package func truncated(to width: Int) -> StyledText {
        guard self.width > width else { return self }
        var result = StyledText()
        var left = width
        for run in runs {
            let runWidth = DisplayWidth.of(run.text)
            if runWidth < left {
                result.append(run.text, run.style)
                left -= runWidth
            } else {
                // The blank makes it too long for certain: what follows is cut, and the mark says so.
                result.append(DisplayWidth.truncate(run.text + " ", to: left), run.style)
                break
            }
        }
        return result
    }

    /// The text as it is written to a terminal; blanks at the end of a line are left out.
    package func rendered(hasColour: Bool) -> String {
        guard hasColour else { return Self.withoutTrailingBlanks(plain) }
        return runs.map { run in
            run.style.map { "\u{1b}[\($0.code)m\(run.text)\u{1b}[0m" } ?? run.text
        }.joined()
    }

    private static func withoutTrailingBlanks(_ text: String) -> String {
        var text = text[...]
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }

    package enum Alignment: Hashable, Sendable { case leading, trailing }
}

/// What the place that is written to can do.
package struct TerminalTraits: Hashable, Sendable {
    /// Columns; nil where nothing limits a line (a pipe, a file).
    package var width: Int?
    package var hasColour: Bool
    /// Whether lines that were written can be written over.
    package var isLive: Bool

    package init(width: Int? = nil, hasColour: Bool = false, isLive: Bool = false) {
        self.width = width
        self.hasColour = hasColour
        self.isLive = isLive
    }

    /// - Parameters:
    ///   - columns: the terminal's own width; nil where it is none.
    ///   - wantedWidth: what the person asked for (`--width`).
    ///   - wantsColour: false for `--no-color`.
    package init(columns: Int?, wantedWidth: Int?, wantsColour: Bool, environment: [String: String]) {
        let isTerminal = columns != nil && environment["TERM"] != "dumb"
        width = wantedWidth ?? columns
        hasColour = isTerminal && wantsColour && (environment["NO_COLOR"] ?? "").isEmpty
        isLive = isTerminal
    }

    package func render(_ lines: [StyledText]) -> String {
        lines.map { $0.rendered(hasColour: hasColour) + "\n" }.joined()
    }
}
