import MeshExchange
import MeshModel
import MeshPolicy

/// Makes a document of a merged tree. It never fails: what can't be read was reported, and takes its default here, so that what follows
/// from the rest can still be judged.
struct DocumentDecoder {
    let sources: SourceSet
    let root: ConfigurationNode
    private let defaultsNode: ConfigurationNode

    init(sources: SourceSet, root: ConfigurationNode) {
        self.sources = sources
        self.root = root
        defaultsNode = root["defaults"] ?? ConfigurationNode(.map([]), at: root.mark)
    }

    func document(profile: String?, restartsOnChange: Bool) -> MeshDocument {
        let tiers = root["tiers"]?.elements.compactMap(\.name) ?? []
        return MeshDocument(
            name: root["mesh"]?.name ?? "", file: sources.files.first?.path ?? "", folder: sources.files.first?.folder ?? "/",
            profile: profile,
            tiers: tiers.isEmpty ? MeshDocument.standardTiers : tiers, allowsCallsWithinTier: root["same_tier"]?.boolean ?? false,
            restartsOnChange: restartsOnChange, gateway: root.entry("gateway").map(gateway),
            services: (root["services"]?.entries ?? []).map(service),
            traces: traces(root["traces"]),
            metricsListen: root[path: "metrics", "listen"]?.address,
            defaults: manner(ConfigurationNode(.map([]), at: defaultsNode.mark)))
    }

    private func traces(_ node: ConfigurationNode?) -> MeshDocument.Traces {
        var traces = MeshDocument.Traces(
            storePath: node?[path: "store", "path"].flatMap { node in node.text.map { path($0, at: node.mark) } },
            keeping: keeping(node?["keep"]),
            exports: (node?["export"]?.elements ?? []).compactMap(export),
            // Spans of anybody who can reach it are believed, so that a port alone is one of this host only.
            otlpListen: node?["otlp_listen"].flatMap { $0.address(ofPortAlone: "127.0.0.1") })
        if let age = node?[path: "store", "for"]?.duration { traces.storedFor = age }
        if let bytes = node?[path: "store", "max"]?.size { traces.storedAtMost = Int64(bytes) }
        return traces
    }

    private func export(_ node: ConfigurationNode) -> MeshDocument.Traces.Export? {
        let place = node["url"] ?? node
        guard let url = place.url, let text = place.text else { return nil }
        return MeshDocument.Traces.Export(
            text: text, endpoint: url.endpoint(identifiedBy: text), tls: upstreamTLS(node["tls"]),
            headers: (node["headers"]?.entries ?? []).compactMap { entry in
                entry.value.argument.map { .init(name: entry.key, value: $0) }
            })
    }

    private func upstreamTLS(_ node: ConfigurationNode?) -> UpstreamTLS {
        UpstreamTLS(
            authorities: node?["ca"].flatMap { ca in ca.text.map { path($0, at: ca.mark) } }, verifies: node?["verify"]?.boolean ?? true)
    }

    private func keeping(_ node: ConfigurationNode?) -> TraceKeeping {
        guard let node, node.text == nil else { return .all }
        func share(_ key: String) -> Double { node[key].map { $0.word("all") != nil ? 1 : $0.share ?? 1 } ?? 1 }
        let slow = node["slower_than"].flatMap { node in
            node.percentile.map { TraceKeeping.Threshold.quantile($0) } ?? node.duration.map { .duration($0) }
        }
        return TraceKeeping(errors: share("errors"), retried: share("retried"), slowerThan: slow, rest: share("rest"))
    }

    /// A path of the file, absolute.
    private func path(_ text: String, at mark: SourceMark) -> String {
        FilePath.join(sources.files.indices.contains(mark.file) ? sources.files[mark.file].folder : "/", text)
    }

    private func command(_ run: ConfigurationNode, arguments: ConfigurationNode?) -> MeshDocument.Command? {
        let words = run.list.map { $0.compactMap(\.text) } ?? run.text.map(CommandLine.words) ?? []
        guard let written = words.first else { return nil }
        return MeshDocument.Command(
            executable: written.contains("/") ? path(written, at: run.mark) : written,
            arguments: words.dropFirst() + (arguments?.list ?? []).compactMap(\.argument), mark: run.list?.first?.mark ?? run.mark,
            written: written)
    }
}

// MARK: - Gateway

extension DocumentDecoder {
    private func gateway(_ entry: ConfigurationNode.Entry) -> MeshDocument.Gateway {
        let node = entry.value
        let listen = (node["listen"]?.elements ?? []).compactMap { element in
            element.address.map { MeshDocument.Gateway.Listen(address: $0, mark: element.mark) }
        }
        var limits = InboundLimits()
        if let node = node["limits"] {
            limits = InboundLimits(
                headBytes: node["head"]?.size ?? limits.headBytes, fields: node["fields"]?.integer(1...10_000) ?? limits.fields,
                targetBytes: node["uri"]?.size ?? limits.targetBytes, bodyBytes: node["body"]?.size,
                connections: node["connections"]?.integer(1...10_000_000), streams: node["streams"]?.integer(1...100_000) ?? limits.streams)
        }
        let timeouts = InboundTimeouts()
        return MeshDocument.Gateway(
            mark: entry.keyMark, command: node["run"].flatMap { command($0, arguments: nil) },
            listen: listen.isEmpty
                ? [MeshDocument.Gateway.Listen(address: MeshDocument.Gateway.standardListen, mark: entry.keyMark)] : listen,
            threads: node["threads"]?.integer(1...1024), deadline: node["deadline"]?.duration ?? SnapshotConfiguration.defaultDeadline,
            retryCredit: retryCredit(node["retry_credit"]), routes: routes(node["routes"]),
            healthPath: node["health"]?.text ?? SnapshotConfiguration.defaultHealthPath,
            continuesTraces: node["trace_context"]?.word("continue") != nil,
            trustedProxies: (node["trusted_proxies"]?.elements ?? []).compactMap(\.text),
            proxyProtocol: node["proxy_protocol"]?.toggle ?? false, tls: inboundTLS(node), accessLog: accessLog(node["access_log"]),
            limits: limits,
            timeouts: InboundTimeouts(
                head: node[path: "timeouts", "head"]?.duration ?? timeouts.head,
                idle: node[path: "timeouts", "idle"]?.duration ?? timeouts.idle))
    }

    private func accessLog(_ node: ConfigurationNode?) -> AccessLogConfiguration? {
        guard let node, !node.isOff, let to = node["to"] ?? (node.scalar == nil ? nil : node), let target = to.text else { return nil }
        return AccessLogConfiguration(
            file: target == "stdout" ? nil : path(target, at: to.mark),
            format: node["format"]?.text.flatMap(AccessLogConfiguration.Format.init) ?? .text)
    }

    private func inboundTLS(_ gateway: ConfigurationNode) -> InboundTLS? {
        let certificates = (gateway["tls"]?.elements ?? []).compactMap { node -> CertificateFiles? in
            guard let certificate = node["cert"], let file = certificate.text, let key = node["key"], let keyFile = key.text else {
                return nil
            }
            return CertificateFiles(
                certificate: path(file, at: certificate.mark), key: path(keyFile, at: key.mark),
                names: (node["names"]?.elements ?? []).compactMap(\.text))
        }
        guard !certificates.isEmpty else { return nil }
        return InboundTLS(certificates: certificates, redirectsHTTP: gateway["redirect_http"]?.toggle ?? false)
    }

    private func retryCredit(_ node: ConfigurationNode?) -> RetryCreditPolicy {
        guard let node else { return .standard }
        return node.integer(0...RetryCredit.most).map { RetryCreditPolicy(grant: $0) } ?? .off
    }
}

// MARK: - Services

extension DocumentDecoder {
    private func service(_ entry: ConfigurationNode.Entry) -> MeshDocument.Service {
        let node = entry.value
        let calls: [MeshDocument.Call]
        if let names = node["calls"]?.list {
            calls = names.compactMap { element in
                element.name.map {
                    MeshDocument.Call(service: $0, mark: element.mark, manner: manner(ConfigurationNode(.map([]), at: element.mark)))
                }
            }
        } else {
            calls = (node["calls"]?.entries ?? []).map { MeshDocument.Call(service: $0.key, mark: $0.keyMark, manner: manner($0.value)) }
        }
        return MeshDocument.Service(
            name: entry.key, mark: entry.keyMark, tier: node["tier"]?.name ?? "", tierMark: node["tier"]?.mark ?? entry.keyMark,
            runtime: runtime(of: node, at: entry.keyMark), calls: calls, readiness: probe(node["ready"]),
            liveness: node["live"].map(probe), startup: node["startup"].map(probe), restart: restart(node["restart"]),
            inFlight: inFlight(node[path: "limits", "in_flight"]), deploy: deploy(node["deploy"]),
            waitsForCalls: node["wait_for_calls"]?.boolean ?? true, minAvailable: bound(node["min_available"]),
            variableFiles: variableFiles(of: node),
            limits: MeshDocument.Limits(
                memoryBytes: node[path: "limits", "memory"]?.size, cpus: node[path: "limits", "cpu"]?.cores,
                openFiles: node[path: "limits", "files"]?.integer(16...10_000_000)))
    }

    private func variableFiles(of node: ConfigurationNode) -> MeshDocument.VariableFiles {
        func file(_ node: ConfigurationNode) -> MeshDocument.VariableFiles.File? {
            node.text.map { .init(path: path($0, at: node.mark), written: $0, mark: node.mark) }
        }
        return MeshDocument.VariableFiles(
            files: (node["env_file"]?.elements ?? []).compactMap(file),
            secrets: (node["secrets"]?.entries ?? []).compactMap { entry in file(entry.value).map { .init(name: entry.key, file: $0) } })
    }

    private func runtime(of node: ConfigurationNode, at mark: SourceMark) -> MeshDocument.Service.Runtime {
        if let url = node["url"] {
            return .external(
                url.elements.compactMap { element in
                    element.url.map { MeshDocument.Service.URL(url: $0, text: element.text ?? "", mark: element.mark) }
                })
        }
        let replicas = node["replicas"]?.integer(1...1000) ?? 1
        let environment = variables(node["env"])
        if let run = node["run"] {
            guard let command = command(run, arguments: node["args"]) else { return .processes([]) }
            return .processes([
                MeshDocument.Version(name: nil, mark: mark, command: command, environment: environment, replicas: replicas, weight: 100)
            ])
        }
        let entries = node["versions"]?.entries ?? []
        let areWeighted = entries.contains { $0.value["weight"] != nil }
        return .processes(
            entries.compactMap { entry in
                guard let run = entry.value["run"], var command = command(run, arguments: node["args"]) else { return nil }
                command.arguments += (entry.value["args"]?.list ?? []).compactMap(\.argument)
                let own = variables(entry.value["env"])
                return MeshDocument.Version(
                    name: entry.key, mark: entry.keyMark, command: command,
                    environment: environment.filter { variable in !own.contains { $0.name == variable.name } } + own,
                    replicas: entry.value["replicas"]?.integer(1...1000) ?? replicas,
                    weight: entry.value["weight"]?.integer(0...100) ?? (areWeighted ? 0 : 1))
            })
    }

    private func variables(_ node: ConfigurationNode?) -> [MeshDocument.Variable] {
        (node?.entries ?? []).compactMap { entry in entry.value.argument.map { MeshDocument.Variable(name: entry.key, value: $0) } }
    }

    private func probe(_ node: ConfigurationNode?) -> MeshDocument.Probe {
        var probe = MeshDocument.Probe()
        guard let node else { return probe }
        if let text = node.text {
            let parts = text.split(separator: " ", maxSplits: 1)
            if parts.count == 2 {
                probe.question = .http(method: String(parts[0]), path: String(parts[1]))
            } else if text == "tcp" {
                probe.question = .connect
            }
            return probe
        }
        if let path = node["get"]?.text { probe.question = .http(method: "GET", path: path) }
        if node["tcp"]?.boolean == true { probe.question = .connect }
        if let command = node["exec"]?.text { probe.question = .command(command) }
        if let pattern = node["log"]?.text { probe.question = .log(pattern: pattern) }
        probe.every = node["every"]?.duration ?? probe.every
        probe.timeout = node["timeout"]?.duration ?? probe.timeout
        probe.failures = node["failures"]?.integer(1...1000) ?? probe.failures
        probe.within = node["within"]?.duration ?? probe.within
        return probe
    }

    private func deploy(_ node: ConfigurationNode?) -> MeshDocument.Deploy {
        var deploy = MeshDocument.Deploy()
        guard let node else { return deploy }
        let canary = node["canary"]
        switch node["strategy"]?.text ?? (canary == nil ? "rolling" : "canary") {
        case "recreate": deploy.strategy = .recreate
        case "blue_green": deploy.strategy = .blueGreen
        case "canary":
            let steps = (canary?.list ?? canary?["steps"]?.list ?? []).compactMap(\.share)
            deploy.strategy = .canary(
                steps: steps.isEmpty ? MeshDocument.Deploy.standardCanarySteps : steps, pause: canary?["pause"]?.duration ?? .seconds(60))
        default: break
        }
        deploy.maxSurge = bound(node["max_surge"]) ?? deploy.maxSurge
        deploy.maxUnavailable = bound(node["max_unavailable"]) ?? deploy.maxUnavailable
        deploy.minHealthyTime = node["min_healthy_time"]?.duration ?? deploy.minHealthyTime
        deploy.drain = node["drain"]?.duration ?? deploy.drain
        return deploy
    }

    private func bound(_ node: ConfigurationNode?) -> MeshDocument.Deploy.Bound? {
        node?.integer(0...1000).map { .count($0) } ?? node?.share.map { .share($0) }
    }

    private func restart(_ node: ConfigurationNode?) -> MeshDocument.RestartPolicy {
        let standard = MeshDocument.RestartPolicy()
        let word = node?.text ?? node?["policy"]?.text
        return MeshDocument.RestartPolicy(
            condition: word.flatMap(MeshDocument.RestartPolicy.Condition.init(rawValue:)) ?? .always,
            backoffBase: node?[path: "backoff", "base"]?.duration ?? standard.backoffBase,
            backoffMaximum: node?[path: "backoff", "max"]?.duration ?? standard.backoffMaximum)
    }
}

// MARK: - Calls

extension DocumentDecoder {
    /// - Parameter own: what the call itself says; the defaults are laid below it, key by key.
    private func manner(_ own: ConfigurationNode) -> MeshDocument.Call.Manner {
        let node = defaultsNode.merged(with: own)
        let standard = CallPolicy()
        let policy = CallPolicy(
            timeout: node["timeout"]?.duration ?? standard.timeout, attemptTimeout: node["attempt_timeout"]?.duration,
            connectTimeout: node["connect_timeout"]?.duration ?? standard.connectTimeout,
            idleTimeout: node["idle_timeout"]?.duration ?? standard.idleTimeout, retry: retry(node["retry"]),
            breaker: node["breaker"]?.isOff == true ? nil : breaker(node["breaker"]),
            eject: node["eject"]?.isOff == true ? nil : ejection(node["eject"]), balance: balance(node["balance"]),
            bulkhead: BulkheadPolicy(
                calls: node[path: "bulkhead", "calls"]?.integer(1...1_000_000) ?? standard.bulkhead.calls,
                pending: node[path: "bulkhead", "pending"]?.integer(0...1_000_000) ?? standard.bulkhead.pending),
            slowStart: node["slow_start"]?.isOff == true ? .zero : node["slow_start"]?.duration ?? standard.slowStart,
            protocol: node["protocol"]?.text.flatMap(UpstreamProtocol.init) ?? standard.protocol,
            tls: upstreamTLS(node["tls"]), limit: limit(node["limit"]), hedge: hedge(node["hedge"]),
            fault: fault(node["fault"]))
        return MeshDocument.Call.Manner(policy: policy, node: node, ownNode: own)
    }

    private func retry(_ node: ConfigurationNode?) -> RetryPolicy {
        guard let node else { return RetryPolicy() }
        if node.word("never") != nil { return .none }
        let standard = RetryPolicy()
        let methods = node["methods"]?.elements.compactMap(\.text).reduce(into: MethodSet()) { $0.formUnion(MethodSet(named: $1)) }
        return RetryPolicy(
            attempts: node["attempts"]?.integer(1...RetryPolicy.mostAttempts) ?? standard.attempts, on: conditions(node["on"]),
            methods: methods ?? standard.methods,
            backoff: BackoffPolicy(
                base: node[path: "backoff", "base"]?.duration ?? standard.backoff.base,
                cap: node[path: "backoff", "max"]?.duration ?? standard.backoff.cap),
            budgetRatio: node["budget"]?.share ?? standard.budgetRatio, reservePerSecond: node["reserve"]?.rate ?? standard.reservePerSecond
        )
    }

    /// gRPC status codes by the numbers that the protocol gives them.
    private static let grpcCodes: [String: UInt32] = [
        "CANCELLED": 1, "UNKNOWN": 2, "DEADLINE_EXCEEDED": 4, "RESOURCE_EXHAUSTED": 8, "ABORTED": 10, "INTERNAL": 13, "UNAVAILABLE": 14,
        "DATA_LOSS": 15,
    ]

    private func conditions(_ node: ConfigurationNode?) -> RetryConditions {
        guard let node else { return RetryConditions() }
        var conditions = RetryConditions(kinds: [], statuses: [], grpcCodes: 0)
        for element in node.elements {
            if let status = element.integer(400...599) {
                conditions.statuses.append(status)
                continue
            }
            switch element.text {
            case "connect": conditions.kinds.insert(.connect)
            case "reset": conditions.kinds.insert(.reset)
            case "timeout": conditions.kinds.insert(.timeout)
            case "5xx": conditions.kinds.insert(.serverError)
            case let word?: if let code = Self.grpcCodes[word] { conditions.grpcCodes |= 1 << code }
            case nil: break
            }
        }
        return conditions
    }

    private func inFlight(_ node: ConfigurationNode?) -> LimitPolicy? {
        if node?.word("gradient2") != nil { return .gradient2 }
        return node?.integer(1...1_000_000).map(LimitPolicy.fixed)
    }

    /// nil for none.
    private func limit(_ node: ConfigurationNode?) -> LimitPolicy? {
        guard let node else { return nil }
        if node.word("gradient2") != nil { return .gradient2 }
        if let calls = node["fixed"]?.integer(1...999_999) { return .fixed(calls) }
        return node.text.flatMap { $0.hasPrefix("fixed ") ? Int($0.dropFirst(6)).map(LimitPolicy.fixed) : nil }
    }

    /// nil for none.
    private func hedge(_ node: ConfigurationNode?) -> HedgePolicy? {
        guard let node, !node.isOff else { return nil }
        let standard = HedgePolicy()
        let after = node["after"]
        return HedgePolicy(
            after: after?.percentile.map { .quantile($0) } ?? after?.duration.map { .fixed($0) } ?? standard.after,
            most: node["max"]?.share ?? standard.most)
    }

    private func ejection(_ node: ConfigurationNode?) -> EjectionPolicy {
        let standard = EjectionPolicy()
        return EjectionPolicy(
            sigma: node?["sigma"]?.sigma ?? standard.sigma, most: node?["max"]?.share ?? standard.most)
    }

    private func balance(_ node: ConfigurationNode?) -> BalancePolicy {
        if node?.word("round_robin") != nil { return .roundRobin }
        if node?.word("least_requests") != nil { return .leastRequests }
        guard let hash = node?["hash"] else { return .p2c }
        if let name = hash["header"]?.text { return .hash(on: .header(name: name.lowercased())) }
        if let name = hash["cookie"]?.text { return .hash(on: .cookie(name: name)) }
        // `source: false` asks for nothing.
        return hash["source"]?.boolean == false ? .p2c : .hash(on: .source)
    }

    private func breaker(_ node: ConfigurationNode?) -> BreakerPolicy {
        let standard = BreakerPolicy()
        guard let node else { return standard }
        let slow = node["slow"].map { slow in
            BreakerPolicy.SlowCalls(over: slow["over"]?.duration ?? .seconds(1), share: slow["share"]?.share ?? 0.5)
        }
        return BreakerPolicy(
            errorRate: node["errors"]?.share ?? standard.errorRate,
            consecutive: node["consecutive"]?.integer(1...10_000) ?? standard.consecutive,
            minCalls: node["min_calls"]?.integer(1...1_000_000) ?? standard.minCalls, window: node["window"]?.duration ?? standard.window,
            openFor: node["open_for"]?.duration ?? standard.openFor, maxOpen: node["max_open"]?.duration ?? standard.maxOpen, slow: slow)
    }
}
