package import MeshExchange
import MeshModel
import MeshPolicy

/// Runs a whole mesh in virtual time: every call of every process is one exchange with its process's own destinations, as in
/// production; only sockets, handlers and clocks are played. Of equal seeds come equal runs.
package struct TopologySimulation {
    enum Event {
        case clientArrives
        /// An attempt reaches the instance that was chosen for it.
        case arrives(call: Int, attempt: Int)
        case fails(call: Int, attempt: Int, AttemptFailure)
        case answers(call: Int, attempt: Int, ResponseFacts)
        case timer(call: Int, generation: Int)
        case worked(request: Int)
        case deadline(request: Int)
        case clientLeaves(request: Int)
    }

    let topology: Topology
    var queue = EventQueue<Event>(now: .zero + .seconds(1))
    let began: Instant
    /// Draw what clients do, what services do, and what the exchanges do: apart, so that another policy meets the same clients.
    private var clients: RandomSource
    var world: RandomSource
    var random: RandomSource
    var processes: [InstanceID: SimulatedProcess] = [:]
    let gateway: SimulatedProcess
    /// nil once over.
    var requests: [SimulatedRequest?] = []
    var calls: [SimulatedHop?] = []
    var report: TopologyReport
    /// Falsifies what an exchange answered, so that a test sees the invariants object.
    private let sabotage: ((inout Attempt) -> Void)?

    /// - Throws: where a process could not follow its snapshot either.
    package static func run(
        _ topology: Topology, seed: UInt64, sabotage: ((inout Attempt) -> Void)? = nil
    ) throws(SnapshotError) -> TopologyReport {
        var simulation = try TopologySimulation(topology, seed: seed, sabotage: sabotage)
        return simulation.run()
    }

    private init(_ topology: Topology, seed: UInt64, sabotage: ((inout Attempt) -> Void)?) throws(SnapshotError) {
        precondition(!topology.services.isEmpty && !topology.load.routes.isEmpty, "a topology has a gateway that is asked for something")
        self.topology = topology
        self.sabotage = sabotage
        began = queue.now
        clients = RandomSource(seed: seed &+ 0x632b_e59b_d9b4_e019)
        world = RandomSource(seed: seed)
        random = RandomSource(seed: seed ^ 0x5bd1_e995)
        report = TopologyReport(seconds: Int(topology.load.lasts.seconds.rounded(.up)))
        var gateway: SimulatedProcess?
        for (index, service) in topology.services.enumerated() {
            for (number, instance) in (index == 0 ? [InstanceID(high: 1, low: 1)] : service.instances).enumerated() {
                let process = SimulatedProcess(
                    service: service, number: number, snapshot: try Snapshot(service.configuration, now: queue.now), now: queue.now)
                processes[instance] = process
                if index == 0 { gateway = process }
            }
        }
        guard let gateway else { preconditionFailure("the loop above makes one") }
        self.gateway = gateway
    }

    private mutating func run() -> TopologyReport {
        queue.schedule(.clientArrives, at: began)
        while let event = queue.next() { happen(event) }
        checkRest()
        report.events = report.events.sorted { $0.at < $1.at }
        return report
    }

    private mutating func happen(_ event: Event) {
        let now = queue.now
        switch event {
        case .clientArrives: clientArrives()
        case .arrives(let call, let attempt): arrives(call, attempt)
        case .fails(let number, let attempt, let failure):
            guard let call = calls[number], call.isRunning(attempt) else { return }
            call.attempts.removeAll { $0.number == attempt }
            obey(call.exchange.attemptFailed(failure, of: attempt, now: now, random: &random), number)
        case .answers(let number, let attempt, let facts):
            guard let call = calls[number], call.isRunning(attempt) else { return }
            call.withAttempt(attempt) { $0.request = nil }
            call.facts = facts
            obey(call.exchange.responseHead(facts, of: attempt, now: now, random: &random), number)
        case .timer(let number, let generation):
            guard let call = calls[number], call.timerGeneration == generation else { return }
            obey(call.exchange.timerFired(now: now, random: &random), number)
        case .worked(let request): worked(request)
        case .deadline(let number):
            guard requests[number] != nil else { return }
            abandonCall(of: number)
            respond(number, 504, retryNo: true)
        case .clientLeaves(let number):
            guard let request = requests[number] else { return }
            clientIsServed(request, answered: false)
            cancel(number)
        }
    }

    var time: Timespan { queue.now - began }

    // MARK: Clients

    private mutating func clientArrives() {
        let load = topology.load
        let gap = Timespan.nanoseconds(Int64(Self.exponential(mean: 1e9 / load.perSecond, &clients)))
        if time + gap < load.lasts { queue.schedule(.clientArrives, after: gap) }
        report.clientArrived(at: time)
        let routes = gateway.snapshot.routes
        let route = routes[load.routes.count == 1 ? load.routes[0] : load.routes[clients.next(below: load.routes.count)]]
        let request = SimulatedRequest(at: gateway, from: nil, method: load.method, root: SimulatedRoot(), received: queue.now)
        request.criticality = route.criticality
        requests.append(request)
        if load.leaves > 0, clients.nextUnit() < load.leaves {
            queue.schedule(.clientLeaves(request: requests.count - 1), after: .microseconds(Int64(clients.next(below: 60_000))))
        }
        var facts = RequestFacts(method: load.method, isMarkedIdempotent: route.isIdempotent, maxDuration: route.maxDuration)
        facts.criticality = route.criticality
        facts.fault = route.fault(at: queue.now)
        let destination = route.destination(random: &random)
        let credit = CallCredit(inherited: nil, root: gateway.snapshot.configuration.retryCredit, share: .half)
        begin(
            Exchange(
                destination: destination, request: facts, received: queue.now, inherited: route.deadline(received: queue.now),
                timeout: route.timeout, credit: credit), for: requests.count - 1)
    }

    static func exponential(mean: Double, _ random: inout RandomSource) -> Double { -mean * logarithm(1 - random.nextUnit()) }

    // MARK: Callers

    mutating func begin(_ exchange: consuming Exchange, for request: Int) {
        let number = calls.count
        guard let root = requests[request]?.root else { preconditionFailure("a call is made for a request") }
        let call = SimulatedHop(exchange, for: request, root: root, began: queue.now)
        calls.append(call)
        requests[request]?.call = number
        report.edges[edge(of: call), default: .init()].calls += 1
        obey(call.exchange.began(now: queue.now, random: &random), number)
    }

    func edge(of call: SimulatedHop) -> TopologyReport.Edge {
        TopologyReport.Edge(from: requests[call.owner]?.process.service.name ?? "", to: call.exchange.destination.service)
    }

    mutating func obey(_ effects: Effects, _ number: Int) {
        guard let call = calls[number] else { return }
        let now = queue.now
        if effects.abandon != nil { abandonAttempts(of: call, only: Int(effects.only)) }
        if var attempt = effects.start {
            sabotage?(&attempt)
            start(attempt, call, number)
        }
        switch effects.caller {
        case .nothing: break
        case .forwardHead(let retryNo):
            // Bodies take no time.
            let facts = call.facts
            _ = call.exchange.responseEnded(now: now, random: &random)
            ended(number, status: facts.status, retryNo: retryNo || facts.meshRetryNo)
            return
        case .complete: return
        case .fail(let failure), .reset(let failure):
            report.failed(failure.cause, on: edge(of: call), at: time)
            ended(number, status: failure.status, retryNo: failure.retryNo)
            return
        }
        call.timerGeneration += 1
        if let wakeAt = effects.wakeAt { queue.schedule(.timer(call: number, generation: call.timerGeneration), at: wakeAt) }
    }

    private mutating func start(_ start: Attempt, _ call: SimulatedHop, _ number: Int) {
        let now = queue.now
        let target = start.endpoint.endpoint.instance
        call.attempts.append(
            SimulatedAttempt(number: start.number, target: target, remaining: start.remaining, credit: start.credit))
        report.edges[edge(of: call), default: .init()].attempts += 1
        guard let process = processes[target] else { preconditionFailure("endpoints are the topology's instances") }
        if strikes(process, where: { $0 == .refuse }) != nil {
            queue.schedule(.fails(call: number, attempt: start.number, .connectFailed), after: topology.hop * 2)
            return
        }
        call.exchange.connected(of: start.number, now: now)
        _ = call.exchange.requestSent(of: start.number, now: now)
        queue.schedule(.arrives(call: number, attempt: start.number), after: topology.hop)
    }

    /// The trouble of one kind that strikes an attempt now.
    mutating func strikes(_ process: SimulatedProcess, where isWanted: (Topology.Trouble.Kind) -> Bool) -> Topology.Trouble.Kind? {
        for trouble in topology.troubles where trouble.service == process.service.name && isWanted(trouble.kind) {
            if trouble.strikes(instance: process.number, at: time, random: &world) { return trouble.kind }
        }
        return nil
    }

    /// - Parameter number: of the one that ends; 0 for all.
    private mutating func abandonAttempts(of call: SimulatedHop, only number: Int) {
        let ended = call.attempts.filter { number == 0 || $0.number == number }
        call.attempts.removeAll { number == 0 || $0.number == number }
        for attempt in ended { if let request = attempt.request { cancel(request) } }
    }

    /// A call came to its end: its request goes on, or ends with it.
    private mutating func ended(_ number: Int, status: Int, retryNo: Bool) {
        guard let call = calls[number] else { return }
        calls[number] = nil
        abandonAttempts(of: call, only: 0)
        report.callEnded(
            on: edge(of: call), failed: status >= 500, took: queue.now - call.began, attempts: call.exchange.attempts,
            flag: call.exchange.flag, at: time)
        let owner = call.owner
        guard let request = requests[owner] else { return }
        request.call = nil
        if request.process.service.passesOn { request.spent = call.exchange.credit.spent }
        if status >= 500 || request.process === gateway {
            respond(owner, status, retryNo: status >= 500 && retryNo)
        } else {
            nextCall(of: owner)
        }
    }
}

/// The natural logarithm for 0 < x <= 1, without a C library: by the exponent's bits, and the series of the inverse hyperbolic tangent.
func logarithm(_ x: Double) -> Double {
    let significand = x.significand
    let y = (significand - 1) / (significand + 1)
    let square = y * y
    var sum = 0.0
    for term in stride(from: 23, through: 1, by: -2) { sum = sum * square + 1 / Double(term) }
    return Double(x.exponent) * 0.693_147_180_559_945_3 + 2 * y * sum
}
