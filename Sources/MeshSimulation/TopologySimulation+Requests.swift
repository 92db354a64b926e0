import MeshExchange
import MeshModel
import MeshPolicy

// What the services of a simulated mesh do with a request.
extension TopologySimulation {
    mutating func arrives(_ number: Int, _ attempt: Int) {
        guard let call = calls[number], let sent = call.attempts.first(where: { $0.number == attempt }),
            let process = processes[sent.target]
        else { return }
        let now = queue.now
        report.attemptArrived(at: process.service.name)
        attemptArrived(call)
        let request = SimulatedRequest(
            at: process, from: .init(call: number, attempt: attempt), method: call.exchange.request.method, root: call.root,
            received: now)
        request.criticality = call.exchange.request.criticality
        request.deadline = sent.remaining.map { now + $0 }
        request.granted = sent.credit
        if !process.service.passesOn {
            request.credit = (sent.credit ?? process.snapshot.configuration.retryCredit.grant).map { SharedRetryCredit(granted: $0) }
        }
        let index = requests.count
        requests.append(request)
        call.withAttempt(attempt) { $0.request = index }
        if let remaining = sent.remaining, remaining < Exchange.leastRemainder {
            respond(index, 504, retryNo: true)
            return
        }
        if process.limiter != nil {
            guard process.limiter!.requestCame(request.criticality, now: now) else {
                report.shed(at: process.service.name)
                respond(index, 503, retryNo: false, overload: .host)
                return
            }
            request.hasSeat = true
        }
        if let deadline = request.deadline { queue.schedule(.deadline(request: index), at: deadline) }
        if process.freeWorkers == 0 {
            process.waiting.append(index)
        } else {
            work(index)
        }
    }

    private mutating func work(_ number: Int) {
        guard let request = requests[number] else { return }
        let process = request.process
        process.freeWorkers? -= 1
        request.isWorking = true
        var span = Timespan.nanoseconds(Int64(Self.exponential(mean: Double(process.service.work.nanoseconds), &world)))
        if case .slow(let more)? = strikes(process, where: { if case .slow = $0 { true } else { false } }) { span = span + more }
        // One that never comes back holds its worker until it is cancelled.
        guard strikes(process, where: { $0 == .hang }) == nil else { return }
        queue.schedule(.worked(request: number), after: span)
    }

    mutating func worked(_ number: Int) {
        guard let request = requests[number] else { return }
        let process = request.process
        leaveWorker(request)
        switch strikes(process, where: { if case .slow = $0 { false } else { $0 != .hang && $0 != .refuse } }) {
        case .status(let status): respond(number, status, retryNo: false)
        case .reset:
            release(request)
            requests[number] = nil
            if let origin = request.origin {
                queue.schedule(.fails(call: origin.call, attempt: origin.attempt, .reset), after: topology.hop)
            }
        default: nextCall(of: number)
        }
    }

    mutating func nextCall(of number: Int) {
        guard let request = requests[number] else { return }
        let process = request.process
        guard request.nextCall < process.service.calls.count else {
            respond(number, 200, retryNo: false)
            return
        }
        let service = process.service.calls[request.nextCall]
        request.nextCall += 1
        guard let destination = process.snapshot.destination(named: service) else { preconditionFailure("calls are destinations") }
        var facts = RequestFacts(method: request.method)
        facts.criticality = request.criticality
        let credit: CallCredit =
            process.service.passesOn
            ? CallCredit(inherited: request.granted, root: process.snapshot.configuration.retryCredit, share: .whole)
            : request.credit.map { .shared($0) } ?? .unlimited
        begin(
            Exchange(destination: destination, request: facts, received: queue.now, inherited: request.deadline, credit: credit),
            for: number)
    }

    /// A request ends with an answer: the gateway's goes to the client, another's to the attempt that it came by.
    mutating func respond(_ number: Int, _ status: Int, retryNo: Bool, overload: OverloadScope = .none) {
        guard let request = requests[number] else { return }
        requests[number] = nil
        release(request, servedIn: status < 500 ? queue.now - request.received : nil)
        guard let origin = request.origin else {
            clientIsServed(request, answered: true)
            report.clientAnswered(status, began: request.received - began, took: queue.now - request.received, request.criticality)
            return
        }
        let facts = ResponseFacts(
            status: status, meshRetryNo: retryNo, overload: overload, creditSpent: request.spent ?? request.credit?.spent ?? 0)
        queue.schedule(.answers(call: origin.call, attempt: origin.attempt, facts), after: topology.hop)
    }

    /// The caller is gone: everything below is cancelled.
    mutating func cancel(_ number: Int) {
        guard let request = requests[number] else { return }
        abandonCall(of: number)
        requests[number] = nil
        release(request)
    }

    mutating func abandonCall(of number: Int) {
        guard let call = requests[number]?.call, let hop = calls[call] else { return }
        requests[number]?.call = nil
        _ = hop.exchange.callerLeft(now: queue.now, random: &random)
        calls[call] = nil
        for attempt in hop.attempts { if let below = attempt.request { cancel(below) } }
    }

    private mutating func release(_ request: SimulatedRequest, servedIn span: Timespan? = nil) {
        leaveWorker(request)
        guard request.hasSeat else { return }
        request.hasSeat = false
        request.process.limiter?.requestEnded(request.criticality, servedIn: span, now: queue.now)
    }

    private mutating func leaveWorker(_ request: SimulatedRequest) {
        guard request.isWorking else { return }
        request.isWorking = false
        let process = request.process
        guard process.freeWorkers != nil else { return }
        process.freeWorkers! += 1
        while process.nextWaiting < process.waiting.count, process.freeWorkers! > 0 {
            let next = process.waiting[process.nextWaiting]
            process.nextWaiting += 1
            // Who has left in the meantime waits no more.
            if requests[next] != nil { work(next) }
        }
    }
}

/// One process of a simulated mesh.
final class SimulatedProcess {
    let service: Topology.Service
    /// Among the instances of its service, from 0.
    let number: Int
    let snapshot: Snapshot
    var limiter: ConcurrencyLimiter?
    /// nil for any number.
    var freeWorkers: Int?
    var waiting: [Int] = []
    var nextWaiting = 0

    init(service: Topology.Service, number: Int, snapshot: Snapshot, now: Instant) {
        self.service = service
        self.number = number
        self.snapshot = snapshot
        limiter = service.configuration.limits.inFlight.map { ConcurrencyLimiter($0, now: now) }
        freeWorkers = service.workers
    }
}

/// A request at one process.
final class SimulatedRequest {
    struct Origin {
        var call: Int
        var attempt: Int
    }

    let process: SimulatedProcess
    /// nil for a client's.
    let origin: Origin?
    let method: MethodSet
    let root: SimulatedRoot
    let received: Instant
    var criticality = Criticality.standard
    var deadline: Instant?
    /// What came with it, and what it spends together; of one that is passed on, what its call has spent.
    var granted: Int?
    var credit: SharedRetryCredit?
    var spent: Int?
    var hasSeat = false
    var isWorking = false
    var nextCall = 0
    /// The call that it waits for.
    var call: Int?

    init(at process: SimulatedProcess, from origin: Origin?, method: MethodSet, root: SimulatedRoot, received: Instant) {
        self.process = process
        self.origin = origin
        self.method = method
        self.root = root
        self.received = received
    }
}

/// A call of one process to a service.
final class SimulatedHop {
    var exchange: Exchange
    /// The request that it is made for.
    let owner: Int
    let root: SimulatedRoot
    let began: Instant
    /// Attempts that reached an instance.
    var arrivals = 0
    /// Those that run: one, or two side by side.
    var attempts: [SimulatedAttempt] = []
    var facts = ResponseFacts(status: 0)
    var timerGeneration = 0

    init(_ exchange: consuming Exchange, for owner: Int, root: SimulatedRoot, began: Instant) {
        self.exchange = exchange
        self.owner = owner
        self.root = root
        self.began = began
    }

    func isRunning(_ number: Int) -> Bool { attempts.contains { $0.number == number } }

    func withAttempt(_ number: Int, _ change: (inout SimulatedAttempt) -> Void) {
        if let place = attempts.firstIndex(where: { $0.number == number }) { change(&attempts[place]) }
    }
}

/// An attempt on its way or at work.
struct SimulatedAttempt {
    let number: Int
    let target: InstanceID
    let remaining: Timespan?
    let credit: Int?
    /// What came of it at the other end.
    var request: Int?
}
