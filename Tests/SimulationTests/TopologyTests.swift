import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import MeshSimulation
import TestSupport
import Testing

/// What retries of several tiers make of one failure, with the engine of production in virtual time.
@Suite("Whole meshes", .calculating) struct TopologyTests {
    /// The gateway and two services, which all retry, before a leaf: three retrying hops.
    private func chain(
        policy: CallPolicy, load: Topology.Load = Topology.Load(perSecond: 200, lasts: .seconds(30), routes: [0]),
        troubles: [Topology.Trouble], credit: RetryCreditPolicy = .standard, deadline: Timespan = .seconds(1),
        passesOn: Bool = true
    ) -> Topology {
        let names = ["gateway", "orders", "stock", "leaf"]
        func instances(_ place: Int) -> [InstanceID] { (1...3).map { InstanceID(high: UInt64(place), low: $0) } }
        return Topology(
            services: names.indices.map { place in
                var configuration = SnapshotConfiguration(
                    mesh: "shop", service: names[place], tier: names[place], replicas: place == 0 ? 1 : 3, retryCredit: credit)
                if place + 1 < names.count {
                    configuration.destinations = [
                        DestinationConfiguration(
                            service: names[place + 1], policy: policy,
                            endpoints: instances(place + 1).map {
                                Endpoint(instance: $0, addresses: [.unix(path: "/\($0.low)")])
                            })
                    ]
                }
                if place == 0 {
                    configuration.routes = [RouteConfiguration(pattern: "/**", target: "orders")]
                    configuration.deadline = deadline
                }
                return Topology.Service(
                    configuration, instances: instances(place), calls: place > 0 && place + 1 < names.count ? [names[place + 1]] : [],
                    work: .milliseconds(2), passesOn: place > 0 && passesOn)
            }, troubles: troubles, load: load)
    }

    private func policy(attempts: Int = 3, hasBreaker: Bool = true) -> CallPolicy {
        CallPolicy(
            timeout: .milliseconds(800), attemptTimeout: .milliseconds(200), retry: RetryPolicy(attempts: attempts),
            breaker: hasBreaker ? BreakerPolicy() : nil)
    }

    @Test(
        "a leaf that fails every call, or hangs, gets at most 1.5 arrivals per request, and five seconds after it is well all is well",
        arguments: [Topology.Trouble.Kind.status(503), .hang, .reset], [true, false])
    func storm(kind: Topology.Trouble.Kind, hasBreaker: Bool) throws {
        let trouble = Topology.Trouble("leaf", kind, from: .seconds(5), until: .seconds(15))
        let report = try TopologySimulation.run(chain(policy: policy(hasBreaker: hasBreaker), troubles: [trouble]), seed: 7)
        #expect(report.clients.sent > 5000)
        #expect(report.amplification(of: "leaf") <= 1.5, "\(report.amplification(of: "leaf"))")
        #expect(report.successShare(in: 0..<4) == 1)
        #expect(report.successShare(in: 20..<30) == 1, "\(report.seconds.map { "\($0.succeeded)/\($0.sent)" })")
    }

    /// Over the time of the fault alone: what healthy seconds around it can't thin out.
    @Test("also while it lasts", arguments: [Topology.Trouble.Kind.status(503), .hang], [true, false])
    func whileItLasts(kind: Topology.Trouble.Kind, hasBreaker: Bool) throws {
        let report = try TopologySimulation.run(
            chain(policy: policy(hasBreaker: hasBreaker), troubles: [Topology.Trouble("leaf", kind)]), seed: 11)
        #expect(report.amplification(of: "leaf") <= 1.5, "\(report.amplification(of: "leaf"))")
        #expect(report.amplification(of: "stock") <= 1.5 && report.amplification(of: "orders") <= 1.5)
    }

    @Test("at 10 % errors 99 of 100 clients succeed, at no more than 1.3 arrivals per request", arguments: [true, false])
    func errors(hasBreaker: Bool) throws {
        let report = try TopologySimulation.run(
            chain(policy: policy(hasBreaker: hasBreaker), troubles: [Topology.Trouble("leaf", .status(503), share: 0.1)]), seed: 3)
        #expect(report.successShare >= 0.99, "\(report.successShare)")
        #expect(report.amplification(of: "leaf") <= 1.3, "\(report.amplification(of: "leaf"))")
    }

    @Test("a POST arrives exactly once, whatever fails behind it")
    func once() throws {
        let load = Topology.Load(perSecond: 200, lasts: .seconds(20), routes: [0], method: .post)
        let report = try TopologySimulation.run(
            chain(policy: policy(hasBreaker: false), load: load, troubles: [Topology.Trouble("leaf", .status(503), share: 0.5)]), seed: 5)
        for service in ["orders", "stock", "leaf"] { #expect(report.arrivals[service] == report.clients.sent) }
    }

    /// The same chain without this engine's bounds: 27 arrivals.
    @Test("without credit and budget the tiers multiply")
    func multiplication() throws {
        var policy = policy(hasBreaker: false)
        policy.retry.budgetRatio = 1000
        policy.retry.reservePerSecond = 100_000
        policy.timeout = .seconds(20)
        let load = Topology.Load(perSecond: 20, lasts: .seconds(10), routes: [0])
        let report = try TopologySimulation.run(
            chain(
                policy: policy, load: load, troubles: [Topology.Trouble("leaf", .status(503))], credit: .off, deadline: .seconds(60)),
            seed: 1)
        // The tier nearest the failure says that it has tried: that alone leaves three.
        #expect(report.amplification(of: "leaf") > 2.5 && report.amplification(of: "stock") < 1.1)
    }

    @Test("equal seeds give equal runs, and other seeds other ones")
    func replay() throws {
        let topology = chain(policy: policy(), troubles: [Topology.Trouble("leaf", .status(503), share: 0.3)])
        func run(_ seed: UInt64) throws -> [Int] {
            let report = try TopologySimulation.run(topology, seed: seed)
            return [report.clients.sent, report.clients.succeeded, report.arrivals["leaf"] ?? 0, Int(report.latencies.sum.nanoseconds)]
        }
        let first = try run(42)
        #expect(try run(42) == first)
        #expect(try run(43) != first)
    }

    @Test("no tier sees more than one arrival and the credit per request, and the bound is the credit's", arguments: [0, 1, 3])
    func credit(granted: Int) throws {
        var policy = policy(attempts: 5, hasBreaker: false)
        policy.retry.budgetRatio = 1000
        policy.retry.reservePerSecond = 100_000
        let load = Topology.Load(perSecond: 100, lasts: .seconds(5), routes: [0])
        let troubles = [
            Topology.Trouble("leaf", .status(503), share: 0.7), Topology.Trouble("stock", .status(503), share: 0.3),
            Topology.Trouble("orders", .reset, share: 0.3),
        ]
        func violations(_ credit: RetryCreditPolicy) throws -> [String] {
            try TopologySimulation.run(chain(policy: policy, load: load, troubles: troubles, credit: credit), seed: 13).violations
        }
        let kept = try violations(RetryCreditPolicy(grant: granted))
        #expect(kept.isEmpty)
    }

    @Test("an engine that does not spend the credit is caught, and one that delegates more than it has")
    func mutations() throws {
        let troubles = [Topology.Trouble("leaf", .status(503), share: 0.7), Topology.Trouble("stock", .status(503), share: 0.3)]
        var policy = policy(attempts: 5, hasBreaker: false)
        policy.retry.budgetRatio = 1000
        policy.retry.reservePerSecond = 100_000
        let topology = chain(policy: policy, load: Topology.Load(perSecond: 100, lasts: .seconds(5), routes: [0]), troubles: troubles)
        for change in [{ $0.credit = 3 }, { $0.credit = $0.credit.map { $0 + 2 } }] as [(inout Attempt) -> Void] {
            let violations = try TopologySimulation.run(topology, seed: 13, sabotage: change).violations
            #expect(!violations.isEmpty && violations.allSatisfy { $0.contains("extra attempts") })
        }
    }

    // MARK: Overload

    /// Three instances of 16 workers at 10 ms: 4800 a second.
    private func overloaded(limit: LimitPolicy?, perSecond: Double) -> Topology {
        let leaf = (1...3).map { InstanceID(high: 1, low: $0) }
        var gateway = SnapshotConfiguration(
            mesh: "shop", service: "gateway", tier: "edge",
            destinations: [
                DestinationConfiguration(
                    service: "leaf", policy: CallPolicy(timeout: .milliseconds(500)),
                    endpoints: leaf.map { Endpoint(instance: $0, addresses: [.unix(path: "/\($0.low)")]) })
            ], deadline: .seconds(1))
        gateway.routes = (0..<10).map { number in
            var route = RouteConfiguration(pattern: "/\(number)", target: "leaf")
            route.criticality = number == 0 ? .critical : number < 6 ? .standard : .sheddable
            return route
        }
        var service = SnapshotConfiguration(mesh: "shop", service: "leaf", tier: "enterprise", replicas: 3)
        service.limits.inFlight = limit
        return Topology(
            services: [
                Topology.Service(gateway, instances: []), Topology.Service(service, instances: leaf, work: .milliseconds(10), workers: 16),
            ], load: Topology.Load(perSecond: perSecond, lasts: .seconds(10), routes: Array(0..<10)))
    }

    @Test(
        "at three times the load nine tenths of what is possible are served, and what is critical loses less than one in a hundred",
        arguments: [LimitPolicy.fixed(32), .gradient2])
    func shedding(limit: LimitPolicy) throws {
        let report = try TopologySimulation.run(overloaded(limit: limit, perSecond: 3 * 4800), seed: 9)
        #expect(Double(report.clients.succeeded) >= 0.9 * 4800 * 10, "\(report.clients)")
        let critical = try #require(report.byCriticality[.critical])
        #expect(Double(critical.succeeded) > 0.99 * Double(critical.sent), "\(critical)")
        let standard = try #require(report.byCriticality[.standard])
        let sheddable = try #require(report.byCriticality[.sheddable])
        #expect(Double(standard.succeeded) / Double(standard.sent) > Double(sheddable.succeeded) / Double(sheddable.sent))
    }
}

/// What must hold over all tiers, in random meshes. `MESH_SIMULATION_SEEDS` and `MESH_SIMULATION_SEED` as in `SeedTests`.
@Suite("Over random meshes", .calculating) struct RandomTopologyTests {
    @Test("no invariant is broken")
    func seeds() throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["MESH_SIMULATION_SEEDS"].flatMap { UInt64($0) } ?? 200
        let seeds = environment["MESH_SIMULATION_SEED"].flatMap { UInt64($0) }.map { $0...$0 } ?? 1...count
        for seed in seeds {
            let report = try TopologySimulation.run(.random(seed: seed), seed: seed)
            #expect(report.violations.isEmpty, "replay with MESH_SIMULATION_SEED=\(seed): \(report.violations.prefix(3))")
        }
    }
}
