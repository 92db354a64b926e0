internal import MeshModel

/// Where handlers begin: on the event loop of their connection, or on the concurrent pool.
///
/// On the loop a handler that never waits is spared two changes of thread, most of what a short one costs. But what it does until it
/// first waits holds up the loop's other connections; one that took too long sends the handlers after it to the pool for a while.
struct HandlerPlacement {
    /// How long a handler may hold the loop.
    static let patience = Timespan.milliseconds(1)
    /// How long the pool is used after the first one that took longer; each further one in a row doubles it.
    static let firstPenalty = Timespan.seconds(1)
    static let longestPenalty = Timespan.seconds(60)

    private var penalty = HandlerPlacement.firstPenalty
    private var usesPoolUntil = Instant.zero

    init() {}

    func beginsOnLoop(now: Instant) -> Bool { now >= usesPoolUntil }

    /// A handler that began on the loop has ended there, or waits for something.
    mutating func heldLoop(for time: Timespan, now: Instant) {
        guard time > Self.patience else { return }
        // As long again without one clears the record.
        if now - usesPoolUntil > penalty { penalty = Self.firstPenalty }
        usesPoolUntil = now + penalty
        penalty = min(penalty * 2, Self.longestPenalty)
    }
}
