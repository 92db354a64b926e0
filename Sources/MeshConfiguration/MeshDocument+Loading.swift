import MeshModel

extension MeshDocument {
    /// Reads, merges and judges a mesh.yaml.
    ///
    /// - Parameters:
    ///   - path: of the file; findings name it as it is given here.
    ///   - profile: the part of `profiles:` to lay over the file.
    /// - Returns: the document, or nil where a finding is an error; all findings, from the top of the file down.
    package static func load(
        path: String, profile: String? = nil, environment: any ConfigurationEnvironment = SystemConfigurationEnvironment()
    ) -> (document: MeshDocument?, findings: [Finding]) {
        var loader = ConfigurationLoader(environment: environment, profile: profile)
        let document = loader.load(path)
        let findings = loader.findings.sorted
        return (findings.hasErrors ? nil : document, findings)
    }
}

/// Follows `include:` and `profiles:` from the first file to one tree.
struct ConfigurationLoader {
    let environment: any ConfigurationEnvironment
    let profile: String?
    private(set) var findings = FindingCollector(sources: SourceSet())
    /// Absolute paths of the files that are being read, the outermost first.
    private var open: [String] = []
    private var trees: [String: ConfigurationNode] = [:]

    init(environment: any ConfigurationEnvironment, profile: String?) {
        self.environment = environment
        self.profile = profile
    }

    mutating func load(_ path: String) -> MeshDocument? {
        guard let whole = read(path, includedAt: nil) else { return nil }
        var root = whole.removing(["profiles", "include"])
        var restartsOnChange = false
        if let profile {
            let profiles = whole["profiles"]
            if let overlay = profiles?[profile] {
                restartsOnChange = overlay["watch"]?.boolean ?? false
                root = root.merged(with: overlay.removing(["watch"]))
            } else {
                let names = (profiles?.entries ?? []).map(\.key)
                findings.report(
                    .unknownProfile, at: whole.entry("profiles")?.keyMark ?? whole.mark, token: "profiles",
                    "there is no profile '\(profile)'", suggestion: Suggestion.text(for: profile, among: names),
                    fix: names.isEmpty ? "add profiles: { \(profile): … }" : nil, allowed: names)
            }
        }
        RequirementCheck.check(root, findings: &findings)
        let document = DocumentDecoder(sources: findings.sources, root: root).document(profile: profile, restartsOnChange: restartsOnChange)
        SemanticCheck.check(document, root: root, environment: environment, findings: &findings)
        return document
    }

    /// The tree of a file, laid over those that it includes; nil where it can't be read.
    private mutating func read(_ path: String, includedAt place: (mark: SourceMark, token: String)?) -> ConfigurationNode? {
        let absolute = FilePath.join(environment.workingFolder, path)
        if let tree = trees[absolute] { return tree }
        if open.contains(absolute), let place {
            findings.report(
                .includeCycle, at: place.mark, token: place.token, "'\(path)' includes itself, by way of this line", suggestion: "remove it"
            )
            return nil
        }
        open.append(absolute)
        defer { open.removeLast() }
        guard let file = source(path, absolute: absolute, includedAt: place) else { return nil }
        guard let parsed = YAMLReader.read(file: file, findings: &findings) else { return nil }
        let own = substituted(parsed)
        ShapeCheck.check(own, findings: &findings)
        guard own.entries != nil else { return nil }

        var tree: ConfigurationNode?
        for element in own["include"]?.elements ?? [] {
            guard let name = element.text else { continue }
            let below = FilePath.isAbsolute(name) ? name : FilePath.join(FilePath.folder(of: path), name)
            guard let base = read(below, includedAt: (element.mark, element.scalar?.raw ?? name)) else { continue }
            tree = tree.map { $0.merged(with: base) } ?? base
        }
        let result = tree.map { $0.merged(with: own) } ?? own
        trees[absolute] = result
        return result
    }

    /// Adds a file to the sources. A file that can't be read gets its finding where it is included, or else at its own beginning.
    private mutating func source(_ path: String, absolute: String, includedAt place: (mark: SourceMark, token: String)?) -> Int? {
        let file = findings.sources.files.count
        let problem: String
        do {
            let bytes = try environment.contents(ofFile: absolute)
            if bytes.count > YAMLReader.maximumBytes {
                problem = "it is larger than \(YAMLReader.maximumBytes >> 20) MiB"
            } else if let text = String(validating: bytes, as: UTF8.self) {
                let unmarked = text.hasPrefix("\u{feff}") ? String(text.unicodeScalars.dropFirst()) : text
                findings.sources.files.append(SourceText(path: path, folder: FilePath.folder(of: absolute), text: unmarked))
                return file
            } else {
                problem = "it is not UTF-8 text"
            }
        } catch {
            problem = error.reason
        }
        if place == nil { findings.sources.files.append(SourceText(path: path, folder: FilePath.folder(of: absolute), text: "")) }
        findings.report(
            .unreadableFile, at: place?.mark ?? SourceMark(file: file, line: 1, column: 1), token: place?.token ?? "",
            "'\(path)' can't be read: \(problem)",
            fix: place == nil ? "go to the folder of a mesh.yaml, or name one: -f FILE" : "correct the path")
        return nil
    }

    /// Variables of a profile that isn't chosen need no value.
    private mutating func substituted(_ tree: ConfigurationNode) -> ConfigurationNode {
        let substitution = Substitution(variable: environment.variable)
        guard case .map(var entries) = tree.content else { return substitution.apply(to: tree, findings: &findings) }
        for index in entries.indices {
            guard entries[index].key == "profiles", case .map(var profiles) = entries[index].value.content else {
                entries[index].value = substitution.apply(to: entries[index].value, findings: &findings)
                continue
            }
            for index in profiles.indices {
                if profiles[index].key == profile {
                    profiles[index].value = substitution.apply(to: profiles[index].value, findings: &findings)
                } else {
                    var unheard = findings
                    profiles[index].value = substitution.apply(to: profiles[index].value, findings: &unheard)
                }
            }
            entries[index].value.content = .map(profiles)
        }
        return ConfigurationNode(.map(entries), at: tree.mark)
    }
}
