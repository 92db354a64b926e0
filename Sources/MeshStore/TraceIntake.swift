import Foundation
package import MeshModel
package import MeshTelemetry

/// Takes batches from many connections without making them wait, and stores them in groups on a thread of its own.
///
/// What waits is bounded: over the bound a batch is refused, which its sender may keep and bring again. Nothing is lost silently:
/// what is given up is counted.
package final class TraceIntake: Sendable {
    package struct Settings: Sendable {
        /// How long a batch waits for others at most: what a kill may lose.
        package var interval = Timespan.milliseconds(200)
        /// Bytes of records that wait.
        package var limit = 32 << 20
        /// Bytes of records in one transaction.
        package var groupLimit = 4 << 20

        package init() {}
    }

    package struct Counters: Hashable, Sendable {
        package var receivedSpans: UInt64 = 0
        /// Refused here, or given up at the end.
        package var droppedSpans: UInt64 = 0
        /// Lost in the processes that recorded them, by their own count.
        package var lostAtSource: UInt64 = 0
        package var waitingSpans: UInt64 = 0

        package init(receivedSpans: UInt64 = 0, droppedSpans: UInt64 = 0, lostAtSource: UInt64 = 0, waitingSpans: UInt64 = 0) {
            self.receivedSpans = receivedSpans
            self.droppedSpans = droppedSpans
            self.lostAtSource = lostAtSource
            self.waitingSpans = waitingSpans
        }
    }

    private struct State {
        var waiting: [SpanBatch] = []
        var bytes = 0
        var counters = Counters()
        /// By instance: its last count of lost spans.
        var lost: [InstanceID: UInt64] = [:]
        var isEnding = false
        var isRunning = false
    }

    package let store: TraceStore
    private let settings: Settings
    private let state = Guarded(State())
    /// One group is stored at a time.
    private let storing = Guarded(())
    private let condition = NSCondition()

    package init(store: TraceStore, settings: Settings = Settings()) {
        self.store = store
        self.settings = settings
    }

    /// False when there is no room: the sender may bring it again. Never blocks on the disk.
    package func accept(_ batch: SpanBatch) -> Bool {
        state.withLock { state in
            guard state.bytes + batch.records.count <= settings.limit else {
                return false
            }
            state.waiting.append(batch)
            state.bytes += batch.records.count
            state.counters.receivedSpans += UInt64(batch.count)
            state.counters.waitingSpans += UInt64(batch.count)
            let before = state.lost[batch.origin.instance] ?? 0
            if batch.dropped > before {
                state.counters.lostAtSource += batch.dropped - before
                state.lost[batch.origin.instance] = batch.dropped
            }
            return true
        }
    }

    /// As `accept`, for a sender that cannot keep what is refused: it is counted as dropped.
    package func acceptOrDrop(_ batch: SpanBatch) {
        if !accept(batch) { state.withLock { $0.counters.droppedSpans += UInt64(batch.count) } }
    }

    package var counters: Counters { state.withLock { $0.counters } }

    /// Stores all that waits, as far as the store can. Blocks on the disk; for the thread, for tests, and before `traces show last`.
    package func flush() {
        storing.withLock { _ in
            while let group = takeGroup() {
                guard case .failed = store.ingest(group) else {
                    state.withLock { $0.counters.waitingSpans -= UInt64(group.reduce(0) { $0 + $1.count }) }
                    continue
                }
                putBack(group)
                return
            }
        }
    }

    private func takeGroup() -> [SpanBatch]? {
        state.withLock { state in
            var bytes = 0
            var count = 0
            while count < state.waiting.count, count == 0 || bytes + state.waiting[count].records.count <= settings.groupLimit {
                bytes += state.waiting[count].records.count
                count += 1
            }
            guard count > 0 else { return nil }
            let group = Array(state.waiting[..<count])
            state.waiting.removeFirst(count)
            state.bytes -= bytes
            return group
        }
    }

    /// What could not be stored waits on, before what came meanwhile, and what is over the bound is given up.
    private func putBack(_ group: [SpanBatch]) {
        state.withLock { state in
            state.waiting.insert(contentsOf: group, at: 0)
            state.bytes += group.reduce(0) { $0 + $1.records.count }
            while state.bytes > settings.limit, let last = state.waiting.popLast() {
                state.bytes -= last.records.count
                state.counters.waitingSpans -= UInt64(last.count)
                state.counters.droppedSpans += UInt64(last.count)
            }
        }
    }

    /// Starts the storing thread; once.
    package func start() {
        state.withLock { $0.isRunning = true }
        let thread = Thread { [self] in
            while waitForTurn() { flush() }
            condition.lock()
            state.withLock { $0.isRunning = false }
            condition.broadcast()
            condition.unlock()
        }
        thread.name = "mesh-traces"
        thread.start()
    }

    private func waitForTurn() -> Bool {
        condition.lock()
        defer { condition.unlock() }
        let limit = Date(timeIntervalSinceNow: settings.interval.seconds)
        while !state.withLock({ $0.isEnding }) {
            if !condition.wait(until: limit) { break }
        }
        return !state.withLock { $0.isEnding }
    }

    /// Ends the thread, stores what waits, counts what cannot be stored as dropped, and closes the store.
    package func shutdown() {
        condition.lock()
        state.withLock { $0.isEnding = true }
        condition.broadcast()
        while state.withLock({ $0.isRunning }) { condition.wait() }
        condition.unlock()
        flush()
        state.withLock { state in
            state.counters.droppedSpans += state.counters.waitingSpans
            state.counters.waitingSpans = 0
            state.waiting = []
            state.bytes = 0
        }
        store.close()
    }
}
