import MeshModel
import MeshPolicy

// Faults that are injected: an attempt that has its lease and is held back before it leaves this process. What comes of it takes the
// way of every other failure, so that breakers, budgets and retries see it.
extension Exchange {
    /// An attempt that waits for the end of an injected delay.
    struct HeldAttempt: Sendable {
        var fault: InjectedFault
        var until: Instant
        /// Of the request's credit, what it takes with it.
        var credit: Int?
    }

    /// The fault of the attempt that is about to start; the route's goes before the edge's.
    mutating func drawFault(now: Instant, random: inout RandomSource) -> InjectedFault? {
        (request.fault ?? destination.fault(at: now))?.draw(random: &random)
    }

    /// The delay of a held attempt is over.
    mutating func heldAttemptCameDue(_ held: HeldAttempt, now: Instant, random: inout RandomSource) -> Effects {
        current.held = nil
        switch held.fault.ending {
        case .abort(let status): return attemptFailed(.faultInjected(status: status), abandoning: nil, now: now, random: &random)
        case .reset: return attemptFailed(.reset, abandoning: nil, now: now, random: &random)
        case .none:
            current.connectBy = min(now + destination.connectTimeout, current.ends)
            guard let record = attempts.current else { preconditionFailure("no attempt is running") }
            return Effects(start: attempt(on: record.endpoint, credit: held.credit, now: now), wakeAt: wakeAt)
        }
    }
}
