/// One node of a YAML document with the place that it came from.
///
/// Own type instead of `Yams.Node`: it outlives merging (each part keeps the file and position of its origin), and a scalar knows
/// what it was before `${VAR}` was replaced.
package struct ConfigurationNode: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case scalar(ScalarText)
        case list([ConfigurationNode])
        case map([Entry])
    }

    package struct Entry: Hashable, Sendable {
        package var key: String
        package var keyMark: SourceMark
        package var value: ConfigurationNode
    }

    package var content: Content
    package var mark: SourceMark

    package init(_ content: Content, at mark: SourceMark) {
        self.content = content
        self.mark = mark
    }

    var scalar: ScalarText? { if case .scalar(let scalar) = content { scalar } else { nil } }
    var list: [ConfigurationNode]? { if case .list(let list) = content { list } else { nil } }
    /// The entries of a map; an empty section (`services:` and nothing below) is an empty map.
    var entries: [Entry]? {
        switch content {
        case .map(let entries): entries
        case .scalar(let scalar) where scalar.kind == .null: []
        default: nil
        }
    }
    var isNull: Bool { scalar?.kind == .null }

    func entry(_ key: String) -> Entry? { entries?.first { $0.key == key } }
    subscript(key: String) -> ConfigurationNode? { entry(key)?.value }
    /// The node below a path of keys.
    subscript(path keys: String...) -> ConfigurationNode? {
        keys.reduce(Optional(self)) { node, key in node?[key] }
    }

    /// What stands in `overlay` wins: maps merge key by key, lists and scalars replace, an empty section changes nothing in a map.
    func merged(with overlay: ConfigurationNode) -> ConfigurationNode {
        guard case .map(let base) = content, let upper = overlay.entries else { return overlay }
        var result = base
        for entry in upper {
            if let index = result.firstIndex(where: { $0.key == entry.key }) {
                result[index] = Entry(key: entry.key, keyMark: entry.keyMark, value: result[index].value.merged(with: entry.value))
            } else {
                result.append(entry)
            }
        }
        return ConfigurationNode(.map(result), at: overlay.isNull ? mark : overlay.mark)
    }

    func removing(_ keys: Set<String>) -> ConfigurationNode {
        guard case .map(let entries) = content else { return self }
        return ConfigurationNode(.map(entries.filter { !keys.contains($0.key) }), at: mark)
    }
}

/// The text of a scalar, and what it is under YAML 1.2's core schema (so `off` and `on` are text, not booleans).
package struct ScalarText: Hashable, Sendable {
    package enum Kind: Hashable, Sendable { case null, boolean, number, text }

    /// After `${VAR}` was replaced.
    package var text: String
    /// As in the file.
    package var raw: String
    package var kind: Kind
    /// A variable in it has no value: what it will be is not known, and so not judged.
    package var isUnresolved = false

    package init(_ text: String, raw: String? = nil, isQuoted: Bool = false) {
        self.text = text
        self.raw = raw ?? text
        kind = isQuoted ? .text : Self.kind(ofPlain: text)
    }

    var isSubstituted: Bool { text != raw }
    var boolean: Bool? { kind == .boolean ? text.lowercased() == "true" : nil }

    /// The value of a number; nil for other kinds, infinities and what is no number.
    var number: Double? {
        guard kind == .number else { return nil }
        if text.hasPrefix("0x") { return Int(text.dropFirst(2), radix: 16).map(Double.init) }
        if text.hasPrefix("0o") { return Int(text.dropFirst(2), radix: 8).map(Double.init) }
        guard let value = Double(text.hasPrefix("+") ? String(text.dropFirst()) : text), value.isFinite else { return nil }
        return value
    }

    /// The value of a number without a fraction (JSON Schema counts 2.0 as an integer, and so do we).
    var integer: Int? {
        guard let number, let exact = Int(exactly: number) else { return nil }
        return exact
    }

    private static func kind(ofPlain text: String) -> Kind {
        switch text {
        case "", "~", "null", "Null", "NULL": .null
        case "true", "True", "TRUE", "false", "False", "FALSE": .boolean
        default: isNumber(text) ? .number : .text
        }
    }

    private static func isNumber(_ text: String) -> Bool {
        var bytes = Substring(text).utf8
        func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
        func digits() -> Int {
            let run = bytes.prefix(while: isDigit)
            bytes = bytes.dropFirst(run.count)
            return run.count
        }
        func accept(_ characters: String) -> Bool {
            guard let first = bytes.first, characters.utf8.contains(first) else { return false }
            bytes = bytes.dropFirst()
            return true
        }
        if text.hasPrefix("0x") {
            return text.utf8.count > 2 && text.utf8.dropFirst(2).allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
        }
        if text.hasPrefix("0o") { return text.utf8.count > 2 && text.utf8.dropFirst(2).allSatisfy { $0 >= 0x30 && $0 <= 0x37 } }
        _ = accept("+-")
        let whole = digits()
        let fraction = accept(".") ? digits() : 0
        guard whole + fraction > 0 else { return false }
        if accept("eE") {
            _ = accept("+-")
            guard digits() > 0 else { return false }
        }
        return bytes.isEmpty
    }
}
