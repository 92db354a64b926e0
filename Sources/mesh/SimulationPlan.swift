import MeshConfiguration
import MeshExchange
import MeshModel
import MeshPolicy
import MeshSimulation

/// What is to be simulated, beside the file.
struct SimulationPlan {
    var troubles: [Topology.Trouble]
    var work: [String: Timespan]
    var workers: [String: Int]
    var perSecond: Double
    var lasts: Timespan
    /// nil for all.
    var route: String?
    var method: MethodSet

    struct Unusable: Error {
        var description: String
        var hint: String
    }

    /// Every process with the snapshot that the daemon would send it, all instances ready.
    func topology(of document: MeshDocument) throws(Unusable) -> Topology {
        let known = document.services.map(\.name)
        for name in troubles.map(\.service) + work.keys + workers.keys where !known.contains(name) {
            throw Unusable(
                description: "there is no service '\(name)' in the file; there are: \(known.joined(separator: ", "))", hint: "mesh check")
        }
        let endpoints = endpoints(of: document)
        func configuration(_ name: String) -> SnapshotConfiguration? {
            document.snapshotConfiguration(for: name, revision: 1) { endpoints[$0] ?? [] }
        }
        guard let gateway = configuration(MeshDocument.gatewayName) else {
            throw Unusable(description: "the file has no gateway, so that no client can ask for anything", hint: "mesh check")
        }
        var services = [Topology.Service(gateway, instances: [])]
        for service in document.services {
            guard let configuration = configuration(service.name) else { continue }
            let instances = service.isExternal ? external(service.name, document) : endpoints[service.name] ?? []
            services.append(
                Topology.Service(
                    configuration, instances: instances.map(\.instance), calls: service.calls.map(\.service),
                    work: work[service.name] ?? .milliseconds(5), workers: workers[service.name]))
        }
        return Topology(
            services: services, troubles: troubles,
            load: Topology.Load(perSecond: perSecond, lasts: lasts, routes: try routes(of: gateway), method: method))
    }

    /// One per replica, by version.
    private func endpoints(of document: MeshDocument) -> [String: [Endpoint]] {
        var endpoints: [String: [Endpoint]] = [:]
        for (number, service) in document.services.enumerated() where !service.isExternal {
            var count: UInt64 = 0
            for version in service.versions {
                for _ in 0..<version.replicas {
                    count += 1
                    endpoints[service.name, default: []].append(
                        Endpoint(
                            instance: InstanceID(high: UInt64(number) + 2, low: count),
                            addresses: [.unix(path: "/\(service.name)-\(count)")], version: version.name))
                }
            }
        }
        return endpoints
    }

    /// As a caller has them.
    private func external(_ name: String, _ document: MeshDocument) -> [Endpoint] {
        for caller in [MeshDocument.gatewayName] + document.services.map(\.name) {
            let snapshot = document.snapshotConfiguration(for: caller, revision: 1) { _ in [] }
            if let found = snapshot?.destinations.first(where: { $0.service == name }) { return found.endpoints }
        }
        return []
    }

    private func routes(of gateway: SnapshotConfiguration) throws(Unusable) -> [Int] {
        let leading = gateway.routes.indices.filter { !gateway.routes[$0].targets.isEmpty && gateway.routes[$0].answer == nil }
        guard let route else {
            guard !leading.isEmpty else { throw Unusable(description: "no route leads to a service", hint: "mesh check") }
            return leading
        }
        guard let index = leading.first(where: { gateway.routes[$0].name == route }) else {
            let names = leading.map { gateway.routes[$0].name }.joined(separator: ", ")
            throw Unusable(description: "no route to a service is called '\(route)'; there are: \(names)", hint: "mesh simulate --help")
        }
        return [index]
    }
}

/// Reads a file as ever, and takes for granted that what it names is there: nothing of it is started.
struct UnbuiltEnvironment: ConfigurationEnvironment {
    private let system = SystemConfigurationEnvironment()

    func variable(_ name: String) -> String? { system.variable(name) }
    var workingFolder: String { system.workingFolder }
    func contents(ofFile path: String) throws(FileReadError) -> [UInt8] { try system.contents(ofFile: path) }
    func privateFile(_ path: String) throws(FileReadError) -> PrivateFile? { nil }
    func fileExists(_ path: String) -> Bool { true }
    func isExecutable(_ path: String) -> Bool { true }
}
