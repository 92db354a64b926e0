package import MeshExchange
package import MeshModel
import MeshPolicy

extension MeshDocument {
    /// Who starts before whom: every service after those that it calls, inner tiers first, the gateway last. External services don't start.
    package var startOrder: [String] {
        var order: [String] = []
        var visited: Set<String> = []
        func visit(_ service: MeshDocument.Service) {
            guard visited.insert(service.name).inserted else { return }
            for call in service.calls { if let callee = self.service(named: call.service) { visit(callee) } }
            if !service.isExternal { order.append(service.name) }
        }
        for tier in tiers.reversed() { for service in services where service.tier == tier { visit(service) } }
        for service in services { visit(service) }
        if gateway?.command != nil { order.append(Self.gatewayName) }
        return order
    }

    /// What a service, or the gateway, has to know to carry its calls; nil for a name that isn't known.
    ///
    /// - Parameter endpoints: where the instances of a service of ours are now; not asked for external services.
    package func snapshotConfiguration(
        for name: String, revision: UInt64, endpoints: (String) -> [Endpoint]
    ) -> SnapshotConfiguration? {
        if name == Self.gatewayName, let gateway {
            var callees: [String] = []
            for service in gateway.routes.flatMap(\.services) where !callees.contains(service) { callees.append(service) }
            return SnapshotConfiguration(
                revision: revision, mesh: self.name, tiers: tiers, service: name, tier: tiers.first ?? "", replicas: 1,
                destinations: callees.compactMap { destination($0, defaults, endpoints) }, routes: gateway.routes.map(\.configuration),
                deadline: gateway.deadline, retryCredit: gateway.retryCredit, healthPath: gateway.healthPath,
                traceContextContinues: gateway.continuesTraces, trustedProxies: gateway.trustedProxies,
                proxyProtocol: gateway.proxyProtocol, tls: gateway.tls, accessLog: gateway.accessLog, limits: gateway.limits,
                timeouts: gateway.timeouts, keeping: traces.keeping)
        }
        guard let service = service(named: name) else { return nil }
        return SnapshotConfiguration(
            revision: revision, mesh: self.name, tiers: tiers, service: name, tier: service.tier, replicas: Swift.max(service.replicas, 1),
            destinations: service.calls.compactMap { destination($0.service, $0.manner, endpoints) },
            retryCredit: gateway?.retryCredit ?? .standard, healthPath: SnapshotConfiguration.serviceHealthPath,
            limits: InboundLimits(inFlight: service.inFlight), keeping: traces.keeping)
    }

    private func destination(_ name: String, _ manner: MeshDocument.Call.Manner, _ endpoints: (String) -> [Endpoint])
        -> DestinationConfiguration?
    {
        guard let service = service(named: name) else { return nil }
        let named = service.versions.compactMap { version in version.name.map { VersionWeight(name: $0, weight: Double(version.weight)) } }
        return DestinationConfiguration(
            service: name, tier: service.tier, policy: manner.policy,
            endpoints: service.isExternal ? service.urls.map(\.endpoint) : endpoints(name), versions: named,
            isExternal: service.isExternal)
    }
}

extension MeshDocument.Route {
    /// Where requests and copies of them go.
    package var services: [String] { targets.map(\.service) + (mirror.map { [$0.service] } ?? []) }

    var configuration: RouteConfiguration {
        var configuration = RouteConfiguration(
            method: method, pattern: pattern, conditions: conditions,
            targets: targets.map { RouteTarget(service: $0.service, weight: targets.count == 1 ? 1 : Double($0.weight)) }, timeout: timeout,
            deadline: deadline, maxDuration: maxDuration, idempotent: isIdempotent, rewrite: rewrite, name: name)
        configuration.answer = answer
        configuration.requestHeaders = requestHeaders
        configuration.responseHeaders = responseHeaders
        configuration.cors = cors
        configuration.rateLimit = rateLimit
        configuration.mirror = mirror
        configuration.sticky = sticky
        configuration.criticality = criticality
        configuration.fault = fault
        return configuration
    }
}

extension MeshDocument.Service.URL {
    /// The address as an endpoint.
    ///
    /// Its id is made of the text, so that what is kept by it (connections, breakers) outlives a reload.
    var endpoint: Endpoint { url.endpoint(identifiedBy: text) }
}

extension MeshURL {
    func endpoint(identifiedBy text: String) -> Endpoint {
        Endpoint(
            instance: InstanceID(stableFor: text), addresses: [.tcp(host: host, port: port)], authority: authority, basePath: basePath,
            tlsName: isSecure ? host : nil)
    }
}
