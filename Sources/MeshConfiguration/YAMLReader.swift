import Yams

/// Turns the text of one file into nodes that know their place.
///
/// Yams throws on the first map with a key twice and marks the first of the two. So each time it does, the key at that mark gets a
/// private-use character for its first one, as wide as before, and the file is composed again; what was renamed gets its name back
/// here, where the second occurrence is what is reported.
struct YAMLReader {
    /// Larger files are refused, and so are documents that grow beyond this many nodes by their aliases.
    static let maximumBytes = 4 << 20
    static let maximumNodes = 100_000
    static let maximumDepth = 64
    static let maximumDuplicates = 256

    private struct Renaming {
        var line: Int
        var column: Int
        var original: String
    }

    private let file: Int
    private var nodeCount = 0
    private var renamed: [Int: [Renaming]] = [:]

    /// - Parameter file: index of the text in the collector's sources.
    /// - Returns: nil where there is no tree; then the reason is among the findings.
    static func read(file: Int, findings: inout FindingCollector) -> ConfigurationNode? {
        var reader = YAMLReader(file: file)
        return reader.read(findings.sources.files[file], findings: &findings)
    }

    private init(file: Int) { self.file = file }

    private func mark(_ mark: Mark?) -> SourceMark { SourceMark(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1) }

    private mutating func read(_ source: SourceText, findings: inout FindingCollector) -> ConfigurationNode? {
        var lines = Self.masked(source.text)
        for attempt in 0...Self.maximumDuplicates {
            do {
                guard let root = try compose(yaml: String(lines)) else {
                    return ConfigurationNode(.map([]), at: SourceMark(file: file, line: 1, column: 1))
                }
                return try convert(root, depth: 0, findings: &findings)
            } catch let error as YamlError {
                if case .duplicatedKeysInMapping(let names, let context) = error {
                    if attempt < Self.maximumDuplicates, rename(at: context.mark, number: attempt, in: &lines) { continue }
                    findings.report(
                        .duplicateKey, at: mark(context.mark), "the key '\(names.first ?? "")' stands here more than once",
                        fix: "keep one of them")
                } else {
                    report(error, findings: &findings)
                }
                return nil
            } catch let error as TooLarge {
                findings.report(.oversizedDocument, at: error.mark, error.message, fix: error.fix)
                return nil
            } catch {
                findings.report(.syntaxError, at: mark(nil), "not YAML: \(error)")
                return nil
            }
        }
        return nil
    }

    private struct TooLarge: Error {
        var mark: SourceMark
        var message: String
        var fix: String
    }

    private mutating func convert(_ node: Node, depth: Int, findings: inout FindingCollector) throws -> ConfigurationNode {
        let mark = mark(node.mark)
        nodeCount += 1
        guard nodeCount <= Self.maximumNodes else {
            throw TooLarge(
                mark: mark, message: "the document has more than \(Self.maximumNodes) nodes, those that aliases repeat included",
                fix: "repeat less with aliases")
        }
        guard depth <= Self.maximumDepth else {
            throw TooLarge(mark: mark, message: "maps and lists lie more than \(Self.maximumDepth) deep", fix: "nest less")
        }
        switch node {
        case .scalar(let scalar):
            let isQuoted = scalar.style != .plain && scalar.style != .any
            return ConfigurationNode(.scalar(ScalarText(Self.unmasked(scalar.string), isQuoted: isQuoted)), at: mark)
        case .sequence(let sequence):
            return ConfigurationNode(.list(try sequence.map { try convert($0, depth: depth + 1, findings: &findings) }), at: mark)
        case .mapping(let mapping):
            return try convert(mapping, at: mark, depth: depth, findings: &findings)
        case .alias:
            // Composing replaces every alias by what it stands for.
            return ConfigurationNode(.scalar(ScalarText("")), at: mark)
        }
    }

    private mutating func convert(
        _ mapping: Node.Mapping, at mark: SourceMark, depth: Int, findings: inout FindingCollector
    ) throws -> ConfigurationNode {
        var entries: [ConfigurationNode.Entry] = []
        // A map may have tens of thousands of keys, of which each is held against all others.
        var lines: [String: Int] = [:]
        var inherited: [ConfigurationNode] = []
        for (key, value) in mapping {
            let keyMark = self.mark(key.mark)
            guard case .scalar(let scalar) = key else {
                findings.report(.wrongKind, at: keyMark, "a key must be text, not a map or a list", fix: "write the key as one word")
                continue
            }
            let name = originalName(scalar, at: keyMark)
            let node = try convert(value, depth: depth + 1, findings: &findings)
            if name == "<<", scalar.style == .plain {
                inherited += node.list ?? [node]
                continue
            }
            if let first = lines[name] {
                findings.report(
                    .duplicateKey, at: keyMark, token: name, "the key '\(name)' is already in line \(first)",
                    suggestion: "remove one of the two")
                continue
            }
            lines[name] = keyMark.line
            entries.append(ConfigurationNode.Entry(key: name, keyMark: keyMark, value: node))
        }
        // YAML's merge key: what stands in the map itself wins, then the earlier of the merged ones.
        for base in inherited {
            guard let more = base.entries else {
                findings.report(.wrongKind, at: base.mark, "'<<' merges a map, or a list of maps", fix: "give it the alias of a map")
                continue
            }
            for entry in more where lines.updateValue(entry.keyMark.line, forKey: entry.key) == nil { entries.append(entry) }
        }
        return ConfigurationNode(.map(entries), at: mark)
    }
}

// MARK: - Duplicate keys

extension YAMLReader {
    /// Gives the key that begins at `mark` a name of its own, without moving anything; false where that can't be done.
    private mutating func rename(at mark: Mark, number: Int, in text: inout String.UnicodeScalarView) -> Bool {
        guard var index = Self.index(of: mark, in: text), let unique = Unicode.Scalar(0xf0000 + UInt32(number)) else { return false }
        if text[index] == "\"" || text[index] == "'" {
            let quote = text[index]
            index = text.index(after: index)
            // An empty name, or one that begins with an escape, stays as it is.
            guard index < text.endIndex, text[index] != quote, text[index] != "\\" else { return false }
        } else if "&*!?[{|>".unicodeScalars.contains(text[index]) {
            return false
        }
        let original = text[index]
        guard !original.properties.isWhitespace, original != ":" else { return false }
        text.replaceSubrange(index...index, with: CollectionOfOne(unique))
        renamed[mark.line, default: []].append(Renaming(line: mark.line, column: mark.column, original: String(original)))
        return true
    }

    private func originalName(_ scalar: Node.Scalar, at mark: SourceMark) -> String {
        guard let renaming = renamed[mark.line]?.first(where: { $0.column == mark.column }) else {
            return Self.unmasked(scalar.string)
        }
        return Self.unmasked(renaming.original + String(scalar.string.unicodeScalars.dropFirst()))
    }

    private static func index(of mark: Mark, in text: String.UnicodeScalarView) -> String.Index? {
        var line = 1
        var column = 1
        var index = text.startIndex
        while index < text.endIndex {
            if line == mark.line, column == mark.column { return index }
            let scalar = text[index]
            index = text.index(after: index)
            switch scalar.value {
            case 0x0d where index < text.endIndex && text[index] == "\n": break
            case 0x0a, 0x0d, 0x85, 0x2028, 0x2029: (line, column) = (line + 1, 1)
            default: column += 1
            }
        }
        return nil
    }
}

// MARK: - Variables

extension YAMLReader {
    /// Where the characters of YAML's own that stand inside `${…}` are kept while parsing: private use, plane 16.
    private static let maskBase: UInt32 = 0x10_0000

    /// Hides what a parser would trip over in `${NAME:-default}`, so that it needs no quotes between `{` and `}` either. As wide as before.
    private static func masked(_ text: String) -> String.UnicodeScalarView {
        var result = text.unicodeScalars
        guard text.contains("${"), !result.contains(where: { $0.value >= maskBase && $0.value < maskBase + 0x80 }) else { return result }
        result = String.UnicodeScalarView()
        let scalars = Array(text.unicodeScalars)
        var index = 0
        while index < scalars.count {
            if scalars[index] == "$", index + 1 < scalars.count, scalars[index + 1] == "{",
                let end = scalars[index...].firstIndex(where: { $0 == "}" || $0.properties.isWhitespace && $0 != " " }), scalars[end] == "}"
            {
                for scalar in scalars[index...end] {
                    let isMasked = "{}[]:,#".unicodeScalars.contains(scalar)
                    result.append(isMasked ? Unicode.Scalar(maskBase + scalar.value)! : scalar)
                }
                index = end + 1
            } else {
                result.append(scalars[index])
                index += 1
            }
        }
        return result
    }

    private static func unmasked(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value >= maskBase && $0.value < maskBase + 0x80 }) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isMasked = scalar.value >= maskBase && scalar.value < maskBase + 0x80
            result.append(isMasked ? Unicode.Scalar(UInt8(scalar.value - maskBase)) : scalar)
        }
        return String(result)
    }
}

// MARK: - Syntax errors

extension YAMLReader {
    private func report(_ error: YamlError, findings: inout FindingCollector) {
        switch error {
        case .scanner(let context, let problem, let place, _), .parser(let context, let problem, let place, _),
            .composer(let context, let problem, let place, _):
            let situation = context.map { "\($0.text), " } ?? ""
            findings.report(
                .syntaxError, at: mark(place), "not YAML: \(situation)\(problem)", fix: Self.advice(for: problem, context: context?.text))
        case .reader(let problem, let offset, _, _):
            findings.report(
                .syntaxError, at: place(ofOffset: offset ?? 0, in: findings.sources.files[file].text), "not YAML: \(problem)",
                fix: "remove the control character, or write it as an escape in double quotes")
        default:
            findings.report(.syntaxError, at: mark(nil), "not YAML: \(error)")
        }
    }

    private func place(ofOffset offset: Int, in text: String) -> SourceMark {
        var line = 1
        var column = 1
        for character in text.prefix(offset) {
            if character.isNewline { (line, column) = (line + 1, 1) } else { column += character.unicodeScalars.count }
        }
        return SourceMark(file: file, line: line, column: column)
    }

    private static func advice(for problem: String, context: String?) -> String {
        if problem.contains("tab") || problem.contains("cannot start any token") {
            return "indent with spaces, and put text with special characters in quotes"
        }
        if problem.contains("mapping values are not allowed") { return "put the value in quotes, or start the key on a line of its own" }
        if problem.contains("did not find expected ',' or") { return "close the { or [ above, or add a comma" }
        if problem.contains("did not find expected key") { return "indent the line like its neighbours" }
        if problem.contains("could not find expected ':'") { return "add the ':' after the key" }
        if problem.contains("undefined alias") { return "define the anchor (&name) before it is used" }
        if problem.contains("another document") { return "keep one document: remove the '---'" }
        if context?.contains("quoted scalar") == true { return "close the quotes" }
        return "check indentation, brackets and quotes here and in the line above"
    }
}
