import MeshConfiguration
import MeshModel
import MeshSupervision

/// What has to run for a mesh.yaml: every replica with its command, environment and probes, and the order of their starts.
///
/// Pure: the same document and surroundings give the same replicas, so that a second `up` sees what has changed.
struct Deployment {
    struct Surroundings: Hashable {
        var stateFolder: String
        var runtimeFolder: String
        /// Where instances reach the daemon.
        var instanceSocket: String
        /// Of the one who said `mesh up`; the base of every instance's environment.
        var environment: [String: String]
    }

    /// The waves in which to start: each may begin when all before it are ready.
    let waves: [[ReplicaSpec]]

    var replicas: [ReplicaSpec] { waves.flatMap(\.self) }

    /// Services, callers first: the order of stopping.
    let stopOrder: [[String]]

    init(_ document: MeshDocument, in surroundings: Surroundings) {
        var services = document.services.filter { !$0.isExternal }.map { service in
            StartPlan.Service(name: service.name, calls: Set(service.calls.map(\.service)))
        }
        if let gateway = document.gateway, gateway.command != nil {
            let targets = gateway.routes.flatMap(\.targets).map(\.service)
            services.append(.init(name: MeshDocument.gatewayName, calls: Set(targets)))
        }
        let plan = StartPlan(services)
        let builder = ReplicaBuilder(document: document, surroundings: surroundings)
        waves = plan.waves.map { $0.flatMap { builder.replicas(of: $0) } }
        stopOrder = plan.stopOrder
    }
}

/// Turns services into replicas.
private struct ReplicaBuilder {
    let document: MeshDocument
    let surroundings: Deployment.Surroundings

    func replicas(of name: String) -> [ReplicaSpec] {
        if name == MeshDocument.gatewayName { return gateway.map { [$0] } ?? [] }
        guard let service = document.service(named: name) else { return [] }
        let isOnly = service.replicas == 1
        return service.versions.flatMap { version in
            (1...max(1, version.replicas)).prefix(version.replicas).map { number in
                let replica = ([name, version.name].compactMap(\.self) + ["\(number)"]).joined(separator: "-")
                return ReplicaSpec(
                    service: name, tier: service.tier, replica: replica, version: version.name,
                    arguments: [version.command.executable] + version.command.arguments, workingFolder: document.folder,
                    environment: environment(
                        service: name, tier: service.tier, replica: replica, version: version.name, own: version.environment),
                    listen: [.init(name: "http", address: address(of: replica))],
                    // With others at hand, callers had better turn to them at once than wait in a queue.
                    listenersOnExit: isOnly ? .hold : .close,
                    probes: ProbeSet(ready: .probe(Probe(service.readiness))), restart: MeshSupervision.RestartPolicy(service.restart))
            }
        }
    }

    private var gateway: ReplicaSpec? {
        guard let gateway = document.gateway, let command = gateway.command else { return nil }
        let name = MeshDocument.gatewayName
        let tier = document.tiers.first ?? ""
        let replica = "\(name)-1"
        var environment = environment(service: name, tier: tier, replica: replica, version: nil, own: [])
        if let threads = gateway.threads { environment["MESH_THREADS"] = "\(threads)" }
        return ReplicaSpec(
            service: name, tier: tier, replica: replica, arguments: [command.executable] + command.arguments,
            workingFolder: document.folder, environment: environment,
            listen: gateway.listen.map { .init(name: "http", address: $0.address) }, listenersOnExit: .hold,
            probes: ProbeSet(ready: .probe(Probe(.http(path: gateway.healthPath)))))
    }

    private func address(of replica: String) -> SocketAddress {
        if surroundings.environment["MESH_TRANSPORT"] == "tcp" { return .tcp(host: "127.0.0.1", port: 0) }
        let folder = InstanceFolder(
            stateFolder: surroundings.stateFolder, runtimeFolder: surroundings.runtimeFolder, replica: replica)
        return .unix(path: folder.serviceSocket)
    }

    private func environment(
        service: String, tier: String, replica: String, version: String?, own: [MeshDocument.Variable]
    ) -> [String: String] {
        var environment = surroundings.environment.filter { !ShellEnvironment.isItsOwn($0.key) }
        // The runtime of Swift looks up names for seconds while a process that crashed holds the requests of its callers.
        environment["SWIFT_BACKTRACE"] =
            environment["SWIFT_BACKTRACE"] ?? "interactive=no,color=no,symbolicate=off,threads=crashed,registers=none"
        for variable in own { environment[variable.name] = variable.value }
        environment["MESH_NAME"] = document.name
        environment["MESH_SERVICE"] = service
        environment["MESH_TIER"] = tier
        environment["MESH_REPLICA"] = replica
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
