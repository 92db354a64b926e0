extension Schema {
    /// The tables of all keys in docs/mesh-yaml.md, as Markdown: a test holds that page to it.
    package static func reference() -> String {
        MapName.allCases.map { name in
            let map = map(name)
            let rows = map.keys.map { key in
                let effect = hasEffect(name, key.name) ? "" : " *No effect yet.*"
                let standard = key.isRequired ? "required" : key.standard.map(escaped) ?? ""
                return "| `\(key.name)` | \(text(of: key.shape)) | \(standard) | \(escaped(key.summary))\(effect) |"
            }
            let choices = map.choices.map { choice in
                "\n\(choice.isRequired ? "Exactly" : "At most") one of \(choice.keys.map { "`\($0)`" }.joined(separator: ", ")).\n"
            }
            return """
                ### \(title(name))

                \(escaped(map.summary))
                \(choices.joined())
                | key | value | by default | |
                |---|---|---|---|
                \(rows.joined(separator: "\n"))

                """
        }.joined(separator: "\n")
    }

    /// `routeItem` as `route item`.
    private static func title(_ name: MapName) -> String {
        name.rawValue.reduce("") { $0 + ($1.isUppercase ? " " + $1.lowercased() : String($1)) }
    }

    private static func text(of shape: Shape) -> String {
        shape.alternatives.map { alternative in
            switch alternative {
            case .scalar(.keyword(let word)): "`\(word)`"
            case .scalar(let type): escaped(type.description)
            case .map(let name): "[\(title(name))](#\(title(name).split(separator: " ").joined(separator: "-")))"
            case .dictionary(_, let values, _): "map of names to \(text(of: values))"
            case .list(let shape, _): shape.alternatives.count == 1 ? "list of \(text(of: shape))" : "list of these"
            case .empty: "nothing"
            case .either: ""
            }
        }.joined(separator: ", ")
    }

    private static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|").split(
            separator: "*", omittingEmptySubsequences: false
        )
        .joined(separator: "\\*")
    }
}
