import MeshExchange
import MeshModel
import MeshPolicy
import MeshSimulation
import TestSupport
import Testing

/// Where calls go when endpoints differ.
@Suite("Balancing", .calculating)
struct BalancingTests {
    private func scenario(_ upstreams: [Scenario.Upstream], perSecond: Double = 500, lasts: Timespan, policy: CallPolicy = CallPolicy())
        -> Scenario
    {
        var scenario = Scenario(policy: policy, upstreams: upstreams)
        scenario.load.perSecond = perSecond
        scenario.load.lasts = lasts
        return scenario
    }

    @Test("one slow endpoint of ten gets less than 2 % of the traffic within two seconds", arguments: 1...5 as ClosedRange<UInt64>)
    func slow(seed: UInt64) {
        var upstreams = Scenario.uniform(10)
        upstreams[3].behaviour = .answering(after: .milliseconds(500))
        let report = Simulation.run(scenario(upstreams, lasts: .seconds(4)), seed: seed)
        #expect(report.share(of: 4, from: .zero, to: .seconds(2)) < 0.02)
        #expect(report.share(of: 4, from: .seconds(2), to: .seconds(4)) < 0.02)
    }

    @Test("one that becomes slow is left within two seconds", arguments: 1...5 as ClosedRange<UInt64>)
    func becomesSlow(seed: UInt64) {
        var scenario = scenario(Scenario.uniform(10), lasts: .seconds(5))
        scenario.changes = [.init(at: .seconds(1), .behaves(upstream: 4, .answering(after: .milliseconds(500))))]
        let report = Simulation.run(scenario, seed: seed)
        #expect(report.share(of: 4, from: .zero, to: .seconds(1)) > 0.05)
        #expect(report.share(of: 4, from: .seconds(1), to: .seconds(3)) < 0.02)
        #expect(report.share(of: 4, from: .seconds(3), to: .seconds(5)) < 0.02)
    }

    @Test("one that fails fast draws no calls, even without a breaker", arguments: 1...5 as ClosedRange<UInt64>)
    func fastFailure(seed: UInt64) {
        var policy = CallPolicy()
        policy.breaker = nil
        var upstreams = Scenario.uniform(10)
        upstreams[0].behaviour = .failing(500, after: .microseconds(200))
        let report = Simulation.run(scenario(upstreams, lasts: .seconds(4), policy: policy), seed: seed)
        #expect(report.share(of: 1, from: .zero, to: .seconds(4)) < 0.02)
        #expect(report.violations.isEmpty)
    }

    @Test("one failure in a thousand starves nobody")
    func rareFailure() {
        var behaviour = Behaviour()
        behaviour.errors = 0.001
        var upstreams = Scenario.uniform(3)
        upstreams[0].behaviour = behaviour
        let report = Simulation.run(scenario(upstreams, lasts: .seconds(20)), seed: 1)
        #expect(report.share(of: 1, from: .zero, to: .seconds(20)) > 0.15)
    }

    @Test("equal endpoints share alike", arguments: 1...3 as ClosedRange<UInt64>)
    func equal(seed: UInt64) {
        var behaviour = Behaviour()
        behaviour.latency = .uniform(.milliseconds(4), .milliseconds(6))
        let report = Simulation.run(scenario(Scenario.uniform(5, behaviour), lasts: .seconds(8)), seed: seed)
        for number in 1...5 { #expect((0.12...0.28).contains(report.share(of: number, from: .seconds(1), to: .seconds(8)))) }
    }

    @Test("one that died is left, comes back by probes, and ramps up to its share")
    func readmitted() throws {
        var policy = CallPolicy()
        // The balancer leaves a failing endpoint after its first failure or two: five in a row come only under load.
        policy.breaker?.consecutive = 1
        var scenario = scenario(Scenario.uniform(3), perSecond: 300, lasts: .seconds(40), policy: policy)
        scenario.changes = [
            .init(at: .seconds(1), .behaves(upstream: 2, .dead)), .init(at: .seconds(4), .behaves(upstream: 2, Behaviour())),
        ]
        let report = Simulation.run(scenario, seed: 2)
        #expect(report.failed == 0, "every refused connect was tried elsewhere")
        #expect(report.violations.isEmpty)
        #expect(report.share(of: 2, from: .seconds(2), to: .seconds(3)) < 0.02)
        // When the ramp begins is when the breaker closes.
        let closed = try #require(report.edge?.events.last { $0.change == .closed }?.at) - Instant(nanoseconds: 1_000_000_000)
        let early = report.share(of: 2, from: closed, to: closed + .seconds(1))
        let late = report.share(of: 2, from: closed + .seconds(10), to: closed + .seconds(15))
        #expect(early < 0.15 && late > 0.2 && early < late)
    }

    @Test("a new endpoint ramps up, where others are there already")
    func added() {
        var scenario = scenario(Scenario.uniform(3), perSecond: 300, lasts: .seconds(20))
        scenario.changes = [
            .init(at: .zero, .reconfigured(upstreams: [1, 2], draining: [], policy: CallPolicy())),
            .init(at: .seconds(2), .reconfigured(upstreams: [1, 2, 3], draining: [], policy: CallPolicy())),
        ]
        let report = Simulation.run(scenario, seed: 3)
        #expect(report.share(of: 3, from: .seconds(2), to: .seconds(3)) < 0.15)
        #expect(report.share(of: 3, from: .seconds(12), to: .seconds(20)) > 0.2)
    }

    @Test("a canary gets its weight, and the others what it can't take")
    func canary() {
        var upstreams = Scenario.uniform(4)
        for index in upstreams.indices { upstreams[index].version = index == 3 ? "v2" : "v1" }
        var scenario = scenario(upstreams, lasts: .seconds(10))
        scenario.versions = [VersionWeight(name: "v1", weight: 90), VersionWeight(name: "v2", weight: 10)]
        let report = Simulation.run(scenario, seed: 1)
        #expect((0.08...0.12).contains(report.share(of: 4, from: .zero, to: .seconds(10))))

        scenario.changes = [.init(at: .seconds(5), .reconfigured(upstreams: [1, 2, 3, 4], draining: [4], policy: CallPolicy()))]
        let drained = Simulation.run(scenario, seed: 1)
        #expect(drained.share(of: 4, from: .seconds(5), to: .seconds(10)) == 0 && drained.failed == 0)
    }
}
