import MeshExchange
import MeshModel
import MeshPolicy
import MeshSimulation
import TestSupport
import Testing

/// The judge is judged: each rule is broken on purpose, and has to be noticed.
@Suite("The invariants object", .calculating)
struct InvariantsTests {
    private typealias Rule = ExchangeInvariants.Rule

    private func troubled(_ change: (inout Scenario) -> Void = { _ in }) -> Scenario {
        var policy = CallPolicy()
        policy.breaker = nil
        policy.retry.attempts = 3
        var behaviour = Behaviour()
        behaviour.errors = 0.5
        behaviour.bodyTime = .milliseconds(2)
        var scenario = Scenario(policy: policy, upstreams: Scenario.uniform(3, behaviour))
        change(&scenario)
        return scenario
    }

    private func rules(_ report: SimulationReport) -> Set<Rule> { Set(report.violations.map(\.rule)) }

    // MARK: Where a stricter promise was made than is kept

    @Test("to nothing where all promises are kept")
    func kept() { #expect(Simulation.run(troubled(), seed: 1).violations.isEmpty) }

    @Test("to a budget that is not charged")
    func budget() {
        var promised = troubled().policy
        promised.retry.budgetRatio = 0.02
        promised.retry.reservePerSecond = 0
        #expect(rules(Simulation.run(troubled(), seed: 1, judgedBy: promised)).contains(.retriesWithinBudget))
    }

    @Test("to too many that retry at once")
    func atOnce() {
        let scenario = troubled {
            $0.policy.retry.budgetRatio = 1
            $0.policy.retry.reservePerSecond = 1000
            $0.load.perSecond = 2000
        }
        var promised = scenario.policy
        promised.retry.budgetRatio = 0.2
        #expect(rules(Simulation.run(scenario, seed: 1, judgedBy: promised)).contains(.fewRetryingAtOnce))
    }

    @Test("to more attempts than agreed")
    func attempts() {
        var promised = troubled().policy
        promised.retry.attempts = 1
        #expect(rules(Simulation.run(troubled(), seed: 1, judgedBy: promised)).contains(.attemptsBounded))
    }

    @Test("to a request that is sent twice and must not be", arguments: [true, false])
    func sentTwice(never: Bool) {
        var promised = troubled().policy
        if never { promised.retry.never = true } else { promised.retry.methods = [] }
        #expect(rules(Simulation.run(troubled(), seed: 1, judgedBy: promised)).contains(.sentOnceUnlessRepeatable))
    }

    // MARK: Two attempts side by side

    private func hedging(_ change: (inout Scenario) -> Void = { _ in }) -> Scenario {
        troubled { scenario in
            scenario.policy.hedge = HedgePolicy(after: .fixed(.milliseconds(8)), most: 0.5)
            for index in scenario.upstreams.indices {
                scenario.upstreams[index].behaviour.latency = .tailed(.milliseconds(2), .milliseconds(6), share: 0.1, factor: 20)
            }
            change(&scenario)
        }
    }

    @Test("to nothing where hedges keep to their rules, and they shorten the tail")
    func hedges() {
        let report = Simulation.run(hedging(), seed: 1)
        #expect(report.violations.isEmpty && report.hedges > 10)
        let without = Simulation.run(hedging { $0.policy.hedge = nil }, seed: 1)
        #expect(report.latency(0.95) < without.latency(0.95))
    }

    @Test("to more hedges than their share")
    func tooManyHedges() {
        var promised = hedging().policy
        promised.hedge?.most = 0.01
        #expect(rules(Simulation.run(hedging(), seed: 1, judgedBy: promised)).contains(.hedgesWithinShare))
    }

    @Test("to a hedge that is not paid like a retry")
    func unpaidHedges() {
        var promised = hedging().policy
        promised.retry.budgetRatio = 0.01
        promised.retry.reservePerSecond = 0
        let scenario = hedging { for index in $0.upstreams.indices { $0.upstreams[index].behaviour.errors = 0 } }
        #expect(rules(Simulation.run(scenario, seed: 1, judgedBy: promised)).contains(.retriesWithinBudget))
    }

    @Test("to a hedge of what must not be sent twice")
    func hedgedTwice() {
        var promised = hedging().policy
        promised.retry.methods = []
        let scenario = hedging { for index in $0.upstreams.indices { $0.upstreams[index].behaviour.errors = 0 } }
        #expect(rules(Simulation.run(scenario, seed: 1, judgedBy: promised)).contains(.sentOnceUnlessRepeatable))
    }

    @Test("to a loser that is not cancelled")
    func loserGoesOn() {
        let found = sabotaged(hedging()) { effects, _, _ in if effects.abandon == .overtaken { effects.abandon = nil } }
        #expect(found.isSuperset(of: [.firstAnswerWins, .loansReturned]))
    }

    @Test("to the winner being cancelled")
    func winnerIsCancelled() {
        let found = sabotaged(hedging()) { effects, _, _ in if effects.abandon == .overtaken { effects.only = 3 - effects.only } }
        #expect(found.contains(.firstAnswerWins))
    }

    // MARK: Where answers are falsified on their way

    private func sabotaged(_ scenario: Scenario? = nil, _ sabotage: @escaping Simulation.Saboteur) -> Set<Rule> {
        rules(Simulation.run(scenario ?? troubled(), seed: 1, sabotage: sabotage))
    }

    @Test("to a second end")
    func secondEnd() {
        var ended: Set<Int> = []
        let found = sabotaged { effects, call, _ in
            if case .complete = effects.caller { ended.insert(call) }
            if case .forwardHead = effects.caller { effects.caller = .complete }
        }
        #expect(found.contains(.effectsLegal))
    }

    @Test("to a call that never ends")
    func noEnd() {
        let found = sabotaged { effects, call, _ in
            if call == 7 {
                effects.caller = .nothing
                effects.wakeAt = nil
            }
        }
        #expect(found.contains(.oneTerminalEffect))
    }

    @Test("to a timer that comes too late")
    func lateTimer() {
        let scenario = troubled { scenario in
            for index in scenario.upstreams.indices { scenario.upstreams[index].behaviour.hangs = 0.3 }
            scenario.policy.timeout = .milliseconds(200)
        }
        let found = sabotaged(scenario) { effects, _, _ in effects.wakeAt = effects.wakeAt.map { $0 + .milliseconds(1) } }
        #expect(found.contains(.deadlineKept))
    }

    @Test("to a timer that spins")
    func spinning() {
        var last = 0
        let found = sabotaged { effects, _, now in
            last += 1
            if last < 2000, effects.wakeAt != nil { effects.wakeAt = now }
        }
        #expect(found.contains(.timerMovesOn))
    }

    @Test("to an attempt beside another, and to a lost one")
    func illegal() {
        var kept: Attempt?
        let found = sabotaged { effects, call, _ in
            guard call == 3 else { return }
            if let start = effects.start { kept = start }
            if case .forwardHead = effects.caller { effects.start = kept }
        }
        #expect(found.isSuperset(of: [.effectsLegal, .loansReturned]))
    }

    // MARK: Where a trace is told that no exchange would make

    /// A judge with one call under way on endpoint 1, and the means to answer it.
    private struct Trace {
        var invariants: ExchangeInvariants
        let endpoints = (1...3).map { EndpointReference(Endpoint(instance: InstanceID(high: 0, low: UInt64($0)), addresses: [])) }
        var now = Instant.zero
        var edge: DestinationStatistics

        init(policy: CallPolicy = CallPolicy()) {
            let instances = endpoints.map(\.endpoint.instance)
            invariants = ExchangeInvariants(policy: policy, takers: Set(instances.prefix(2)), now: .zero)
            edge = Destination(
                DestinationConfiguration(service: "upstream", policy: policy, endpoints: endpoints.map(\.endpoint)), now: .zero
            ).statistics(now: .zero)
        }

        mutating func arrive(_ call: Int, on endpoint: Int = 1, method: MethodSet = .get) {
            invariants.arrived(call, RequestFacts(method: method), deadline: .zero + .seconds(2))
            told(.began, call, Effects(start: attempt(1, endpoint), wakeAt: .zero + .seconds(1)))
        }

        func attempt(_ number: Int, _ endpoint: Int) -> Attempt {
            Attempt(
                number: number, endpoint: endpoints[endpoint - 1], connectBy: .distantFuture, remaining: nil, needsNewConnection: false)
        }

        mutating func told(_ event: ExchangeInvariants.Event, _ call: Int, _ effects: Effects) {
            invariants.told(event, call: call, at: now)
            let edge = edge
            invariants.answered(effects, call: call, at: now, edge: edge)
        }

        func found(_ rule: Rule) -> Bool { invariants.violations.contains { $0.rule == rule } }
    }

    private let later = Instant.zero + .seconds(1)

    @Test("to a second probe of one endpoint")
    func probe() {
        var trace = Trace()
        trace.edge.endpoints[0].breaker = .halfOpen
        trace.arrive(1)
        #expect(!trace.found(.oneProbePerEndpoint))
        trace.arrive(2)
        #expect(trace.found(.oneProbePerEndpoint))
    }

    @Test("to the lease of a probe that nobody holds")
    func leaseOfNobody() {
        var trace = Trace()
        trace.edge.endpoints[1].breaker = .halfOpen
        (trace.edge.active, trace.edge.endpoints[0].inFlight) = (1, 1)
        trace.arrive(1)
        #expect(!trace.found(.loansReturned))
        (trace.edge.active, trace.edge.endpoints[0].inFlight, trace.edge.endpoints[1].isProbing) = (2, 2, true)
        trace.arrive(2)
        #expect(trace.found(.loansReturned))
    }

    @Test("to a wait for a retry that ends after the deadline", arguments: [1.9, 2.1])
    func waitPastDeadline(seconds: Double) {
        var trace = Trace()
        trace.arrive(1)
        let facts = ResponseFacts(status: 503, retryAfter: .seconds(seconds))
        trace.told(.head(facts), 1, Effects(abandon: .retried, wakeAt: later))
        #expect(trace.found(.deadlineKept) == (seconds > 2))
    }

    @Test("to a call through an open breaker")
    func openBreaker() {
        var trace = Trace()
        trace.edge.endpoints[0].breaker = .open
        trace.arrive(1)
        #expect(trace.found(.openBreakerHolds))
    }

    @Test("to a retry after the head was forwarded")
    func retryAfterHead() {
        var trace = Trace()
        trace.arrive(1)
        trace.told(.head(ResponseFacts(status: 503)), 1, Effects(caller: .forwardHead(retryNo: false), wakeAt: later))
        trace.told(.failed(.truncated), 1, Effects(start: trace.attempt(2, 2), wakeAt: later))
        #expect(trace.found(.noRetryAfterCommit))
    }

    @Test("to a retry after the replay buffer overflowed")
    func retryAfterOverflow() {
        var trace = Trace()
        trace.arrive(1)
        trace.told(.replayOverflowed, 1, Effects(wakeAt: later))
        trace.told(.failed(.connectFailed), 1, Effects(start: trace.attempt(2, 2), wakeAt: later))
        #expect(trace.found(.noRetryAfterCommit))
    }

    @Test(
        "to a retry that the upstream forbade",
        arguments: [
            ResponseFacts(status: 503, meshRetryNo: true), ResponseFacts(status: 503, overload: .pool),
            ResponseFacts(status: 200, grpcStatus: 14, forbidsRetry: true),
        ])
    func forbidden(response: ResponseFacts) {
        var trace = Trace()
        trace.arrive(1)
        trace.told(.head(response), 1, Effects(abandon: .retried, wakeAt: later))
        #expect(trace.found(.forbiddenIsNotRetried))
    }

    @Test("to a retry sooner or later than Retry-After says")
    func retryAfter() {
        var trace = Trace()
        trace.arrive(1)
        trace.told(.head(ResponseFacts(status: 503, retryAfter: .milliseconds(100))), 1, Effects(abandon: .retried, wakeAt: later))
        trace.now = .zero + .milliseconds(99)
        trace.told(.timerFired, 1, Effects(start: trace.attempt(2, 2), wakeAt: later))
        #expect(trace.found(.retryAfterHonoured))
    }

    @Test("to a third attempt beside two, and to a hedge that goes where the first went")
    func third() {
        var policy = CallPolicy()
        policy.hedge = HedgePolicy(most: 10)
        policy.retry.budgetRatio = 10
        var trace = Trace(policy: policy)
        func hedge(_ number: Int, _ endpoint: Int) -> Effects {
            var attempt = trace.attempt(number, endpoint)
            attempt.isHedge = true
            return Effects(start: attempt, wakeAt: later)
        }
        trace.arrive(1)
        trace.told(.timerFired, 1, hedge(2, 2))
        #expect(!trace.found(.twoAtMost) && !trace.found(.hedgesGoToOthers) && !trace.found(.hedgesWithinShare))
        trace.told(.timerFired, 1, hedge(3, 2))
        #expect(trace.found(.twoAtMost) && trace.found(.hedgesGoToOthers))
    }

    @Test("to an endpoint that is left free of charge twice")
    func leftTwice() {
        var trace = Trace()
        trace.arrive(1)
        trace.told(.failed(.connectFailed), 1, Effects(start: trace.attempt(2, 1), wakeAt: later))
        trace.told(.failed(.connectFailed), 1, Effects(start: trace.attempt(3, 2), wakeAt: later))
        #expect(trace.found(.unsentOncePerEndpoint))
        #expect(trace.found(.otherEndpointFirst), "and endpoint 2 was there all the time")
    }

    @Test("to a call on an endpoint that takes none")
    func draining() {
        var trace = Trace()
        trace.arrive(1, on: 3)
        #expect(trace.found(.drainingGetsNoCalls))
    }

    @Test("to anything after the end")
    func afterTheEnd() {
        var trace = Trace()
        trace.arrive(1)
        let failure = CallFailure(.attemptFailed(.reset), attempt: 1)
        trace.told(.failed(.reset), 1, Effects(caller: .fail(failure)))
        #expect(trace.invariants.violations.allSatisfy { $0.rule == .loansReturned })
        trace.told(.timerFired, 1, Effects(caller: .fail(failure)))
        #expect(trace.found(.oneTerminalEffect) && trace.found(.nothingAfterTheEnd))
    }

    @Test("to what is not given back")
    func loans() {
        var trace = Trace()
        trace.arrive(1)
        #expect(trace.found(.loansReturned), "the edge of this trace counts no calls")
        trace.invariants.finished(trace.edge, at: later)
        #expect(trace.found(.oneTerminalEffect))
    }
}
