package import MeshExchange
package import MeshModel
package import MeshPolicy

/// What came of a simulated mesh.
package struct TopologyReport: Sendable {
    package struct Edge: Hashable, Comparable, Sendable {
        package var from: String
        package var to: String

        package init(from: String, to: String) {
            self.from = from
            self.to = to
        }

        package static func < (left: Edge, right: Edge) -> Bool { (left.from, left.to) < (right.from, right.to) }
    }

    package struct EdgeCounts: Sendable {
        package var calls = 0
        package var attempts = 0
        package var failed = 0
        /// Calls that never left the caller, by why.
        package var refused: [FailureCause: Int] = [:]
        package var latencies = LatencyHistogram()
    }

    package struct Clients: Sendable {
        package var sent = 0
        package var succeeded = 0
    }

    /// Something that happened for the first time on an edge.
    package struct First: Sendable {
        package var at: Timespan
        package var edge: Edge
        package var what: String
    }

    package var clients = Clients()
    package var latencies = LatencyHistogram()
    package var statuses: [Int: Int] = [:]
    /// Of the clients' requests, by the second in which they began.
    package var seconds: [Clients]
    package var byCriticality: [Criticality: Clients] = [:]
    package var edges: [Edge: EdgeCounts] = [:]
    /// Attempts that reached an instance, by service.
    package var arrivals: [String: Int] = [:]
    /// Of them, those that the instance turned away.
    package var shed: [String: Int] = [:]
    /// Oldest first.
    package var events: [First] = []
    /// What must hold and did not.
    package var violations: [String] = []
    private var known: Set<String> = []

    init(seconds: Int) { self.seconds = Array(repeating: Clients(), count: max(1, seconds)) }

    /// Arrivals at a service per request of a client.
    package func amplification(of service: String) -> Double {
        clients.sent == 0 ? 0 : Double(arrivals[service] ?? 0) / Double(clients.sent)
    }

    package var successShare: Double { clients.sent == 0 ? 0 : Double(clients.succeeded) / Double(clients.sent) }

    /// Of the requests that began in a span of whole seconds.
    package func successShare(in range: Range<Int>) -> Double {
        let part = seconds[range.clamped(to: seconds.indices)]
        let sent = part.reduce(0) { $0 + $1.sent }
        return sent == 0 ? 0 : Double(part.reduce(0) { $0 + $1.succeeded }) / Double(sent)
    }

    // MARK: What is told

    mutating func clientArrived(at time: Timespan) {
        clients.sent += 1
        seconds[min(Int(time.seconds), seconds.count - 1)].sent += 1
    }

    mutating func clientAnswered(_ status: Int, began: Timespan, took span: Timespan, _ criticality: Criticality) {
        statuses[status, default: 0] += 1
        latencies.record(span)
        byCriticality[criticality, default: Clients()].sent += 1
        guard status < 500 else { return }
        clients.succeeded += 1
        byCriticality[criticality, default: Clients()].succeeded += 1
        seconds[min(Int(began.seconds), seconds.count - 1)].succeeded += 1
    }

    mutating func attemptArrived(at service: String) { arrivals[service, default: 0] += 1 }
    mutating func shed(at service: String) { shed[service, default: 0] += 1 }

    mutating func failed(_ cause: FailureCause, on edge: Edge, at time: Timespan) {
        if cause.isRefusal { edges[edge, default: EdgeCounts()].refused[cause, default: 0] += 1 }
        happened(cause.description, on: edge, at: time)
    }

    mutating func callEnded(
        on edge: Edge, failed: Bool, took span: Timespan, attempts: borrowing AttemptLog, flag: ResponseFlag?, at time: Timespan
    ) {
        edges[edge, default: EdgeCounts()].latencies.record(span)
        if failed { edges[edge, default: EdgeCounts()].failed += 1 }
        for attempt in copy attempts {
            if let status = attempt.status, status >= 500 { happened("answers \(status)", on: edge, at: time) }
            switch attempt.retry {
            case .budgetExhausted, .creditExhausted, .tooManyRetrying, .deadlineTooClose, .attemptsExhausted:
                happened("no retry: \(attempt.retry)", on: edge, at: time)
            default: break
            }
        }
    }

    private mutating func happened(_ what: String, on edge: Edge, at time: Timespan) {
        guard known.insert("\(edge.from)>\(edge.to)>\(what)").inserted else { return }
        events.append(First(at: time, edge: edge, what: what))
    }
}

extension FailureCause {
    /// The call was answered before it had left.
    var isRefusal: Bool {
        switch self {
        case .noRoute, .noEndpoint, .breakerOpen, .tooManyCalls, .tooManyPending, .overLimit, .throttled, .deadlineOnArrival: true
        case .deadlinePassed, .streamIdle, .durationExceeded, .replayOverflowed, .attemptFailed: false
        }
    }
}
