extension Finding {
    /// The text that a person reads: headline, place, the marked line, what could stand there. No colours: those are the terminal's.
    package var rendered: String {
        let gutter = Swift.max(2, String(line).count)
        let margin = String(repeating: " ", count: gutter)
        var lines = ["\(severity.rawValue)[\(code.rawValue)] \(message)", "\(margin)--> \(file):\(line):\(column)"]
        if sourceLine.contains(where: { !$0.isWhitespace }) {
            let number = String(repeating: " ", count: gutter - String(line).count) + String(line)
            lines.append("\(number) | \(sourceLine)")
            let hint = suggestion.map { " " + $0 } ?? ""
            lines.append("\(margin) | \(indent)\(String(repeating: "^", count: length))\(hint)")
        } else if let suggestion {
            lines.append("\(margin) = \(suggestion)")
        }
        if let fix { lines.append("\(margin) = fix: \(fix)") }
        if !allowed.isEmpty {
            lines.append("\(margin) = allowed: \(allowed.joined(separator: ", "))       more: mesh explain \(code.rawValue)")
        } else if fix == nil {
            lines.append("\(margin) = more: mesh explain \(code.rawValue)")
        }
        return lines.joined(separator: "\n")
    }

    /// White space as wide as the line before the marker: tabs stay tabs, so that the marker stands right at any tab width.
    private var indent: String {
        var result = String.UnicodeScalarView()
        for scalar in sourceLine.unicodeScalars.prefix(column - 1) { result.append(scalar == "\t" ? "\t" : " ") }
        return String(result)
    }
}

extension [Finding] {
    /// All findings, one after the other, each ending with a line break.
    package var rendered: String { map { $0.rendered + "\n" }.joined() }
}
