internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import Synchronization

/// How many requests this process works on at once, over all its loops, and those that it had to turn away.
final class Seats: Sendable {
    private let limiter = Guarded<ConcurrencyLimiter?>(nil)
    /// So that a service without a limit takes no lock.
    private let isLimited = Atomic<Bool>(false)
    private let turnedAway = Atomic<UInt64>(0)

    /// Takes on what a configuration says; who has a seat keeps it.
    func follow(_ policy: LimitPolicy?, now: Instant) {
        limiter.withLock { limiter in
            guard let policy else {
                limiter = nil
                return
            }
            if limiter == nil { limiter = ConcurrencyLimiter(policy, now: now) } else { limiter?.follow(policy, now: now) }
        }
        isLimited.store(policy != nil, ordering: .releasing)
    }

    var limit: Double? { limiter.withLock { $0?.limit } }
    var shed: UInt64 { turnedAway.load(ordering: .relaxed) }

    /// nil where nobody counts; false where there is no room.
    fileprivate func take(_ criticality: Criticality, now: Instant) -> Bool? {
        guard isLimited.load(ordering: .acquiring) else { return nil }
        let isAdmitted = limiter.withLock { $0?.requestCame(criticality, now: now) }
        if isAdmitted == false { turnedAway.wrappingAdd(1, ordering: .relaxed) }
        return isAdmitted
    }

    fileprivate func leave(_ criticality: Criticality, servedIn span: Timespan?, now: Instant) {
        // Without the guard, a limiter that came after the request would count it down.
        limiter.withLock { limiter in
            guard let inFlight = limiter?.inFlight, inFlight > 0 else { return }
            limiter?.requestEnded(criticality, servedIn: span, now: now)
        }
    }
}

extension ForwardedCall {
    /// False where this process works on as many requests as it may.
    func takeSeat() -> Bool {
        guard let isAdmitted = loop.shared.seats.take(identity.criticality, now: loop.now) else { return true }
        hasSeat = isAdmitted
        return isAdmitted
    }

    /// Position: when the request is over, whatever became of it; the last that happens to it before its object is used again.
    func leaveSeat() {
        guard hasSeat else { return }
        hasSeat = false
        let isServed = answeredStatus.map { $0 < 500 } ?? false
        loop.shared.seats.leave(identity.criticality, servedIn: isServed ? loop.now - identity.received : nil, now: loop.now)
    }
}

extension Criticality {
    /// As `mesh-criticality` says; what can't be read is nothing special.
    init(_ text: UnsafeRawBufferPointer) {
        self = Self.allCases.first { text.elementsEqual($0.rawValue.utf8) } ?? .standard
    }
}
