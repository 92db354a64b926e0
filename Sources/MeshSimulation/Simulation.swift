package import MeshExchange
package import MeshModel
package import MeshPolicy

/// Runs a scenario in virtual time: the very exchanges and the very destination that carry real calls, between callers and
/// upstreams that are scripted. One seed, one run: the same again, whenever and wherever.
package struct Simulation {
    /// Changes an answer before it is obeyed and judged, so that a test can see whether the judge notices.
    package typealias Saboteur = (_ effects: inout Effects, _ call: Int, _ now: Instant) -> Void

    enum Event {
        case callArrives
        case connected(call: Int, attempt: Int, isReused: Bool)
        case uploadMoved(call: Int, attempt: Int, pieces: Int)
        case head(call: Int, attempt: Int, ResponseFacts, ending: AttemptFailure?, bodyTime: Timespan)
        case responseEnded(call: Int, attempt: Int)
        case failed(call: Int, attempt: Int, AttemptFailure)
        case timer(call: Int, generation: Int)
        case callerLeaves(call: Int)
        case replayOverflows(call: Int)
        case changes(Scenario.Change.Kind)
    }

    private let scenario: Scenario
    private let sabotage: Saboteur?
    private var queue = EventQueue<Event>(now: Instant(nanoseconds: 1_000_000_000))
    private let began: Instant
    /// Of the upstreams and callers, and of the exchanges: apart, so that a change of policy leaves the script as it is.
    private var script: RandomSource
    private var random: RandomSource
    private var destination: Destination
    private var upstreams: [Int: Scenario.Upstream] = [:]
    private var idleConnections: [Int: Int] = [:]
    private var calls: [SimulatedCall] = []
    private var invariants: ExchangeInvariants
    private var report = SimulationReport()

    /// - Parameter judgedBy: the policy that the judge believes in force: another one than the scenario's lets a test see
    ///   whether a broken promise is noticed.
    package static func run(
        _ scenario: Scenario, seed: UInt64, judgedBy policy: CallPolicy? = nil, sabotage: Saboteur? = nil
    ) -> SimulationReport {
        var simulation = Simulation(scenario, seed: seed, judgedBy: policy, sabotage: sabotage)
        return simulation.run()
    }

    private init(_ scenario: Scenario, seed: UInt64, judgedBy policy: CallPolicy?, sabotage: Saboteur?) {
        self.scenario = scenario
        self.sabotage = sabotage
        began = queue.now
        script = RandomSource(seed: seed)
        random = RandomSource(seed: seed ^ 0x5bd1_e995)
        for upstream in scenario.upstreams { upstreams[upstream.number] = upstream }
        let numbers = scenario.upstreams.map(\.number)
        destination = Destination(
            Self.configuration(scenario, numbers, draining: [], policy: scenario.policy), after: nil, now: queue.now)
        invariants = ExchangeInvariants(policy: policy ?? scenario.policy, takers: Set(numbers.map(Self.instance)), now: queue.now)
    }

    private static func instance(_ number: Int) -> InstanceID { InstanceID(high: 0, low: UInt64(number)) }

    private static func configuration(
        _ scenario: Scenario, _ numbers: [Int], draining: [Int], policy: CallPolicy
    ) -> DestinationConfiguration {
        DestinationConfiguration(
            service: "upstream", policy: policy,
            endpoints: numbers.map { number in
                Endpoint(
                    instance: instance(number), addresses: [.unix(path: "/\(number)")], draining: draining.contains(number),
                    version: scenario.upstreams.first { $0.number == number }?.version)
            },
            versions: scenario.versions)
    }

    private mutating func run() -> SimulationReport {
        for change in scenario.changes { queue.schedule(.changes(change.kind), at: began + change.at) }
        queue.schedule(.callArrives, at: began)
        while let event = queue.next() { happen(event) }
        invariants.finished(destination.statistics(now: queue.now), at: queue.now)
        report.violations = invariants.violations
        report.edge = destination.statistics(now: queue.now)
        return report
    }

    private mutating func happen(_ event: Event) {
        let now = queue.now
        switch event {
        case .callArrives:
            callArrives()
        case .changes(let kind):
            change(kind)
        case .connected(let call, let attempt, let isReused):
            guard calls[call].isRunning(attempt) else { return }
            invariants.told(.connected, call: call, attempt: attempt, at: now)
            calls[call].exchange.connected(of: attempt, now: now)
            send(call, attempt, isReused: isReused)
        case .uploadMoved(let call, let attempt, let pieces):
            guard calls[call].isRunning(attempt) else { return }
            invariants.told(.progressed, call: call, attempt: attempt, at: now)
            calls[call].exchange.progressed(now: now)
            if pieces > 0 {
                queue.schedule(.uploadMoved(call: call, attempt: attempt, pieces: pieces - 1), after: .milliseconds(80))
            } else {
                requestSent(call, attempt)
            }
        case .head(let call, let attempt, let facts, let ending, let bodyTime):
            guard calls[call].isRunning(attempt) else { return }
            invariants.told(.head(facts), call: call, attempt: attempt, at: now)
            // The attempt goes on only if the exchange forwards its head.
            if let ending {
                queue.schedule(.failed(call: call, attempt: attempt, ending), after: bodyTime)
            } else {
                queue.schedule(.responseEnded(call: call, attempt: attempt), after: bodyTime)
            }
            obey(calls[call].exchange.responseHead(facts, of: attempt, now: now, random: &random), call)
        case .responseEnded(let call, let attempt):
            guard calls[call].isRunning(attempt) else { return }
            invariants.told(.ended, call: call, attempt: attempt, at: now)
            let upstream = calls[call].upstream(of: attempt)
            calls[call].attemptIsOver(attempt)
            idleConnections[upstream, default: 0] += 1
            obey(calls[call].exchange.responseEnded(now: now, random: &random), call)
        case .failed(let call, let attempt, let failure):
            guard calls[call].isRunning(attempt) else { return }
            invariants.told(.failed(failure), call: call, attempt: attempt, at: now)
            calls[call].attemptIsOver(attempt)
            obey(calls[call].exchange.attemptFailed(failure, of: attempt, now: now, random: &random), call)
        case .timer(let call, let generation):
            guard calls[call].timerGeneration == generation, !calls[call].isOver else { return }
            invariants.told(.timerFired, call: call, at: now)
            obey(calls[call].exchange.timerFired(now: now, random: &random), call)
        case .callerLeaves(let call):
            guard !calls[call].isOver else { return }
            invariants.told(.callerLeft, call: call, at: now)
            obey(calls[call].exchange.callerLeft(now: now, random: &random), call)
            calls[call].isOver = true
            report.left += 1
        case .replayOverflows(let call):
            guard !calls[call].isOver else { return }
            invariants.told(.replayOverflowed, call: call, at: now)
            calls[call].exchange.replayOverflowed(now: now)
        }
    }

    // MARK: Callers

    private mutating func callArrives() {
        let now = queue.now
        let load = scenario.load
        let gap = Timespan.seconds(2 * script.nextUnit() / load.perSecond)
        if now + gap < began + load.lasts { queue.schedule(.callArrives, after: gap) }
        let isUpload = script.nextUnit() < load.uploads
        let facts = RequestFacts(
            method: script.nextUnit() < load.nonIdempotent ? .post : .get, bodyIsStreamed: isUpload, isGRPC: script.nextUnit() < load.grpc,
            traceID: TraceID(high: 1, low: UInt64(calls.count + 1)),
            affinity: destination.affinityKey == nil ? nil : HashRing.hash([UInt8(script.next(below: 20))]))
        let inherited = load.inherited.map { range in
            now + Timespan(nanoseconds: range.lowerBound + Int64(Double(range.upperBound - range.lowerBound) * script.nextUnit()))
        }
        let call = calls.count
        calls.append(SimulatedCall(Exchange(destination: destination, request: facts, received: now, inherited: inherited), at: now))
        report.calls += 1
        if isUpload, script.nextUnit() < load.overflows { queue.schedule(.replayOverflows(call: call), after: .milliseconds(50)) }
        if script.nextUnit() < load.leaves {
            queue.schedule(.callerLeaves(call: call), after: Timespan(nanoseconds: Int64(script.next(below: 60_000_000))))
        }
        invariants.arrived(call, facts, deadline: calls[call].exchange.deadline)
        invariants.told(.began, call: call, at: now)
        obey(calls[call].exchange.began(now: now, random: &random), call)
    }

    private mutating func obey(_ answer: Effects, _ call: Int) {
        var effects = answer
        let now = queue.now
        sabotage?(&effects, call, now)
        invariants.answered(effects, call: call, at: now, edge: destination.statistics(now: now))
        if effects.abandon != nil { calls[call].attemptIsOver(Int(effects.only)) }
        if let start = effects.start { begin(start, call) }
        switch effects.caller {
        case .nothing: break
        case .forwardHead: calls[call].status = calls[call].exchange.attempts.current?.status ?? 0
        case .complete: finish(call, status: calls[call].status)
        case .fail(let failure):
            report.flags[failure.flag, default: 0] += 1
            finish(call, status: failure.status)
        case .reset(let failure):
            report.flags[failure.flag, default: 0] += 1
            finish(call, status: 0)
        }
        calls[call].timerGeneration += 1
        if let wakeAt = effects.wakeAt, !calls[call].isOver {
            queue.schedule(.timer(call: call, generation: calls[call].timerGeneration), at: wakeAt)
        }
    }

    private mutating func finish(_ call: Int, status: Int) {
        calls[call].isOver = true
        let isSuccess = (200..<500).contains(status)
        if isSuccess { report.succeeded += 1 } else { report.failed += 1 }
        report.finished.append(
            SimulationReport.Finished(
                began: calls[call].began - began, took: queue.now - calls[call].began, status: status,
                attempts: calls[call].exchange.attempts.count))
        report.digest = (report.digest ^ UInt64(bitPattern: Int64(status)) ^ UInt64(bitPattern: queue.now.nanoseconds)) &* 0x100_0000_01b3
    }

    // MARK: Upstreams

    private mutating func begin(_ start: Attempt, _ call: Int) {
        let number = Int(start.endpoint.endpoint.instance.low)
        calls[call].begin(start.number, on: number)
        report.arrivals.append(
            SimulationReport.Arrival(
                at: queue.now - began, upstream: number, isRetry: start.number > 1 && !start.isHedge, isHedge: start.isHedge))
        let behaviour = upstreams[number]?.behaviour ?? .dead
        if !start.needsNewConnection, let idle = idleConnections[number], idle > 0 {
            idleConnections[number] = idle - 1
            queue.schedule(.connected(call: call, attempt: start.number, isReused: true), after: .zero)
            return
        }
        switch behaviour.accepting {
        case .accepts: queue.schedule(.connected(call: call, attempt: start.number, isReused: false), after: behaviour.connectTime)
        case .refuses: queue.schedule(.failed(call: call, attempt: start.number, .connectFailed), after: behaviour.connectTime)
        case .silent: break
        }
    }

    /// What the upstream will do is drawn when the request reaches it.
    private mutating func send(_ call: Int, _ attempt: Int, isReused: Bool) {
        let behaviour = upstreams[calls[call].upstream(of: attempt)]?.behaviour ?? .dead
        if isReused, behaviour.accepting == .refuses || script.nextUnit() < behaviour.staleUnwritten {
            let failure = AttemptFailure.closedBeforeResponse(reused: true, requestWritten: false)
            queue.schedule(.failed(call: call, attempt: attempt, failure), after: .zero)
            return
        }
        if calls[call].exchange.request.bodyIsStreamed, !calls[call].isUploaded {
            queue.schedule(.uploadMoved(call: call, attempt: attempt, pieces: script.next(below: 6)), after: .milliseconds(1))
            if script.nextUnit() < behaviour.resets {
                queue.schedule(.failed(call: call, attempt: attempt, .reset), after: .milliseconds(Int64(script.next(below: 300))))
            }
            return
        }
        requestSent(call, attempt, isReused: isReused)
    }

    private mutating func requestSent(_ call: Int, _ attempt: Int, isReused: Bool = false) {
        calls[call].isUploaded = true
        invariants.told(.sent, call: call, attempt: attempt, at: queue.now)
        obey(calls[call].exchange.requestSent(of: attempt, now: queue.now), call)
        guard calls[call].isRunning(attempt) else { return }
        let behaviour = upstreams[calls[call].upstream(of: attempt)]?.behaviour ?? .dead
        let latency = behaviour.latency.draw(&script)
        func fail(_ failure: AttemptFailure) { queue.schedule(.failed(call: call, attempt: attempt, failure), after: latency) }
        if isReused, script.nextUnit() < behaviour.staleWritten {
            return fail(.closedBeforeResponse(reused: true, requestWritten: true))
        }
        if script.nextUnit() < behaviour.refusesStreams { return fail(.streamRefused) }
        if script.nextUnit() < behaviour.hangs { return }
        if script.nextUnit() < behaviour.resets { return fail(.reset) }
        if script.nextUnit() < behaviour.breaksProtocol { return fail(.protocolError) }
        let facts = script.nextUnit() < behaviour.errors ? behaviour.error : ResponseFacts(status: 200)
        let ending: AttemptFailure? = script.nextUnit() < behaviour.truncates ? .truncated : nil
        queue.schedule(.head(call: call, attempt: attempt, facts, ending: ending, bodyTime: behaviour.bodyTime), after: latency)
    }

    private mutating func change(_ kind: Scenario.Change.Kind) {
        switch kind {
        case .behaves(let number, let behaviour):
            upstreams[number, default: Scenario.Upstream(number: number)].behaviour = behaviour
        case .reconfigured(let numbers, let draining, let policy):
            destination = Destination(
                Self.configuration(scenario, numbers, draining: draining, policy: policy), after: destination, now: queue.now)
            invariants.reconfigured(
                policy: policy, takers: Set(numbers.filter { !draining.contains($0) }.map(Self.instance)), at: queue.now)
        }
    }
}

/// One call, as the host keeps it.
final class SimulatedCall {
    var exchange: Exchange
    let began: Instant
    /// Numbers of the running attempts, and where they went.
    private var running: [(attempt: Int, upstream: Int)] = []
    var timerGeneration = 0
    var isUploaded = false
    var isOver = false
    var status = 0

    init(_ exchange: consuming Exchange, at now: Instant) {
        self.exchange = exchange
        began = now
    }

    func isRunning(_ number: Int) -> Bool { !isOver && running.contains { $0.attempt == number } }

    func upstream(of number: Int) -> Int { running.first { $0.attempt == number }?.upstream ?? 0 }

    func begin(_ number: Int, on upstream: Int) { running.append((number, upstream)) }

    /// - Parameter number: 0 for all.
    func attemptIsOver(_ number: Int) { running.removeAll { number == 0 || $0.attempt == number } }
}
