import MeshModel

extension ScalarType {
    /// Whether a scalar is one of this type.
    func accepts(_ scalar: ScalarText) -> Bool {
        switch self {
        case .argument: return scalar.kind != .null
        case .boolean: return scalar.kind == .boolean
        case .toggle: return scalar.kind == .boolean || scalar.kind == .text && (scalar.text == "on" || scalar.text == "off")
        case .off: return scalar.boolean == false || scalar.kind == .text && scalar.text == "off"
        case .integer(let range): return scalar.integer.map(range.contains) ?? false
        case .number(let low, let high): return scalar.number.map { $0 > low && $0 <= high } ?? false
        case .share where scalar.kind == .number: return scalar.number.map { (0...1).contains($0) } ?? false
        // A port alone is a number in YAML.
        case .address where scalar.kind == .number: return scalar.integer.map((0...65535).contains) ?? false
        default: return scalar.kind == .text && accepts(text: scalar.text)
        }
    }

    private func accepts(text: String) -> Bool {
        let bytes = Array(text.utf8)
        switch self {
        case .text: return !text.isEmpty
        case .command: return !CommandLine.words(text).isEmpty
        case .keyword(let word): return text == word
        case .name: return isName(bytes)
        case .duration(let canBeZero):
            // Zero by what is written: 0.1us is no whole nanosecond, but not nothing either.
            return Quantity.duration(text) != nil && (canBeZero || !isZero(bytes))
        case .size:
            guard Quantity.size(text) != nil, !isZero(bytes) else { return false }
            return !text.contains(".") || !text.hasSuffix("B") || text.dropLast().last.map { !$0.isNumber } ?? false
        case .share:
            // No leading zeros, and nothing above the whole.
            return Quantity.percentage(text) != nil && !(bytes.count > 2 && bytes[0] == 0x30 && isDigit(bytes[1]))
                && !text.hasPrefix("100.")
        case .rate: return Quantity.rate(text) != nil && !isZero(bytes)
        case .scopedRate:
            guard let separator = text.firstRange(of: " per ") else { return Self.rate.accepts(text: text) }
            let scope = text[separator.upperBound...]
            guard Self.rate.accepts(text: String(text[..<separator.lowerBound])) else { return false }
            return scope == "client" || scope.hasPrefix("header ") && Self.fieldName.accepts(text: String(scope.dropFirst(7)))
        case .percentile:
            guard bytes.first == 0x70 else { return false }
            let parts = bytes.dropFirst().split(separator: 0x2e, omittingEmptySubsequences: false)
            guard parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) }) else { return false }
            return parts[0].count <= 2 && (parts.count == 1 || parts.count == 2 && parts[1].count <= 3)
        case .fixedLimit:
            let number = bytes.dropFirst(6)
            return text.hasPrefix("fixed ") && (1...6).contains(number.count) && number.first != 0x30 && number.allSatisfy(isDigit)
        case .address: return acceptsAddress(text)
        case .url: return MeshURL(text) != nil
        case .registryURL:
            guard text.hasPrefix("etcd://") else { return false }
            return text.dropFirst(7).split(separator: ",", omittingEmptySubsequences: false).allSatisfy { member in
                !member.isEmpty && member.utf8.allSatisfy { isAlphanumeric($0) || "._[]:-".utf8.contains($0) }
            }
        case .pathPattern: return RouteKey.isPattern(text)
        case .routeKey: return RouteKey(text) != nil
        case .variableName: return Substitution.isName(text)
        case .urlPath: return bytes.first == 0x2f && !hasWhitespace(text) && !text.contains("?") && !text.contains("#")
        case .method: return !bytes.isEmpty && bytes.allSatisfy(isUpperCase)
        case .requestLine:
            let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, Self.method.accepts(text: String(parts[0])) else { return false }
            return parts[1].hasPrefix("/") && !hasWhitespace(String(parts[1])) && !parts[1].contains("#")
        case .fieldName:
            return !bytes.isEmpty && bytes.allSatisfy { isAlphanumeric($0) || "!#$%&'*+.^_`|~-".utf8.contains($0) }
        case .host:
            let name = text.hasPrefix("*.") ? Array(bytes.dropFirst(2)) : bytes
            guard let first = name.first, let last = name.last, isAlphanumeric(first), isAlphanumeric(last) else { return false }
            return name.allSatisfy { isAlphanumeric($0) || "._-".utf8.contains($0) }
        case .addressBlock:
            let parts = bytes.split(separator: 0x2f, omittingEmptySubsequences: false)
            guard parts[0].allSatisfy({ isHexadecimal($0) || $0 == 0x2e || $0 == 0x3a }), !parts[0].isEmpty else { return false }
            return parts.count == 1 || parts.count == 2 && (1...3).contains(parts[1].count) && parts[1].allSatisfy(isDigit)
        case .argument, .boolean, .toggle, .off, .integer, .number: return false
        }
    }

    private func acceptsAddress(_ text: String) -> Bool {
        guard let colon = text.lastIndex(of: ":") else { return isPort(text[...]) }
        guard isPort(text[text.index(after: colon)...]) else { return false }
        let host = text[..<colon]
        if host == "*" { return true }
        if host.hasPrefix("["), host.hasSuffix("]") {
            let inner = host.dropFirst().dropLast().utf8
            return !inner.isEmpty
                && inner.allSatisfy { isDigit($0) || (0x61...0x7a).contains($0) || isHexadecimal($0) || ":.%".utf8.contains($0) }
        }
        return !host.isEmpty && host.utf8.allSatisfy { isAlphanumeric($0) || "._-".utf8.contains($0) }
    }

    private func isName(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, bytes.count <= 63, isAlphanumeric(first), !isDigit(first) else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2d || $0 == 0x5f }
    }

    /// Nothing but zeros before the unit.
    private func isZero(_ bytes: [UInt8]) -> Bool {
        bytes.prefix { isDigit($0) || $0 == 0x2e }.allSatisfy { $0 == 0x30 || $0 == 0x2e }
    }

    private func hasWhitespace(_ text: String) -> Bool { text.unicodeScalars.contains { $0.properties.isWhitespace || $0 == "\u{feff}" } }
}

/// 0 to 65535, without needless zeros where it has five digits.
private func isPort(_ text: Substring) -> Bool {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy(isDigit), let number = Int(text) else { return false }
    return number <= 65535 && (text.utf8.count < 5 || text.utf8.first != 0x30)
}

func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
func isUpperCase(_ byte: UInt8) -> Bool { (0x41...0x5a).contains(byte) }
func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || isUpperCase(byte) || (0x61...0x7a).contains(byte) }
func isHexadecimal(_ byte: UInt8) -> Bool { isDigit(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte) }

/// The parts of an `http:` or `https:` URL that a call needs.
package struct MeshURL: Hashable, Sendable {
    package var isSecure: Bool
    /// Without brackets.
    package var host: String
    package var port: Int
    /// What goes into `Host`: the port is left out where it is the scheme's own.
    package var authority: String
    /// Without a slash at its end; nil where there is none.
    package var basePath: String?
    /// Name and password before the `@`; they are no part of a call.
    package var userInformation: String?

    package init?(_ text: String) {
        guard let scheme = text.firstRange(of: "://") else { return nil }
        switch text[..<scheme.lowerBound] {
        case "http": isSecure = false
        case "https": isSecure = true
        default: return nil
        }
        guard !text.unicodeScalars.contains(where: { $0.properties.isWhitespace || $0 == "\u{feff}" || $0 == "?" || $0 == "#" }) else {
            return nil
        }
        let afterScheme = text[scheme.upperBound...]
        let authorityEnd = afterScheme.firstIndex(of: "/") ?? afterScheme.endIndex
        var server = afterScheme[..<authorityEnd]
        if let at = server.firstIndex(of: "@") {
            let information = server[..<at]
            guard !information.isEmpty else { return nil }
            userInformation = String(information)
            server = server[server.index(after: at)...]
        }
        let standardPort = isSecure ? 443 : 80
        port = standardPort
        var host = server
        if server.hasPrefix("[") {
            guard let end = server.firstIndex(of: "]") else { return nil }
            host = server[server.index(after: server.startIndex)..<end]
            guard !host.isEmpty, host.utf8.allSatisfy({ isHexadecimal($0) || $0 == 0x3a || $0 == 0x2e }) else { return nil }
            server = server[server.index(after: end)...]
            guard server.isEmpty || server.hasPrefix(":") else { return nil }
        } else {
            host = server[..<(server.firstIndex(of: ":") ?? server.endIndex)]
            guard !host.isEmpty, host.utf8.allSatisfy({ isAlphanumeric($0) || "._-".utf8.contains($0) }) else { return nil }
            server = server[host.endIndex...]
        }
        if server.hasPrefix(":") {
            let digits = server.dropFirst()
            guard isPort(digits), let number = Int(digits) else { return nil }
            port = number
        }
        self.host = String(host)
        let bracketed = host.contains(":") ? "[\(host)]" : String(host)
        authority = port == standardPort ? bracketed : "\(bracketed):\(port)"
        var path = afterScheme[authorityEnd...]
        while path.hasSuffix("/") { path = path.dropLast() }
        basePath = path.isEmpty ? nil : String(path)
    }
}
