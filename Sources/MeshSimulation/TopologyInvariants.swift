import MeshExchange
import MeshModel
import MeshPolicy

/// What one request of a client causes in the whole mesh.
final class SimulatedRoot {
    /// Attempts that reached an instance beyond the first of their call: what the credit pays for.
    var extraArrivals = 0
    var isOver = false
}

// What must hold over all tiers; of one edge, `ExchangeInvariants` knows more.
extension TopologySimulation {
    mutating func attemptArrived(_ call: SimulatedHop) {
        call.arrivals += 1
        guard call.arrivals > 1 else { return }
        if !call.exchange.request.method.isSubset(of: .idempotent), call.exchange.request.method != [] {
            object("a request that must not be repeated arrived \(call.arrivals) times at \(call.exchange.destination.service)")
        }
        call.root.extraArrivals += 1
        guard let granted = gateway.snapshot.configuration.retryCredit.grant, call.root.extraArrivals > granted else { return }
        object("\(call.root.extraArrivals) extra attempts of one request, and \(granted) were granted")
    }

    mutating func clientIsServed(_ request: SimulatedRequest, answered: Bool) {
        if request.root.isOver { object("a client was answered twice") }
        request.root.isOver = true
        guard answered, let deadline = gateway.snapshot.configuration.deadline else { return }
        let late = (queue.now - request.received) - deadline
        if late > .milliseconds(1) { object("a client waited \(late.nanoseconds) ns longer than its deadline") }
    }

    /// Nothing is under way any more: everything that was lent has come back.
    mutating func checkRest() {
        for (number, request) in requests.enumerated() where request != nil { object("request \(number) never ended") }
        for (number, call) in calls.enumerated() where call != nil { object("call \(number) never ended") }
        for process in processes.values {
            let name = "\(process.service.name)#\(process.number)"
            if let limiter = process.limiter, limiter.inFlight != 0 { object("\(name) kept \(limiter.inFlight) seats") }
            if process.freeWorkers != process.service.workers { object("\(name) kept workers") }
            for destination in process.snapshot.allDestinations {
                let edge = destination.statistics(now: queue.now)
                if edge.active != 0 || edge.retrying != 0 || edge.pending != 0 || edge.endpoints.contains(where: { $0.inFlight != 0 }) {
                    object("\(name) -> \(edge.service) kept \(edge.active) calls, \(edge.retrying) retrying, \(edge.pending) pending")
                }
            }
        }
    }

    mutating func object(_ what: String) {
        if report.violations.count < 20 { report.violations.append("\(time.nanoseconds) ns: \(what)") }
    }
}
