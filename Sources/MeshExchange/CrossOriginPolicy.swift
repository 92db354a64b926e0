import MeshModel

/// Which pages of other origins may use a route: the answers to their browsers' questions (Fetch, "CORS protocol").
package struct CrossOriginPolicy: Hashable, Sendable {
    private let allowsAny: Bool
    private let exact: [[UInt8]]
    /// `https://*.example.com`, cut at the asterisk.
    private let patterns: [Pattern]
    private let methods: String
    private let headers: String
    private let expose: String
    private let allowsCredentials: Bool
    private let maxAge: Int64?

    private struct Pattern: Hashable, Sendable {
        var prefix: [UInt8]
        var suffix: [UInt8]
    }

    /// What the upstream says itself is replaced.
    package static let replacedFields = [
        "access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers",
    ].map { Array($0.utf8) }

    package init(_ configuration: CrossOriginConfiguration) throws(RoutePattern.Invalid) {
        allowsAny = configuration.origins.contains("*")
        var exact: [[UInt8]] = []
        var patterns: [Pattern] = []
        for origin in configuration.origins where origin != "*" {
            guard Self.isOrigin(origin) else {
                throw RoutePattern.Invalid(description: "'\(origin)' is no origin: write https://shop.example.com, without a path")
            }
            let origin = origin.lowercased()
            if let star = origin.firstIndex(of: "*") {
                let suffix = origin[origin.index(after: star)...]
                patterns.append(Pattern(prefix: Array(origin[..<star].utf8), suffix: Array(suffix.utf8)))
            } else {
                exact.append(Array(origin.utf8))
            }
        }
        self.exact = exact
        self.patterns = patterns
        methods = configuration.methods.joined(separator: ", ")
        headers = configuration.headers.joined(separator: ", ")
        expose = configuration.expose.joined(separator: ", ")
        allowsCredentials = configuration.credentials
        maxAge = configuration.maxAge.map { $0.nanoseconds / 1_000_000_000 }
    }

    /// `scheme://host`, the host perhaps with `*.` in front and a port behind.
    package static func isOrigin(_ text: String) -> Bool {
        guard let scheme = text.firstRange(of: "://"), scheme.lowerBound != text.startIndex else { return text == "*" }
        let host = text[scheme.upperBound...]
        let stars = host.filter { $0 == "*" }.count
        guard !host.isEmpty, !text[..<scheme.lowerBound].contains("*"), stars == 0 || stars == 1 && host.hasPrefix("*.") else {
            return false
        }
        return host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x2f && $0 != 0x3f && $0 != 0x23 }
    }

    package func allows(_ origin: UnsafeRawBufferPointer) -> Bool {
        if allowsAny { return true }
        func equals(_ text: [UInt8], at start: Int) -> Bool {
            for index in text.indices {
                let byte = origin[start + index]
                guard (byte &- 0x41 < 26 ? byte | 0x20 : byte) == text[index] else { return false }
            }
            return true
        }
        for text in exact where text.count == origin.count && equals(text, at: 0) { return true }
        return patterns.contains { pattern in
            origin.count > pattern.prefix.count + pattern.suffix.count && equals(pattern.prefix, at: 0)
                && equals(pattern.suffix, at: origin.count - pattern.suffix.count)
        }
    }

    /// Field lines of the answer to a preflight; of one that is not allowed, only what caches have to know.
    package func preflightLines(
        origin: UnsafeRawBufferPointer, method: UnsafeRawBufferPointer, headers asked: UnsafeRawBufferPointer?
    ) -> [UInt8] {
        var lines = Array("vary: origin, access-control-request-method, access-control-request-headers\r\n".utf8)
        guard allows(origin) else { return lines }
        appendOrigin(origin, to: &lines)
        lines += Array("access-control-allow-methods: ".utf8)
        if methods.isEmpty { lines += method } else { lines += Array(methods.utf8) }
        lines += Array("\r\n".utf8)
        if !headers.isEmpty {
            lines += Array("access-control-allow-headers: \(headers)\r\n".utf8)
        } else if let asked {
            lines += Array("access-control-allow-headers: ".utf8) + asked + Array("\r\n".utf8)
        }
        if let maxAge { lines += Array("access-control-max-age: \(maxAge)\r\n".utf8) }
        return lines
    }

    /// Field lines of any other answer.
    package func responseLines(origin: UnsafeRawBufferPointer?) -> [UInt8] {
        var lines: [UInt8] = []
        if !isAlike { lines += Array("vary: origin\r\n".utf8) }
        guard let origin, allows(origin) else { return lines }
        appendOrigin(origin, to: &lines)
        if !expose.isEmpty { lines += Array("access-control-expose-headers: \(expose)\r\n".utf8) }
        return lines
    }

    /// The answer is the same for every origin.
    private var isAlike: Bool { allowsAny && !allowsCredentials }

    private func appendOrigin(_ origin: UnsafeRawBufferPointer, to lines: inout [UInt8]) {
        lines += Array("access-control-allow-origin: ".utf8)
        if isAlike { lines.append(UInt8(ascii: "*")) } else { lines += origin }
        lines += Array("\r\n".utf8)
        if allowsCredentials { lines += Array("access-control-allow-credentials: true\r\n".utf8) }
    }
}
