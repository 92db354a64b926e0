import MeshModel

/// Compares the tree of one file with the schema: kinds, keys, values, names, and keys without effect. What may come from another file
/// (a required key, a choice) is checked after merging, by `RequirementCheck`.
struct ShapeCheck {
    private var findings: FindingCollector

    static func check(_ root: ConfigurationNode, findings: inout FindingCollector) {
        var check = ShapeCheck(findings: findings)
        guard root.entries != nil else {
            check.findings.report(
                .wrongKind, at: root.mark, "the file must be a map of keys", fix: "begin with 'mesh: NAME'",
                allowed: Schema.map(.top).keyNames)
            findings = check.findings
            return
        }
        check.check(root, is: .map(.top), at: ConfigurationPath(), warnsOfEffects: true)
        findings = check.findings
    }

    private mutating func check(_ node: ConfigurationNode, is shape: Shape, at path: ConfigurationPath, warnsOfEffects: Bool) {
        let alternatives = shape.alternatives
        switch node.content {
        case .scalar(let scalar):
            check(scalar, of: node, isOneOf: alternatives, at: path)
        case .list(let elements):
            for case .list(let shape, let least) in alternatives where elements.count >= least {
                for (index, element) in elements.enumerated() {
                    check(element, is: shape, at: path.element(index), warnsOfEffects: warnsOfEffects)
                }
                return
            }
            reportKind(of: node, alternatives, at: path)
        case .map(let entries):
            for case .map(let name) in alternatives {
                return check(entries, areKeysOf: Schema.map(name), at: path, warnsOfEffects: warnsOfEffects)
            }
            for case .dictionary(let keys, let values, let least) in alternatives where entries.count >= least {
                for entry in entries {
                    checkName(of: entry, is: keys, at: path)
                    check(entry.value, is: values, at: path.key(entry.key), warnsOfEffects: warnsOfEffects)
                }
                return
            }
            reportKind(of: node, alternatives, at: path)
        }
    }

    private mutating func check(
        _ entries: [ConfigurationNode.Entry], areKeysOf map: MapShape, at path: ConfigurationPath, warnsOfEffects: Bool
    ) {
        for entry in entries {
            let below = path.key(entry.key)
            guard let key = map.key(entry.key) else {
                let place = path.isTop ? "at the top" : "in \(path)"
                findings.report(
                    .unknownKey, at: entry.keyMark, token: entry.key, "unknown key '\(entry.key)' \(place)",
                    suggestion: Suggestion.text(for: entry.key, among: map.keyNames), allowed: map.keyNames)
                continue
            }
            var warnsBelow = warnsOfEffects
            if warnsOfEffects, !entry.value.isNull {
                if !Schema.hasEffect(map.name, key.name) {
                    findings.report(
                        .keyWithoutEffect, at: entry.keyMark, token: entry.key, "\(below) has no effect yet",
                        fix: "remove it, or leave it for a later version")
                    warnsBelow = false
                } else if !Schema.hasEffect(map.name, key.name, value: entry.value) {
                    let value = entry.value.scalar.map { "\(below): \($0.text)" } ?? "\(below)"
                    findings.report(
                        .keyWithoutEffect, at: entry.keyMark, token: entry.key, "\(value) has no effect yet",
                        fix: key.standard.map { "remove it: this version does as with \(below): \($0)" }
                            ?? "remove it, or leave it for a later version")
                    warnsBelow = false
                }
            }
            check(entry.value, is: key.shape, at: below, warnsOfEffects: warnsBelow)
        }
    }

    private mutating func checkName(of entry: ConfigurationNode.Entry, is type: ScalarType, at path: ConfigurationPath) {
        // A key is text in YAML's eyes, whatever it looks like.
        guard !type.accepts(ScalarText(entry.key, isQuoted: true)) else { return }
        var suggestion: String?
        if type == .routeKey {
            let parts = entry.key.split(separator: " ")
            if parts.count == 2, parts[1].hasPrefix("/"), parts[0] != parts[0].uppercased() {
                suggestion = "did you mean '\(parts[0].uppercased()) \(parts[1])'?"
            } else if !entry.key.hasPrefix("/"), RouteKey("/" + entry.key) != nil {
                suggestion = "did you mean '/\(entry.key)'?"
            }
        }
        findings.report(
            .wrongName, at: entry.keyMark, token: entry.key, "'\(entry.key)' can't be a name in \(path)", suggestion: suggestion,
            allowed: [type.description])
    }

    private mutating func check(
        _ scalar: ScalarText, of node: ConfigurationNode, isOneOf alternatives: [Shape], at path: ConfigurationPath
    ) {
        guard !scalar.isUnresolved else { return }
        var types: [ScalarType] = []
        for alternative in alternatives {
            switch alternative {
            case .scalar(let type): types.append(type)
            case .map, .empty, .dictionary(_, _, 0), .list(_, 0): if scalar.kind == .null { return }
            case .dictionary, .list: break
            case .either: break
            }
        }
        guard !types.isEmpty, scalar.kind != .null else { return reportKind(of: node, alternatives, at: path) }
        guard !types.contains(where: { $0.accepts(scalar) }) else { return }
        let words = types.flatMap(\.words)
        let suggestion = Self.missingUnit(scalar, types) ?? Suggestion.text(for: scalar.text, among: words)
        let substituted = scalar.isSubstituted ? " (from '\(scalar.raw)')" : ""
        findings.report(
            .wrongValue, at: node.mark, token: scalar.raw, "\(path) can't be '\(scalar.text)'\(substituted)", suggestion: suggestion,
            allowed: Self.descriptions(alternatives))
    }

    private static func missingUnit(_ scalar: ScalarText, _ types: [ScalarType]) -> String? {
        guard scalar.kind == .number, let number = scalar.number, number > 0 else { return nil }
        for type in types {
            switch type {
            case .duration: return "did you mean '\(scalar.text)ms' or '\(scalar.text)s'?"
            case .size: return "did you mean '\(scalar.text)B' or '\(scalar.text)KiB'?"
            case .rate, .scopedRate: return "did you mean '\(scalar.text)/s'?"
            case .share where number > 1 && number <= 100: return "did you mean '\(scalar.text)%'?"
            default: break
            }
        }
        return nil
    }

    private mutating func reportKind(of node: ConfigurationNode, _ alternatives: [Shape], at path: ConfigurationPath) {
        let found =
            switch node.content {
            case .scalar(let scalar) where scalar.kind == .null: "empty"
            case .scalar(let scalar): "'\(scalar.text)'"
            case .list(let elements): elements.isEmpty ? "an empty list" : "a list"
            case .map(let entries): entries.isEmpty ? "an empty map" : "a map"
            }
        findings.report(
            .wrongKind, at: node.mark, token: node.scalar?.raw ?? "", "\(path.isTop ? "the file" : "\(path)") can't be \(found)",
            suggestion: "write \(Self.kinds(alternatives).joined(separator: " or "))", allowed: Self.descriptions(alternatives))
    }

    private static func kinds(_ alternatives: [Shape]) -> [String] {
        var kinds: [String] = []
        for alternative in alternatives {
            let kind =
                switch alternative {
                case .scalar: "one value"
                case .map, .dictionary: "a map"
                case .list: "a list"
                case .empty, .either: ""
                }
            if !kind.isEmpty, !kinds.contains(kind) { kinds.append(kind) }
        }
        return kinds
    }

    private static func descriptions(_ alternatives: [Shape]) -> [String] {
        alternatives.compactMap { alternative in
            switch alternative {
            case .scalar(let type): type.description
            case .map(let name): "a map of \(Schema.map(name).keyNames.joined(separator: ", "))"
            case .dictionary(let keys, _, _): "a map whose keys are each \(keys.description)"
            case .list(let shape, _): "a list" + (descriptions(shape.alternatives).first.map { " (of \($0), …)" } ?? "")
            case .empty, .either: nil
            }
        }
    }
}

/// Where something is in the tree, as one writes it: `services.orders.calls.ledger`.
struct ConfigurationPath: CustomStringConvertible {
    private(set) var description = ""

    var isTop: Bool { description.isEmpty }

    func key(_ name: String) -> ConfigurationPath {
        let isPlain = !name.isEmpty && name.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x5f || $0 == 0x2d }
        var path = self
        if !isTop { path.description += "." }
        path.description += isPlain ? name : "\"\(name)\""
        return path
    }

    func element(_ index: Int) -> ConfigurationPath {
        var path = self
        path.description += "[\(index)]"
        return path
    }
}

/// Checks in the merged tree what no single file has to have: required keys, and keys that exclude each other.
struct RequirementCheck {
    static func check(_ root: ConfigurationNode, findings: inout FindingCollector) {
        check(root, is: .map(.top), at: ConfigurationPath(), owner: (root.mark, ""), findings: &findings)
    }

    private static func check(
        _ node: ConfigurationNode, is shape: Shape, at path: ConfigurationPath, owner: (mark: SourceMark, key: String),
        findings: inout FindingCollector
    ) {
        for alternative in shape.alternatives {
            switch alternative {
            case .list(let shape, _):
                for (index, element) in (node.list ?? []).enumerated() {
                    check(element, is: shape, at: path.element(index), owner: (element.mark, ""), findings: &findings)
                }
            case .dictionary(_, let values, _):
                guard case .map(let entries) = node.content else { continue }
                for entry in entries {
                    check(entry.value, is: values, at: path.key(entry.key), owner: (entry.keyMark, entry.key), findings: &findings)
                }
            case .map(let name):
                guard let entries = node.entries else { continue }
                let map = Schema.map(name)
                check(entries, of: map, at: path, owner: owner, findings: &findings)
                // A profile is laid over the rest, and is no whole by itself.
                for entry in entries where !(name == .top && entry.key == "profiles") {
                    guard let key = map.key(entry.key) else { continue }
                    check(entry.value, is: key.shape, at: path.key(entry.key), owner: (entry.keyMark, entry.key), findings: &findings)
                }
            case .scalar, .empty, .either: break
            }
        }
    }

    private static func check(
        _ entries: [ConfigurationNode.Entry], of map: MapShape, at path: ConfigurationPath, owner: (mark: SourceMark, key: String),
        findings: inout FindingCollector
    ) {
        let subject = path.isTop ? "the file" : "\(path)"
        for key in map.keys where key.isRequired && !entries.contains(where: { $0.key == key.name }) {
            // Beside a misspelt key the second finding would only confuse.
            guard !entries.contains(where: { map.key($0.key) == nil && Suggestion.nearest(to: $0.key, among: [key.name]) != nil }) else {
                continue
            }
            findings.report(
                .missingKey, at: owner.mark, token: owner.key, "\(subject) has no '\(key.name)'", suggestion: "add '\(key.name)'",
                allowed: map.keyNames)
        }
        for choice in map.choices {
            let present = entries.filter { choice.keys.contains($0.key) }
            if present.isEmpty, choice.isRequired {
                guard !entries.contains(where: { map.key($0.key) == nil && Suggestion.nearest(to: $0.key, among: choice.keys) != nil })
                else { continue }
                findings.report(
                    .missingKey, at: owner.mark, token: owner.key, "\(subject) has none of \(choice.keys.joined(separator: ", "))",
                    suggestion: "add one of them", allowed: choice.keys)
            }
            for entry in present.dropFirst() {
                findings.report(
                    .conflictingKeys, at: entry.keyMark, token: entry.key, "\(subject) has both '\(present[0].key)' and '\(entry.key)'",
                    suggestion: "keep one of them", allowed: choice.keys)
            }
        }
    }
}
