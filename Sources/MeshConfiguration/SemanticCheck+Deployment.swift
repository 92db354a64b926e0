import MeshExchange
import MeshModel
import MeshPolicy

// What runs where: weights, ports, executables, secrets.

extension SemanticCheck {
    mutating func checkWeights() {
        for entry in root["services"]?.entries ?? [] {
            guard let versions = entry.value.entry("versions"), let entries = versions.value.entries else { continue }
            let weights = entries.compactMap { $0.value["weight"]?.integer(0...100) }
            let areReadable = entries.allSatisfy { $0.value["weight"] == nil || $0.value["weight"]?.integer(0...100) != nil }
            guard !weights.isEmpty, areReadable else { continue }
            checkSum(weights, of: "services.\(entry.key).versions", at: versions.keyMark, token: "versions")
        }
        let routes = root[path: "gateway", "routes"]
        let named = routes?.list.map { $0.map { ("a route", $0) } } ?? (routes?.entries ?? []).map { ($0.key, $0.value) }
        for (name, node) in named {
            guard node.scalar == nil, let to = node.entry("to"), case .map(let entries) = to.value.content else { continue }
            let weights = entries.compactMap { $0.value.integer(0...100) }
            guard weights.count == entries.count else { continue }
            checkSum(weights, of: "to: of \(name)", at: to.keyMark, token: "to")
        }
    }

    private mutating func checkSum(_ weights: [Int], of subject: String, at mark: SourceMark, token: String) {
        let sum = weights.reduce(0, +)
        guard sum != 100 else { return }
        findings.report(
            .weightsDoNotAddUp, at: mark, token: token, "the weights in \(subject) add up to \(sum), not to 100",
            fix: "change them by \(sum < 100 ? "+" : "-")\(abs(100 - sum)) in all")
    }

    /// More ready replicas asked for than there are (M047). One alone is always all: a profile may have made it so.
    mutating func checkAvailability() {
        for service in document.services {
            guard case .count(let count)? = service.minAvailable, let most = service.versions.map(\.replicas).max(), most > 1, count > most,
                let node = root[path: "services", service.name, "min_available"]
            else { continue }
            findings.report(
                .moreAvailableThanReplicas, at: node.mark, token: node.scalar?.raw ?? "",
                "\(service.name) has \(most) replicas, of which \(count) can't be ready",
                fix: "min_available: \(most - 1), or replicas: \(count + 1)")
        }
    }

    mutating func checkPorts() {
        var taken: [(owner: String, address: SocketAddress, mark: SourceMark)] = []
        var collector = findings
        func check(_ owner: String, _ address: SocketAddress, at mark: SourceMark, token: String) {
            if let other = taken.first(where: { $0.address.collides(with: address) }) {
                collector.report(
                    .portConflict, at: mark, token: token,
                    "\(owner) and \(other.owner) (line \(other.mark.line)) both listen on \(address)",
                    fix: "give one of them another port")
            } else {
                taken.append((owner, address, mark))
            }
        }
        if document.gateway?.command != nil || root[path: "gateway", "listen"] != nil {
            for listen in document.gateway?.listen ?? [] { check("gateway", listen.address, at: listen.mark, token: "") }
        }
        for (owner, node) in [("metrics", root[path: "metrics", "listen"]), ("traces.otlp_listen", root[path: "traces", "otlp_listen"])] {
            guard let node, let address = node.address else { continue }
            check(owner, address, at: node.mark, token: node.scalar?.raw ?? "")
        }
        for entry in root["services"]?.entries ?? [] {
            // A program that is told its port by hand listens on it, besides where the mesh lets it.
            guard let node = entry.value[path: "env", "PORT"], let port = node.argument.flatMap({ Int($0) }), (1...65535).contains(port)
            else {
                continue
            }
            check(entry.key, .tcp(host: "0.0.0.0", port: port), at: node.mark, token: node.scalar?.raw ?? "")
        }
        findings = collector
        var urls: [(service: String, url: MeshDocument.Service.URL)] = []
        for service in document.services {
            for url in service.urls {
                if let other = urls.first(where: { $0.url.url == url.url }) {
                    findings.report(
                        .portConflict, at: url.mark, token: url.text, severity: .warning,
                        "\(service.name) and \(other.service) (line \(other.url.mark.line)) are at the same address \(url.url.authority)",
                        fix: "correct one of them, or make one service of the two")
                } else {
                    urls.append((service.name, url))
                }
            }
        }
    }

    mutating func checkExecutables() {
        if let command = document.gateway?.command { check(command, of: "the gateway") }
        for service in document.services {
            for version in service.versions { check(version.command, of: version.name.map { "\(service.name)/\($0)" } ?? service.name) }
        }
    }

    private mutating func check(_ command: MeshDocument.Command, of owner: String) {
        let problem: String
        if command.executable.contains("/") {
            guard !environment.isExecutable(command.executable) else { return }
            problem =
                environment.fileExists(command.executable)
                ? "'\(command.written)' is no executable file" : "there is no '\(command.written)'"
        } else {
            let folders = (environment.variable("PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
            guard !folders.contains(where: { environment.isExecutable(FilePath.join(String($0), command.executable)) }) else { return }
            problem = "there is no '\(command.written)' in PATH"
        }
        let name = command.executable.split(separator: "/").last.map(String.init) ?? command.executable
        let fix =
            if command.executable.contains("/.build/release/") {
                "build it: swift build -c release --product \(name)"
            } else if command.executable.contains("/.build/") {
                "build it: swift build --product \(name)"
            } else if environment.fileExists(command.executable) {
                "make it executable: chmod +x \(command.written)"
            } else {
                "build or install it, or correct the path; relative paths start at the file's folder"
            }
        findings.report(.missingExecutable, at: command.mark, token: command.written, "\(owner) can't be started: \(problem)", fix: fix)
    }
}

extension SemanticCheck {
    mutating func checkCertificates() {
        let nodes = root[path: "gateway", "tls"]?.elements ?? []
        let certificates = document.gateway?.tls?.certificates ?? []
        guard nodes.count == certificates.count else { return }
        for (node, files) in zip(nodes, certificates) {
            for (key, path) in [("cert", files.certificate), ("key", files.key)] where !environment.fileExists(path) {
                guard let value = node[key] else { continue }
                reportMissing(path, at: value, "gateway.tls.\(key)")
            }
        }
        let collectors = (root[path: "traces", "export"]?.elements ?? []).filter { ($0["url"] ?? $0).url != nil }
        for (node, export) in zip(collectors, document.traces.exports) {
            guard let path = export.tls.authorities, !environment.fileExists(path), let value = node[path: "tls", "ca"] else { continue }
            reportMissing(path, at: value, "traces.export.tls.ca")
        }
    }

    private mutating func reportMissing(_ path: String, at value: ConfigurationNode, _ key: String) {
        findings.report(
            .unreadableFile, at: value.mark, token: value.text ?? "", "\(key): there is no '\(value.text ?? path)'",
            fix: "correct the path; relative paths start at the file's folder")
    }
}

extension SocketAddress {
    /// Whether both can't be bound at once. Port 0 is another one each time.
    fileprivate func collides(with other: SocketAddress) -> Bool {
        guard case .tcp(let host, let port) = self, case .tcp(let otherHost, let otherPort) = other else { return self == other }
        let anywhere = ["0.0.0.0", "::", "*"]
        return port != 0 && port == otherPort && (host == otherHost || anywhere.contains(host) || anywhere.contains(otherHost))
    }
}

// MARK: - Secrets

extension SemanticCheck {
    /// Secrets that anybody can read who can read the file (M043): by the name of a variable, by the look of a value.
    mutating func checkSecrets() {
        for entry in root["services"]?.entries ?? [] {
            checkVariables(entry.value["env"])
            for version in entry.value["versions"]?.entries ?? [] { checkVariables(version.value["env"]) }
        }
        checkValues(root, under: "")
    }

    private mutating func checkVariables(_ node: ConfigurationNode?) {
        for entry in node?.entries ?? [] {
            guard let scalar = entry.value.scalar, scalar.kind == .text, !scalar.isSubstituted, !scalar.isUnresolved,
                Self.isSecretName(entry.key),
                !scalar.text.isEmpty, !scalar.text.hasPrefix("/")
            else { continue }
            findings.report(
                .secretInFile, at: entry.value.mark, token: scalar.raw, "the value of \(entry.key) looks like a secret",
                fix: "take it from the environment: \(entry.key): ${\(entry.key)}")
        }
    }

    private mutating func checkValues(_ node: ConfigurationNode, under key: String) {
        switch node.content {
        case .map(let entries): for entry in entries { checkValues(entry.value, under: entry.key) }
        case .list(let elements): for element in elements { checkValues(element, under: key) }
        case .scalar(let scalar):
            guard !scalar.isSubstituted, !scalar.isUnresolved, let kind = Self.kindOfSecret(scalar.text) else { return }
            findings.report(
                .secretInFile, at: node.mark, token: scalar.raw, "this looks like \(kind)",
                fix: "take it from the environment, as ${NAME}, or from a file of its own")
        }
    }

    static func isSecretName(_ name: String) -> Bool {
        let words = name.uppercased().split(separator: "_").map(String.init)
        let joined = words.joined(separator: "_")
        // A file, or the name of something, is no secret itself.
        guard !["FILE", "PATH", "NAME", "URL", "TTL"].contains(words.last ?? "") else { return false }
        return words.contains { ["PASSWORD", "PASSWD", "PASS", "SECRET", "TOKEN", "APIKEY", "CREDENTIALS"].contains($0) }
            || ["API_KEY", "PRIVATE_KEY", "ACCESS_KEY", "SECRET_KEY"].contains { joined.hasSuffix($0) }
    }

    static func kindOfSecret(_ text: String) -> String? {
        if text.contains("PRIVATE KEY-----") { return "a private key" }
        for (prefix, length, kind) in [
            ("AKIA", 20, "an access key of AWS"), ("ghp_", 40, "a token of GitHub"), ("github_pat_", 60, "a token of GitHub"),
            ("glpat-", 20, "a token of GitLab"), ("xoxb-", 24, "a token of Slack"), ("sk_live_", 24, "a key of Stripe"),
        ]
        where text.hasPrefix(prefix) && text.utf8.count >= length
            && text.utf8.allSatisfy({ isAlphanumeric($0) || $0 == 0x5f || $0 == 0x2d })
        {
            return kind
        }
        if let information = MeshURL(text)?.userInformation, information.contains(":") { return "a password in a URL" }
        for option in ["--password=", "--token=", "--secret=", "--api-key="] {
            if let range = text.firstRange(of: option), range.upperBound < text.endIndex, !text[range.upperBound...].hasPrefix("/") {
                return "a secret on a command line"
            }
        }
        return nil
    }
}
