import ArgumentParser
import MeshConfiguration
import MeshTerminal

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say everything that is wrong with a mesh.yaml.",
        discussion: """
            Exit codes: 0 no error, 1 errors, 2 wrong use, 3 warnings with --strict.

            Example:
              mesh check --strict && mesh up -d
              mesh check --schema > .mesh/schema.json
            """)

    @OptionGroup var mesh: FileOption
    @OptionGroup var outputOptions: OutputOptions

    @OptionGroup var profile: ProfileOption

    @Flag(help: "The findings as JSON: [{code, severity, file, line, column, message, suggestion}].")
    var json = false

    @Flag(help: "End with 3 where there are warnings.")
    var strict = false

    @Flag(help: "Print the JSON Schema of mesh.yaml instead of checking one.")
    var schema = false

    func run() throws {
        let console = outputOptions.console
        if schema {
            JSONOutput.write(Array(Schema.jsonSchema().text(indentation: 2).utf8), to: console)
            return
        }
        let path = MeshLocation.file(named: mesh.file)
        let findings = MeshDocument.load(path: path, profile: profile.profile).findings
        if json {
            JSONOutput.write(Array(findings.json.text().utf8), to: console)
        } else {
            console.write(findings.flatMap(FindingText.lines))
            console.tell(FindingText.summary(findings, file: path))
        }
        if findings.hasErrors { throw AlreadyTold() }
        if strict, !findings.isEmpty { throw AlreadyTold(exitCode: CommandFailure.warnings) }
    }
}

/// Findings with colours: the text is the configuration's own.
enum FindingText {
    static func lines(_ finding: Finding) -> [StyledText] {
        finding.rendered.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map { index, line in
            let text = String(line)
            if index == 0, let bracket = text.firstIndex(of: "]") {
                let end = text.index(after: bracket)
                return StyledText(String(text[..<end]), finding.severity == .error ? .red : .yellow)
                    + StyledText(String(text[end...]), .bold)
            }
            if let marker = text.firstIndex(of: "^"), text[..<marker].allSatisfy({ " |\t".contains($0) }) {
                return StyledText(String(text[..<marker])) + StyledText(String(text[marker...]), .cyan)
            }
            return StyledText(text)
        }
    }

    static func summary(_ findings: [Finding], file: String) -> StyledText {
        let errors = findings.count { $0.severity == .error }
        let warnings = findings.count - errors
        let parts = [
            errors > 0 ? Quantities.count(errors, "error") : nil, warnings > 0 ? Quantities.count(warnings, "warning") : nil,
        ].compactMap { $0 }
        let mark = errors > 0 ? StyledText("✗ ", .red) : warnings > 0 ? StyledText("! ", .yellow) : StyledText("✓ ", .green)
        return mark + StyledText("\(file), \(parts.isEmpty ? "0 findings" : parts.joined(separator: ", "))")
    }
}
