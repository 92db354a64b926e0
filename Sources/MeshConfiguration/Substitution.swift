/// Replaces `${VAR}` and `${VAR:-default}` in the scalars of a tree; `$${` stands for a plain `${`.
struct Substitution {
    enum Problem: Hashable {
        /// Neither set nor given a default.
        case unresolved(name: String)
        /// No closing brace, or no name.
        case malformed
    }

    let variable: (String) -> String?

    /// - Returns: nil where there is nothing to replace.
    func replacing(in text: String) -> (text: String, problems: [Problem])? {
        guard text.contains("${") else { return nil }
        var result = ""
        var problems: [Problem] = []
        var rest = Substring(text)
        while let start = rest.firstRange(of: "${") {
            if rest[..<start.lowerBound].hasSuffix("$") {
                result += rest[..<start.lowerBound].dropLast() + "${"
                rest = rest[start.upperBound...]
                continue
            }
            result += rest[..<start.lowerBound]
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else {
                problems.append(.malformed)
                result += rest[start.lowerBound...]
                return (result, problems)
            }
            let expression = rest[start.upperBound..<end]
            rest = rest[rest.index(after: end)...]
            let parts = expression.firstRange(of: ":-")
            let name = String(expression[..<(parts?.lowerBound ?? expression.endIndex)])
            guard Self.isName(name) else {
                problems.append(.malformed)
                continue
            }
            let value = variable(name)
            if let parts {
                // As in a shell: set but empty counts as unset here.
                result += value.flatMap { $0.isEmpty ? nil : $0 } ?? String(expression[parts.upperBound...])
            } else if let value {
                result += value
            } else {
                problems.append(.unresolved(name: name))
            }
        }
        return (result + rest, problems)
    }

    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f: true
            default: false
            }
        }
    }

    /// Goes through a tree. A scalar that can't be completed is reported and marked as `isUnresolved`, so that its value isn't judged too.
    func apply(to node: ConfigurationNode, findings: inout FindingCollector) -> ConfigurationNode {
        var result = node
        switch node.content {
        case .list(let list):
            result.content = .list(list.map { apply(to: $0, findings: &findings) })
        case .map(let entries):
            result.content = .map(
                entries.map { entry in
                    var entry = entry
                    entry.value = apply(to: entry.value, findings: &findings)
                    return entry
                })
        case .scalar(let scalar):
            guard let (text, problems) = replacing(in: scalar.text) else { break }
            var replaced = ScalarText(text, raw: scalar.text)
            replaced.isUnresolved = !problems.isEmpty
            result.content = .scalar(replaced)
            for problem in problems {
                switch problem {
                case .unresolved(let name):
                    findings.report(
                        .unresolvedVariable, at: node.mark, token: scalar.raw, "the environment variable \(name) is not set",
                        fix: "set \(name), or give it a default: ${\(name):-value}")
                case .malformed:
                    findings.report(
                        .unresolvedVariable, at: node.mark, token: scalar.raw, "'\(scalar.raw)' has a ${ that can't be read",
                        fix: "write ${NAME} or ${NAME:-default}; $${ stands for a plain ${")
                }
            }
        }
        return result
    }
}
