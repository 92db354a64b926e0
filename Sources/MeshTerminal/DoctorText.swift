package import MeshAdminAPI

/// `mesh doctor`: a line for everything that was looked at, and below it what to do.
package enum DoctorText {
    package static func lines(_ findings: [DoctorFinding], width: Int?) -> [StyledText] {
        let nameWidth = findings.map { DisplayWidth.of($0.check) }.max() ?? 0
        let indent = nameWidth + 4
        return findings.flatMap { finding in
            let (mark, style): (String, Style) =
                switch finding.status {
                case .ok: ("✓", .green)
                case .note: ("·", .dim)
                case .warning: ("!", .yellow)
                case .error: ("✗", .red)
                }
            let message = wrapped(DisplayWidth.printable(finding.message), to: width.map { $0 - indent })
            let fix = finding.fix.map { wrapped("fix: " + DisplayWidth.printable($0), to: width.map { $0 - indent }) } ?? []
            return message.enumerated().map { index, text in
                let head =
                    index == 0
                    ? StyledText(mark + " ", style) + StyledText(finding.check, .bold).padded(to: nameWidth + 2)
                    : StyledText(String(repeating: " ", count: indent))
                return head + StyledText(text)
            } + fix.map { StyledText(String(repeating: " ", count: indent)) + StyledText($0, .cyan) }
        }
    }

    /// `2 errors, 1 warning`, or that all is well.
    package static func summary(_ findings: [DoctorFinding]) -> StyledText {
        let errors = findings.count { $0.status == .error }
        let warnings = findings.count { $0.status == .warning }
        guard errors + warnings > 0 else { return StyledText("nothing here will bite", .green) }
        let parts = [
            errors > 0 ? Quantities.count(errors, "error") : nil, warnings > 0 ? Quantities.count(warnings, "warning") : nil,
        ].compactMap(\.self)
        return StyledText(parts.joined(separator: ", "), errors > 0 ? .red : .yellow)
    }

    /// Broken at blanks; a word that is too long for a line goes beyond it, since a command that is cut can't be copied.
    static func wrapped(_ text: String, to width: Int?) -> [String] {
        guard let width, width > 0, DisplayWidth.of(text) > width else { return [text] }
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, DisplayWidth.of(line) + 1 + DisplayWidth.of(String(word)) > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return lines + [line]
    }
}
