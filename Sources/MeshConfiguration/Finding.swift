package enum Severity: String, Sendable, Hashable, CaseIterable {
    case error
    case warning
}

/// One thing that is wrong, or looks wrong, in a configuration.
package struct Finding: Hashable, Sendable {
    package var code: FindingCode
    package var severity: Severity
    /// As the caller named it, or as the including file leads to it.
    package var file: String
    /// 1-based; the column counts Unicode scalars.
    package var line: Int
    package var column: Int
    /// How many scalars of the line the marker covers; at least 1.
    package var length: Int
    package var message: String
    /// What to write instead, as one says it beside the marker: "did you mean 'timeout'?".
    package var suggestion: String?
    /// What to change, where that isn't at the marker.
    package var fix: String?
    /// What could stand there.
    package var allowed: [String]
    /// The marked line, as it is in the file.
    package var sourceLine: String

    /// The shape of `mesh check --json`, version 1.
    package var json: JSONValue {
        [
            "code": .string(code.rawValue), "severity": .string(severity.rawValue), "file": .string(file), "line": .integer(line),
            "column": .integer(column), "message": .string(message),
            "suggestion": (suggestion ?? fix).map(JSONValue.string) ?? .null,
            "allowed": .array(allowed.map(JSONValue.string)),
        ]
    }
}

extension Finding {
    /// In the order of the files, and in each from its top.
    static func sorted(_ findings: [Finding], in files: [String]) -> [Finding] {
        func rank(_ finding: Finding) -> (Int, Int, Int, String) {
            (files.firstIndex(of: finding.file) ?? files.count, finding.line, finding.column, finding.code.rawValue)
        }
        return findings.sorted { rank($0) < rank($1) }
    }
}

extension [Finding] {
    package var hasErrors: Bool { contains { $0.severity == .error } }

    /// `mesh check --json`.
    package var json: JSONValue { .array(map(\.json)) }
}

/// What finds: collects findings and knows the files that they are about. A place that was already said to be wrong in the same way is not
/// said twice.
struct FindingCollector {
    var sources: SourceSet
    private(set) var findings: [Finding] = []
    private var seen: Set<String> = []

    init(sources: SourceSet) { self.sources = sources }

    /// - Parameter token: the text at the mark, which the marker underlines.
    mutating func report(
        _ code: FindingCode, at mark: SourceMark, token: String = "", severity: Severity? = nil, _ message: String,
        suggestion: String? = nil, fix: String? = nil, allowed: [String] = []
    ) {
        guard sources.files.indices.contains(mark.file) else { return }
        let source = sources.files[mark.file]
        // A parser may point just behind the last line; a reader is shown the last one.
        let line = Swift.min(Swift.max(mark.line, 1), source.lineCount)
        let column = line < mark.line ? 1 : Swift.min(Swift.max(mark.column, 1), source.scalars(ofLine: line).count + 1)
        let place = SourceMark(file: mark.file, line: line, column: column)
        guard seen.insert("\(code.rawValue) \(mark.file):\(line):\(column) \(message)").inserted else { return }
        findings.append(
            Finding(
                code: code, severity: severity ?? code.severity, file: source.path, line: line, column: column,
                length: source.length(of: token, at: place), message: message, suggestion: suggestion, fix: fix, allowed: allowed,
                sourceLine: source.line(line)))
    }

    var sorted: [Finding] { Finding.sorted(findings, in: sources.files.map(\.path)) }
}
