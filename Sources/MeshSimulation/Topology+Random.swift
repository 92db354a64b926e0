import MeshExchange
import MeshModel
import MeshPolicy

extension Topology {
    /// A mesh of one to five tiers behind a gateway, with policies, load and troubles drawn from a seed.
    package static func random(seed: UInt64) -> Topology {
        var random = RandomSource(seed: seed &* 0x9e37_79b9_7f4a_7c15 | 1)
        let tiers = 1 + random.next(below: 5)
        let credit: RetryCreditPolicy = random.nextUnit() < 0.1 ? .off : RetryCreditPolicy(grant: random.next(below: 5))
        // Who calls whom, by tier; names are places.
        var names: [[String]] = []
        for tier in 0..<tiers { names.append((0..<(1 + random.next(below: 2))).map { "\(tier)-\($0)" }) }
        var instances: [String: [Endpoint]] = [:]
        for (tier, services) in names.enumerated() {
            for (place, name) in services.enumerated() {
                let count = random.nextUnit() < 0.05 ? 1 + random.next(below: 50) : 1 + random.next(below: 4)
                instances[name] = (1...count).map { number in
                    Endpoint(
                        instance: InstanceID(high: UInt64(tier * 10 + place + 2), low: UInt64(number)),
                        addresses: [.unix(path: "/\(name)-\(number)")])
                }
            }
        }
        func configuration(_ name: String, replicas: Int, calls: [String], _ random: inout RandomSource) -> SnapshotConfiguration {
            var configuration = SnapshotConfiguration(mesh: "random", service: name, tier: name, replicas: replicas, retryCredit: credit)
            for call in calls {
                configuration.destinations.append(
                    DestinationConfiguration(service: call, policy: policy(&random), endpoints: instances[call] ?? []))
            }
            return configuration
        }
        var gateway = configuration("gateway", replicas: 1, calls: names[0], &random)
        gateway.deadline = .milliseconds(Int64(100 + random.next(below: 900)))
        gateway.routes = names[0].enumerated().map { number, name in
            var route = RouteConfiguration(pattern: "/\(number)", target: name)
            route.criticality = Criticality.allCases[random.next(below: 3)]
            return route
        }
        var services = [Service(gateway, instances: [])]
        for (tier, row) in names.enumerated() {
            for name in row {
                let below = tier + 1 < tiers ? names[tier + 1] : []
                let calls = below.filter { _ in random.nextUnit() < 0.7 }
                var own = configuration(name, replicas: instances[name]?.count ?? 1, calls: calls, &random)
                if random.nextUnit() < 0.15 {
                    own.limits.inFlight = random.nextUnit() < 0.5 ? .gradient2 : .fixed(1 + random.next(below: 8))
                }
                services.append(
                    Service(
                        own, instances: instances[name]?.map(\.instance) ?? [], calls: calls,
                        work: .microseconds(Int64(500 + random.next(below: 10_000))),
                        workers: random.nextUnit() < 0.2 ? 1 + random.next(below: 8) : nil,
                        passesOn: calls.count < 2 && random.nextUnit() < 0.3))
            }
        }
        let all = names.flatMap(\.self)
        let troubles = (0..<random.next(below: 4)).map { _ in trouble(all[random.next(below: all.count)], &random) }
        var load = Load(
            perSecond: 50 + 200 * random.nextUnit(), lasts: .milliseconds(300), routes: Array(gateway.routes.indices),
            method: random.nextUnit() < 0.3 ? .post : .get)
        load.leaves = random.nextUnit() < 0.3 ? 0.2 : 0
        return Topology(services: services, troubles: troubles, load: load)
    }

    private static func policy(_ random: inout RandomSource) -> CallPolicy {
        var policy = CallPolicy(timeout: .milliseconds(Int64(50 + random.next(below: 900))))
        if random.nextUnit() < 0.5 { policy.attemptTimeout = .milliseconds(Int64(20 + random.next(below: 200))) }
        policy.retry = RetryPolicy(attempts: 1 + random.next(below: 5), never: random.nextUnit() < 0.1)
        if random.nextUnit() < 0.3 { policy.breaker = nil }
        if random.nextUnit() < 0.2 { policy.limit = random.nextUnit() < 0.5 ? .gradient2 : .fixed(1 + random.next(below: 20)) }
        if random.nextUnit() < 0.3 {
            policy.hedge = HedgePolicy(
                after: random.nextUnit() < 0.5 ? .quantile(0.9) : .fixed(.milliseconds(Int64(random.next(below: 30)))),
                most: random.nextUnit() < 0.5 ? 1 : 0.1)
        }
        switch random.next(below: 4) {
        case 0: policy.balance = .roundRobin
        case 1: policy.balance = .leastRequests
        default: break
        }
        return policy
    }

    private static func trouble(_ service: String, _ random: inout RandomSource) -> Trouble {
        let kind: Trouble.Kind =
            switch random.next(below: 5) {
            case 0: .reset
            case 1: .refuse
            case 2: .hang
            case 3: .slow(.milliseconds(Int64(10 + random.next(below: 500))))
            default: .status(random.nextUnit() < 0.8 ? 503 : 500)
            }
        return Trouble(
            service, kind, share: random.nextUnit() < 0.3 ? 1 : random.nextUnit(), from: .milliseconds(Int64(random.next(below: 150))),
            until: random.nextUnit() < 0.5 ? .milliseconds(Int64(150 + random.next(below: 150))) : nil,
            instance: random.nextUnit() < 0.3 ? 0 : nil)
    }
}
