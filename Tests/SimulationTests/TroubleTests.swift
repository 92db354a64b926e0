import MeshExchange
import MeshModel
import MeshPolicy
import MeshSimulation
import TestSupport
import Testing

/// What callers see when upstreams fail.
@Suite("Trouble", .calculating)
struct TroubleTests {
    @Test("the death of one of three replicas under 200 calls a second fails none", arguments: 1...5 as ClosedRange<UInt64>)
    func death(seed: UInt64) {
        var scenario = Scenario(upstreams: Scenario.uniform(3))
        scenario.load.lasts = .seconds(5)
        scenario.changes = [
            .init(at: .seconds(1), .behaves(upstream: 2, .dead)), .init(at: .seconds(3), .behaves(upstream: 2, Behaviour())),
        ]
        let report = Simulation.run(scenario, seed: seed)
        #expect(report.failed == 0 && report.violations.isEmpty)
    }

    @Test("so it does for calls that may be sent only once")
    func deathUnderPosts() {
        var scenario = Scenario(upstreams: Scenario.uniform(3))
        scenario.load.nonIdempotent = 1
        scenario.load.lasts = .seconds(5)
        scenario.changes = [.init(at: .seconds(1), .behaves(upstream: 2, .dead))]
        let report = Simulation.run(scenario, seed: 1)
        #expect(report.failed == 0 && report.violations.isEmpty)
    }

    @Test("a dead service costs no more attempts than the budget and the breakers let through")
    func outage() {
        var scenario = Scenario(upstreams: Scenario.uniform(3, .failing()))
        scenario.load.perSecond = 1000
        scenario.load.lasts = .seconds(5)
        let report = Simulation.run(scenario, seed: 1)
        #expect(report.succeeded == 0 && report.violations.isEmpty)
        #expect(report.arrivals.count < report.calls / 10, "the breakers opened")
        #expect(Double(report.retries) <= 0.2 * Double(report.calls) + 5 * 6)
        #expect(report.flags[.breakerOpen, default: 0] > report.calls / 2)
    }

    @Test("without breakers, an outage multiplies the load by 1.2 at most, not by the attempts")
    func retryStorm() {
        var policy = CallPolicy()
        policy.breaker = nil
        policy.retry.attempts = 5
        var scenario = Scenario(policy: policy, upstreams: Scenario.uniform(3, .failing()))
        scenario.load.perSecond = 1000
        scenario.load.lasts = .seconds(5)
        let report = Simulation.run(scenario, seed: 1)
        #expect(Double(report.arrivals.count) <= 1.2 * Double(report.calls) + 5 * 6)
        #expect(Double(report.arrivals.count) > 1.03 * Double(report.calls), "and retries were made")
    }

    @Test("nobody waits past the deadline on an upstream that hangs")
    func hanging() {
        var policy = CallPolicy()
        policy.timeout = .milliseconds(300)
        var scenario = Scenario(policy: policy, upstreams: Scenario.uniform(2, .hanging))
        let report = Simulation.run(scenario, seed: 1)
        #expect(report.violations.isEmpty && report.succeeded == 0)
        #expect(report.finished.allSatisfy { $0.took <= .milliseconds(300) })
        scenario.policy.attemptTimeout = .milliseconds(50)
        scenario.policy.retry.on.kinds.insert(.timeout)
        scenario.upstreams[1].behaviour = Behaviour()
        scenario.load.lasts = .seconds(5)
        let other = Simulation.run(scenario, seed: 1)
        #expect(other.violations.isEmpty)
        #expect(Double(other.succeeded) > 0.98 * Double(other.calls), "an attempt timeout saves what hangs")
    }

    @Test("a service that is back is used again within three seconds")
    func recovery() {
        var scenario = Scenario(upstreams: Scenario.uniform(1, .failing()))
        scenario.load.lasts = .seconds(10)
        scenario.changes = [.init(at: .seconds(3), .behaves(upstream: 1, Behaviour()))]
        let report = Simulation.run(scenario, seed: 1)
        #expect(report.violations.isEmpty)
        #expect(report.finished.filter { $0.began > .seconds(6) }.allSatisfy { $0.status == 200 })
    }

    @Test("calls over the bulkhead are refused at once")
    func bulkhead() {
        var policy = CallPolicy()
        policy.bulkhead = BulkheadPolicy(calls: 10)
        var scenario = Scenario(policy: policy, upstreams: Scenario.uniform(2, .answering(after: .milliseconds(500))))
        scenario.load.perSecond = 200
        let report = Simulation.run(scenario, seed: 1)
        #expect(report.violations.isEmpty && report.flags[.overflow, default: 0] > 100)
        #expect(report.finished.filter { $0.status == 503 }.allSatisfy { $0.took == .zero })
    }

    @Test("a new configuration neither loses a call nor forgets what is known")
    func reconfiguration() {
        var upstreams = Scenario.uniform(4)
        upstreams[0].behaviour = .failing()
        var scenario = Scenario(upstreams: upstreams)
        scenario.load.lasts = .seconds(4)
        for step in 1...30 {
            let kind = Scenario.Change.Kind.reconfigured(
                upstreams: step % 2 == 0 ? [1, 2, 3, 4] : [1, 3, 4], draining: step % 3 == 0 ? [3] : [], policy: CallPolicy())
            scenario.changes.append(.init(at: .milliseconds(Int64(100 * step)), kind))
        }
        let report = Simulation.run(scenario, seed: 1)
        #expect(report.failed == 0 && report.violations.isEmpty)
        #expect(report.share(of: 1, from: .seconds(1), to: .seconds(4)) < 0.02, "its breaker stayed open")
    }
}
