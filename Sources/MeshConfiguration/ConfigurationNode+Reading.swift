import MeshModel

/// Values of scalars, as far as they are of the right type: what is not was reported by `ShapeCheck`, and reads as absent.
extension ConfigurationNode {
    private func known(_ type: ScalarType) -> ScalarText? {
        guard let scalar, !scalar.isUnresolved, type.accepts(scalar) else { return nil }
        return scalar
    }

    var text: String? { known(.text)?.text }
    var name: String? { known(.name)?.text }
    var argument: String? { known(.argument)?.text }
    var boolean: Bool? { scalar?.boolean }
    /// `on`, `off` or a boolean.
    var toggle: Bool? { known(.toggle).map { $0.boolean ?? ($0.text == "on") } }
    var isOff: Bool { known(.off) != nil }
    var duration: Timespan? { known(.duration(canBeZero: true)).flatMap { Quantity.duration($0.text) } }
    var size: Int? { known(.size).flatMap { Quantity.size($0.text) } }
    var share: Double? { known(.share).flatMap { $0.number ?? Quantity.percentage($0.text) } }
    var sigma: Double? { known(.number(above: 0, upTo: 10))?.number }
    var cores: Double? { known(.number(above: 0, upTo: 4096))?.number }
    var rate: Double? { known(.rate).flatMap { Quantity.rate($0.text) } }
    var fieldName: String? { known(.fieldName)?.text }
    var scopedRate: String? { known(.scopedRate)?.text }
    /// As a share: 0.99 for `p99`.
    var percentile: Double? { known(.percentile).flatMap { Double($0.text.dropFirst()) }.map { $0 / 100 } }
    var url: MeshURL? { known(.url).flatMap { MeshURL($0.text) } }

    func integer(_ range: ClosedRange<Int>) -> Int? { known(.integer(range))?.integer }
    func word(_ words: String...) -> String? { text.flatMap { words.contains($0) ? $0 : nil } }

    /// One value alone counts as a list of one.
    var elements: [ConfigurationNode] { isNull ? [] : list ?? [self] }

    var address: SocketAddress? { address(ofPortAlone: "0.0.0.0") }

    /// - Parameter standard: the host of a port alone.
    func address(ofPortAlone standard: String) -> SocketAddress? {
        guard let text = known(.address)?.text else { return nil }
        guard let colon = text.lastIndex(of: ":") else {
            return (known(.address)?.integer ?? Int(text)).map { .tcp(host: standard, port: $0) }
        }
        guard let port = Int(text[text.index(after: colon)...]) else { return nil }
        var host = text[..<colon]
        if host == "*" { return .tcp(host: "0.0.0.0", port: port) }
        if host.hasPrefix("[") { host = host.dropFirst().dropLast() }
        return .tcp(host: String(host), port: port)
    }
}

/// Splits a command into words as a shell does: blanks separate, quotes hold together, a backslash takes the next character as it is.
/// Nothing else of a shell is there: no variables, no pipes.
enum CommandLine {
    static func words(_ text: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var escaped = false
        for character in text {
            if escaped {
                word = (word ?? "") + String(character)
                escaped = false
            } else if character == "\\", quote != "'" {
                escaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let complete = word { words.append(complete) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return words
    }
}
