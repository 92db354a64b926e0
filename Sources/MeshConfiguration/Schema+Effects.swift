extension Schema {
    /// What is accepted and checked, but not carried out by this version: `map.key`, or `map.key=word` for one value of a key.
    /// A key below one that stands here needs no line of its own. Each line goes when its feature comes.
    package static let withoutEffect: Set<String> = [
        "top.registry=etcd", "profile.registry=etcd", "service.on", "service.sidecar=process",
    ]

    /// Every key, as the table above names it.
    package static var keys: [String] { MapName.allCases.flatMap { name in map(name).keyNames.map { "\(name.rawValue).\($0)" } } }

    static func hasEffect(_ map: MapName, _ key: String) -> Bool { !withoutEffect.contains("\(map.rawValue).\(key)") }

    /// Whether one value of a key is carried out.
    static func hasEffect(_ map: MapName, _ key: String, value: ConfigurationNode) -> Bool {
        !withoutEffect.contains("\(map.rawValue).\(key)=\(effectWord(value))")
    }

    /// The word by which a value stands in the table: itself, the scheme of a URL (the last of several), or `sampled` for a map.
    private static func effectWord(_ value: ConfigurationNode) -> String {
        let texts = (value.list ?? [value]).compactMap { $0.scalar?.text }
        guard let text = texts.max() else { return "sampled" }
        return text.firstRange(of: "://").map { String(text[..<$0.lowerBound]) } ?? text
    }
}
