/// The text of an `env_file`: a variable a line, `NAME=value`.
///
/// Empty lines and those that begin with `#` say nothing; `export ` may stand before a name. A value is taken as it is, without the blanks
/// around it and without a comment that a blank and `#` begin. In single quotes everything stands for itself; in double quotes `\n`, `\t`,
/// `\r`, `\"`, `\$` and `\\` mean what they do elsewhere. Nothing is replaced in a value.
package struct EnvironmentFile: Sendable {
    /// In the order of the file; the last of a name counts.
    package private(set) var variables: [(name: String, value: String)] = []
    package private(set) var problems: [Problem] = []

    /// A line that can't be read. It says nothing of what stands there, since that may be secret.
    package struct Problem: Hashable, Sendable {
        /// From 1.
        package var line: Int
        package var reason: String
    }

    package init(_ bytes: [UInt8]) {
        var line = 0
        for bytes in bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
            line += 1
            guard let text = String(validating: bytes, as: UTF8.self) else {
                problems.append(Problem(line: line, reason: "it is not UTF-8 text"))
                continue
            }
            do {
                guard let variable = try Self.variable(in: text[...]) else { continue }
                variables.append(variable)
            } catch {
                problems.append(Problem(line: line, reason: error.reason))
            }
        }
    }

    private struct Unreadable: Error {
        var reason: String
    }

    /// Nil for a line that says nothing.
    private static func variable(in line: Substring) throws(Unreadable) -> (name: String, value: String)? {
        var rest = trimmed(line)
        if rest.unicodeScalars.first == "\u{feff}" { rest = trimmed(Substring(rest.unicodeScalars.dropFirst())) }
        guard let first = rest.first, first != "#" else { return nil }
        if rest.hasPrefix("export ") { rest = trimmed(rest.dropFirst(7)) }
        guard let equals = rest.firstIndex(of: "=") else { throw Unreadable(reason: "there is no '=' behind the name") }
        let name = rest[..<equals]
        guard isName(name) else {
            throw Unreadable(reason: "what stands before '=' is no name: letters, digits and '_', no digit first, no blank behind it")
        }
        return (String(name), try value(trimmed(rest[rest.index(after: equals)...])))
    }

    private static func value(_ text: Substring) throws(Unreadable) -> String {
        guard !text.utf8.contains(0) else { throw Unreadable(reason: "a NUL can't stand in a variable") }
        guard let quote = text.first, quote == "'" || quote == "\"" else {
            let comment = text.indices.first { text[$0] == "#" && ($0 == text.startIndex || isBlank(text[text.index(before: $0)])) }
            return String(trimmed(text[..<(comment ?? text.endIndex)]))
        }
        var value = ""
        var at = text.index(after: text.startIndex)
        while at < text.endIndex, text[at] != quote {
            if quote == "\"", text[at] == "\\", text.index(after: at) < text.endIndex {
                at = text.index(after: at)
                value += escaped(text[at])
            } else {
                value.append(text[at])
            }
            at = text.index(after: at)
        }
        guard at < text.endIndex else { throw Unreadable(reason: "the quote at its beginning is never closed") }
        let rest = trimmed(text[text.index(after: at)...])
        guard rest.isEmpty || rest.hasPrefix("#") else { throw Unreadable(reason: "something stands behind the closing quote") }
        return value
    }

    private static func escaped(_ character: Character) -> String {
        switch character {
        case "n": "\n"
        case "r": "\r"
        case "t": "\t"
        case "\"", "\\", "$": String(character)
        default: "\\" + String(character)
        }
    }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return text.utf8.allSatisfy { $0 == 0x5f || (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20) }
    }

    private static func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" || character == "\r" }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text
    }
}

/// The value of a secret, of the file that holds nothing else.
package enum SecretFile {
    /// What a process can be handed in one variable, its name included, is 128 KiB on Linux.
    package static let mostBytes = 64 << 10

    /// The file without the line end at its end.
    package static func value(_ bytes: [UInt8]) throws(FileReadError) -> String {
        var bytes = bytes[...]
        if bytes.last == 0x0a { bytes.removeLast() }
        if bytes.last == 0x0d { bytes.removeLast() }
        guard !bytes.isEmpty else { throw FileReadError(reason: "it is empty") }
        guard bytes.count <= mostBytes else { throw FileReadError(reason: "it is larger than \(mostBytes >> 10) KiB") }
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw FileReadError(reason: "it is not text: write what it holds in base64")
        }
        return text
    }
}
