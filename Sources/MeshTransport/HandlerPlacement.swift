internal import MeshModel

/// Where handlers begin: on the event loop of their connection, or on the concurrent pool.
///
/// On the loop a handler that never waits is spared two changes of thread, most of what a short one costs. But what it does until it
/// first waits holds up the loop's other connections; one that calculated or blocked for too long sends the handlers after it to the
/// pool for a while. That it took long is not enough: on a busy machine the kernel may have given the processor to somebody else. So the
/// first one that took long only has those after it watched, which costs two system calls each.
struct HandlerPlacement {
    enum Place: Hashable {
        case loop
        /// On the loop, and what it does with the thread is to be told.
        case loopWatched
        case pool
    }

    /// How long a handler may hold the loop.
    static let patience = Timespan.milliseconds(1)
    /// How long handlers are watched after one that took longer.
    static let vigilance = Timespan.seconds(10)
    /// How long the pool is used after the first one that held the loop; each further one in a row doubles it.
    static let firstPenalty = Timespan.seconds(1)
    static let longestPenalty = Timespan.seconds(60)

    private var penalty = HandlerPlacement.firstPenalty
    private var usesPoolUntil = Instant.zero
    private var watchesUntil = Instant.zero

    init() {}

    func place(now: Instant) -> Place { now < usesPoolUntil ? .pool : now < watchesUntil ? .loopWatched : .loop }

    /// A handler that began on the loop has ended there, or waits for something.
    ///
    /// - Parameter use: of the thread by this handler; nil where it was not watched.
    mutating func heldLoop(for time: Timespan, use: ThreadUse?, now: Instant) {
        guard time > Self.patience else { return }
        watchesUntil = now + Self.vigilance
        guard let use, !isInnocent(use) else { return }
        // As long again without one clears the record.
        if now - usesPoolUntil > penalty { penalty = Self.firstPenalty }
        usesPoolUntil = now + penalty
        watchesUntil = usesPoolUntil + Self.longestPenalty
        penalty = min(penalty * 2, Self.longestPenalty)
    }

    /// The time went to somebody else: it neither waited nor calculated for long.
    private func isInnocent(_ use: ThreadUse) -> Bool {
        use.preemptions > 0 && use.waits == 0 && use.processor <= Self.patience
    }
}
