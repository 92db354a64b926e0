package import MeshModel

/// Lets as many requests be under way at once as its limit says, and, where that is not enough for all, the critical ones first.
///
/// A class of requests is let in while there is room beside what the classes above it would have under way if all of them were let in
/// (what they usually have, by Little's law in proportion to those that come), whether they have it at this moment or not; so the lowest
/// is shed first, and no seat stays empty for long. What is critical may go a quarter beyond the limit,
/// so that a burst of it finds seats that others hold.
/// Invariant: every request that was let in ends exactly once.
package struct ConcurrencyLimiter: Sendable {
    /// How far back "usually" looks.
    static let memory = Timespan.seconds(1)
    static let criticalBurst = 1.25

    private var fixed: Double
    private var gradient: GradientLimit?
    private var classes = InlineArray<3, ClassOfRequests>(repeating: ClassOfRequests())
    package private(set) var inFlight = 0

    private struct ClassOfRequests: Sendable {
        var inFlight = 0
        /// The average of `inFlight` over time.
        var usual = 0.0
        /// Lately, decaying.
        var came = 0.0
        var admitted = 0.0
        var since = Instant.zero

        mutating func settle(now: Instant) {
            defer { since = now }
            // A class of which nothing is known stays so.
            guard inFlight > 0 || usual > 0 || came > 0 else { return }
            let kept = exponentialDecay((now - since).seconds / ConcurrencyLimiter.memory.seconds)
            usual = usual * kept + Double(inFlight) * (1 - kept)
            came *= kept
            admitted *= kept
        }

        var wanted: Double { admitted < 1 ? usual : usual * came / admitted }
    }

    /// - Parameter inFlight: requests that are under way already, of no special criticality; they end as others do.
    package init(_ policy: LimitPolicy, inFlight: Int = 0, now: Instant) {
        switch policy {
        case .fixed(let limit):
            fixed = Double(limit)
            gradient = nil
        case .gradient2:
            fixed = 0
            gradient = GradientLimit(now: now)
        }
        for index in classes.indices { classes[index].since = now }
        self.inFlight = inFlight
    }

    /// Takes on another limit; what is under way stays.
    package mutating func follow(_ policy: LimitPolicy, now: Instant) {
        switch policy {
        case .fixed(let limit):
            fixed = Double(limit)
            gradient = nil
        case .gradient2:
            if gradient == nil { gradient = GradientLimit(now: now) }
        }
    }

    package var limit: Double { gradient?.limit ?? fixed }

    /// Whether a request may go on; if so, `requestEnded` has to follow.
    package mutating func requestCame(_ criticality: Criticality, now: Instant) -> Bool {
        for index in classes.indices { classes[index].settle(now: now) }
        classes[criticality.place].came += 1
        guard hasRoom(for: criticality) else { return false }
        classes[criticality.place].admitted += 1
        classes[criticality.place].inFlight += 1
        inFlight += 1
        return true
    }

    private func hasRoom(for criticality: Criticality) -> Bool {
        if criticality == .critical { return Double(inFlight) < max(limit, (limit * Self.criticalBurst).rounded(.down)) }
        var reserved = 0.0
        for place in 0..<criticality.place { reserved += max(0, classes[place].wanted - Double(classes[place].inFlight)) }
        return Double(inFlight + 1) + reserved.rounded() <= limit
    }

    /// - Parameter span: how long it took to be served; nil where it was not, so that it says nothing of the limit.
    package mutating func requestEnded(_ criticality: Criticality, servedIn span: Timespan?, now: Instant) {
        classes[criticality.place].settle(now: now)
        if let span { gradient?.served(in: span, inFlight: inFlight, now: now) }
        // One that was under way when the limiter came is of no class.
        if classes[criticality.place].inFlight > 0 { classes[criticality.place].inFlight -= 1 }
        inFlight -= 1
    }
}
