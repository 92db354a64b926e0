import MeshConfiguration
import MeshLimits
import MeshModel
import MeshSupervision

/// What has to run for a mesh.yaml: the replicas of every service with their command, environment and probes, and the order of their
/// starts.
///
/// Pure: the same document and surroundings give the same replicas, so that a second `up` sees what has changed.
struct Deployment: Sendable {
    struct Surroundings: Sendable {
        var stateFolder: String
        var runtimeFolder: String
        /// Where instances reach the daemon.
        var instanceSocket: String
        /// Of the one who said `mesh up`; the base of every instance's environment.
        var environment: [String: String]
        /// What a command runs, by its content; nil where that can't be told.
        var build: @Sendable (MeshDocument.Command) -> String? = { _ in nil }
        /// The variables of a service that lie in files, but for those of these names.
        var privateVariables: @Sendable (MeshDocument.VariableFiles, _ except: Set<String>) -> PrivateVariables? = { _, _ in nil }
        /// What was asked for beyond mesh.yaml.
        var adjustments = Adjustments()
    }

    /// What `mesh scale` and `mesh restart` have changed since mesh.yaml was applied, by the label of the group.
    struct Adjustments: Hashable, Sendable, Codable {
        var replicas: [String: Int] = [:]
        var generations: [String: UInt64] = [:]
        /// Builds that `mesh rollback` went back to, whatever lies in their place now.
        var builds: [String: String] = [:]
    }

    /// The waves in which to start: each may begin when all before it are ready.
    let waves: [[ReplicaGroup]]

    var groups: [ReplicaGroup] { waves.flatMap(\.self) }

    func group(labelled label: String) -> ReplicaGroup? { groups.first { $0.label == label } }

    /// The groups of a service, or the one that a label names.
    func groups(named name: String) -> [ReplicaGroup] { groups.filter { $0.label == name || $0.service == name } }

    /// Services, callers first: the order of stopping.
    let stopOrder: [[String]]

    init(_ document: MeshDocument, in surroundings: Surroundings) {
        var services = document.services.filter { !$0.isExternal }.map { service in
            StartPlan.Service(name: service.name, calls: Set(service.calls.map(\.service)), startsAnyway: !service.waitsForCalls)
        }
        if let gateway = document.gateway, gateway.command != nil {
            let targets = gateway.routes.flatMap(\.targets).map(\.service)
            services.append(.init(name: MeshDocument.gatewayName, calls: Set(targets)))
        }
        let plan = StartPlan(services)
        let builder = GroupBuilder(document: document, surroundings: surroundings)
        waves = plan.waves.map { $0.flatMap { builder.groups(of: $0) } }
        stopOrder = plan.stopOrder
    }
}

/// Turns services into groups of replicas.
private struct GroupBuilder {
    let document: MeshDocument
    let surroundings: Deployment.Surroundings

    func groups(of name: String) -> [ReplicaGroup] {
        if name == MeshDocument.gatewayName { return gateway.map { [$0] } ?? [] }
        guard let service = document.service(named: name) else { return [] }
        return service.versions.map { version in
            let label = ReplicaGroup.label(service: name, version: version.name)
            let policy = RolloutPolicy(service.deploy, minAvailable: service.minAvailable)
            let template = ReplicaSpec(
                service: name, tier: service.tier, replica: "", version: version.name,
                arguments: [version.command.executable] + version.command.arguments, workingFolder: document.folder,
                environment: environment(service: name, tier: service.tier, version: version.name, own: version.environment),
                probes: ProbeSet(
                    startup: service.startup.map(Probe.init), ready: .probe(Probe(service.readiness)),
                    live: service.liveness.map(Probe.init)),
                restart: MeshSupervision.RestartPolicy(service.restart), stopGrace: policy.drain + Self.graceBeyondDrain,
                build: surroundings.adjustments.builds[label] ?? surroundings.build(version.command),
                generation: surroundings.adjustments.generations[label],
                privateVariables: surroundings.privateVariables(service.variableFiles, Set(version.environment.map(\.name))),
                limits: ProcessLimits(service.limits))
            let surroundings = surroundings
            return ReplicaGroup(
                template, wanted: surroundings.adjustments.replicas[label] ?? version.replicas, policy: policy,
                address: { Self.address(of: $0, in: surroundings) })
        }
    }

    /// What a service gets to end by itself after the time for its requests is over.
    private static let graceBeyondDrain = Timespan.seconds(1)

    private var gateway: ReplicaGroup? {
        guard let gateway = document.gateway, let command = gateway.command else { return nil }
        let name = MeshDocument.gatewayName
        let tier = document.tiers.first ?? ""
        var environment = environment(service: name, tier: tier, version: nil, own: [])
        if let threads = gateway.threads { environment["MESH_THREADS"] = "\(threads)" }
        let policy = RolloutPolicy()
        let template = ReplicaSpec(
            service: name, tier: tier, replica: "", arguments: [command.executable] + command.arguments,
            workingFolder: document.folder, environment: environment,
            listen: gateway.listen.map { .init(name: "http", address: $0.address) },
            // Beside an old gateway on the same socket, a probe could not choose whom it asks.
            probes: ProbeSet(ready: .reported(within: .seconds(30))), stopGrace: policy.drain + Self.graceBeyondDrain,
            build: surroundings.adjustments.builds[name] ?? surroundings.build(command),
            generation: surroundings.adjustments.generations[name], sharesListeners: true)
        return ReplicaGroup(template, wanted: 1, policy: policy)
    }

    private static func address(of replica: String, in surroundings: Deployment.Surroundings) -> SocketAddress {
        if surroundings.environment["MESH_TRANSPORT"] == "tcp" { return .tcp(host: "127.0.0.1", port: 0) }
        let folder = InstanceFolder(
            stateFolder: surroundings.stateFolder, runtimeFolder: surroundings.runtimeFolder, replica: replica)
        return .unix(path: folder.serviceSocket)
    }

    private func environment(service: String, tier: String, version: String?, own: [MeshDocument.Variable]) -> [String: String] {
        var environment = surroundings.environment.filter { !ShellEnvironment.isItsOwn($0.key) }
        // The runtime of Swift looks up names for seconds while a process that crashed holds the requests of its callers.
        environment["SWIFT_BACKTRACE"] =
            environment["SWIFT_BACKTRACE"] ?? "interactive=no,color=no,symbolicate=off,threads=crashed,registers=none"
        for variable in own { environment[variable.name] = variable.value }
        environment["MESH_NAME"] = document.name
        environment["MESH_SERVICE"] = service
        environment["MESH_TIER"] = tier
        environment["MESH_VERSION"] = version
        environment["MESH_CONTROL"] = surroundings.instanceSocket
        environment["MESH_STATE_DIR"] = surroundings.stateFolder
        return environment
    }
}

extension MeshSupervision.Probe {
    init(_ probe: MeshDocument.Probe) {
        let question: Question =
            switch probe.question {
            case .http(_, let path): .http(path: path)
            case .connect: .tcp
            case .command(let command): .exec(command: command)
            case .log(let pattern): .log(pattern: pattern)
            }
        self.init(question, every: probe.every, timeout: probe.timeout, failures: probe.failures, within: probe.within)
    }
}

extension MeshSupervision.RestartPolicy {
    init(_ policy: MeshDocument.RestartPolicy) {
        let when: When =
            switch policy.condition {
            case .always: .always
            case .onFailure: .onFailure
            case .never: .never
            }
        self.init(when: when, base: policy.backoffBase, cap: policy.backoffMaximum)
    }
}

extension ProcessLimits {
    /// Nil where there is none.
    init?(_ limits: MeshDocument.Limits) {
        guard limits != MeshDocument.Limits() else { return nil }
        self.init(memoryBytes: limits.memoryBytes.map(Int64.init), cores: limits.cpus, openFiles: limits.openFiles)
    }
}

extension RolloutPolicy {
    init(_ deploy: MeshDocument.Deploy, minAvailable: MeshDocument.Deploy.Bound?) {
        let strategy: Strategy =
            switch deploy.strategy {
            case .rolling: .rolling
            case .recreate: .recreate
            case .blueGreen: .blueGreen
            case .canary(let steps, let pause): .canary(steps: steps, pause: pause)
            }
        self.init(
            strategy: strategy, maxSurge: Bound(deploy.maxSurge), maxUnavailable: Bound(deploy.maxUnavailable),
            minAvailable: minAvailable.map(Bound.init), minHealthyTime: deploy.minHealthyTime, drain: deploy.drain)
    }
}

extension RolloutPolicy.Bound {
    init(_ bound: MeshDocument.Deploy.Bound) {
        self =
            switch bound {
            case .count(let count): .count(count)
            case .share(let share): .share(share)
            }
    }
}
