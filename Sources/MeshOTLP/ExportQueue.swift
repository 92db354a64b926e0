package import MeshModel
package import MeshTelemetry

/// Decides what is sent to one collector, and when: in batches, one at a time, again after a while where it failed, within a bound.
///
/// Invariants: at most `limit` bytes of records wait; the oldest give way; every span is sent, waits, or is counted as dropped.
package struct ExportQueue: Sendable {
    package struct Settings: Sendable {
        package var limit = 8 << 20
        /// Bytes of records in one request.
        package var batchBytes = 512 << 10
        /// How long spans wait for others.
        package var gatherFor = Timespan.seconds(1)
        package var firstRetry = Timespan.seconds(1)
        package var longestRetry = Timespan.seconds(60)

        package init() {}
    }

    package struct Counters: Hashable, Sendable {
        package var sent: UInt64 = 0
        /// Given up for want of room, or because the collector said that it will never take them.
        package var dropped: UInt64 = 0
        package var waiting: UInt64 = 0
        package var failures: UInt64 = 0
        /// Why the last request failed; nil once one succeeded.
        package var failure: String?

        package init() {}
    }

    private enum State: Hashable, Sendable {
        case idle
        case gathering(until: Instant)
        case sending
        case retrying(at: Instant)
    }

    private let settings: Settings
    private var state = State.idle
    private var waiting: [SpanBatch] = []
    private var inFlight: [SpanBatch] = []
    private var bytes = 0
    /// Requests that failed in a row.
    private var failed = 0
    package private(set) var counters = Counters()

    package init(_ settings: Settings = Settings()) { self.settings = settings }

    /// Kept spans have come.
    package mutating func arrived(_ batches: [SpanBatch], now: Instant) {
        for batch in batches {
            waiting.append(batch)
            bytes += batch.records.count
            counters.waiting += UInt64(batch.count)
        }
        while bytes > settings.limit, !waiting.isEmpty { drop(waiting.removeFirst()) }
        if state == .idle, !waiting.isEmpty { state = .gathering(until: now + settings.gatherFor) }
    }

    /// When to ask `next` again; nil while there is nothing to wait for.
    package var wakeAt: Instant? {
        switch state {
        case .idle, .sending: nil
        case .gathering(let until): until
        case .retrying(let at): at
        }
    }

    /// What to send now; nil where nothing is due. `sent` or `failed` says what became of it.
    package mutating func next(now: Instant) -> [SpanBatch]? {
        guard let wakeAt, now >= wakeAt || isFull else { return nil }
        if case .retrying(let at) = state, now < at { return nil }
        if inFlight.isEmpty {
            var size = 0
            while let first = waiting.first, inFlight.isEmpty || size + first.records.count <= settings.batchBytes {
                size += first.records.count
                inFlight.append(waiting.removeFirst())
            }
        }
        guard !inFlight.isEmpty else {
            state = .idle
            return nil
        }
        state = .sending
        return inFlight
    }

    private var isFull: Bool { bytes >= settings.batchBytes }

    /// The collector took it.
    ///
    /// - Parameter rejected: spans of it that it did not want.
    package mutating func sent(rejected: Int = 0, reason: String? = nil, now: Instant) {
        let count = release()
        let refused = min(UInt64(max(0, rejected)), count)
        counters.sent += count - refused
        counters.dropped += refused
        counters.failure = refused > 0 ? reason : nil
        failed = 0
        goOn(now)
    }

    /// It did not.
    ///
    /// - Parameters:
    ///   - isFinal: it never will take these: the next ones are tried.
    ///   - after: how long the collector wants to be left alone.
    package mutating func failed(_ reason: String, isFinal: Bool, after: Timespan? = nil, now: Instant, random: inout RandomSource) {
        counters.failures += 1
        counters.failure = reason
        if isFinal {
            counters.dropped += release()
            failed = 0
            goOn(now)
            return
        }
        failed += 1
        // What overflowed meanwhile is older than nothing but this.
        while bytes > settings.limit, !inFlight.isEmpty { drop(inFlight.removeFirst()) }
        var span = settings.firstRetry
        for _ in 1..<max(failed, 1) where span < settings.longestRetry { span = span * 2 }
        span = min(span, settings.longestRetry)
        // Half of it by chance, so that many daemons do not come back at once.
        state = .retrying(at: now + max(after ?? .zero, span * 0.5 + span * 0.5 * random.nextUnit()))
    }

    /// Counts all that waits as dropped.
    package mutating func abandon() {
        for batch in waiting + inFlight { drop(batch) }
        waiting = []
        inFlight = []
        state = .idle
    }

    private mutating func goOn(_ now: Instant) {
        state = waiting.isEmpty ? .idle : .gathering(until: isFull ? now : now + settings.gatherFor)
    }

    private mutating func release() -> UInt64 {
        let count = inFlight.reduce(UInt64(0)) { $0 + UInt64($1.count) }
        bytes -= inFlight.reduce(0) { $0 + $1.records.count }
        counters.waiting -= count
        inFlight = []
        return count
    }

    private mutating func drop(_ batch: SpanBatch) {
        bytes -= batch.records.count
        counters.waiting -= UInt64(batch.count)
        counters.dropped += UInt64(batch.count)
    }
}
