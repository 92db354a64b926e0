package import MeshModel

/// The traces that one who follows has still to be shown: each once, as soon as nothing came to it for a moment.
///
/// Invariant: what waits is bounded; what finds no room is counted, and told.
package struct TraceTail: Sendable {
    /// A trace to which nothing came for so long is shown: its processes report at least this often.
    package static let quiet = Timespan.milliseconds(500)
    /// A trace that goes on and on is shown at last, as far as it is there.
    package static let patience = Timespan.seconds(10)

    private struct Waiting {
        var since: Instant
        var touched: Instant
    }

    private let capacity: Int
    private var waiting: [TraceID: Waiting] = [:]
    /// Shown lately, in two generations: what still comes to them is late.
    private var shown: Set<TraceID> = []
    private var shownBefore: Set<TraceID> = []
    private var dropped = 0

    package init(capacity: Int = 20_000) { self.capacity = capacity }

    package mutating func stored(_ ids: [TraceID], now: Instant) {
        for id in ids where !shown.contains(id) && !shownBefore.contains(id) {
            if waiting[id] != nil {
                waiting[id]?.touched = now
            } else if waiting.count < capacity {
                waiting[id] = Waiting(since: now, touched: now)
            } else {
                dropped += 1
                remember(id)
            }
        }
    }

    /// What is to be shown now, `limit` at most.
    package mutating func settled(now: Instant, limit: Int) -> [TraceID] {
        let ready = waiting.filter { now - $0.value.touched >= Self.quiet || now - $0.value.since >= Self.patience }
            .sorted { $0.value.since < $1.value.since }.prefix(limit).map(\.key)
        for id in ready {
            waiting[id] = nil
            remember(id)
        }
        return ready
    }

    /// How many found no room since this was asked last.
    package mutating func takeDropped() -> Int {
        defer { dropped = 0 }
        return dropped
    }

    private mutating func remember(_ id: TraceID) {
        shown.insert(id)
        if shown.count >= 4 * capacity {
            shownBefore = shown
            shown = []
        }
    }
}
