import Foundation
package import MeshModel
import Synchronization

/// Carries the spans of one process from its rings to a sink, off the request path.
///
/// The draining thread turns at an interval, or at once when a ring is three quarters full. The sink must not block: it
/// takes a batch or refuses it, and what was refused waits, bounded, and is offered again in the next turn. Nor may it call the
/// pipeline, whose state is locked meanwhile.
package final class TelemetryPipeline: Sendable {
    package typealias Sink = @Sendable (SpanBatch) -> Bool

    package struct Settings: Sendable {
        package var ringCapacity = SpanRing.defaultCapacity
        /// How long a span lies in its ring at most.
        package var interval = Timespan.milliseconds(200)
        /// Bytes of records in one batch.
        package var batchLimit = 256 << 10
        /// Bytes of records that wait for a sink that refuses.
        package var backlogLimit = 8 << 20

        package init() {}
    }

    private struct State {
        var rings: [SpanRing] = []
        var backlog: SpanBacklog
        /// Reused by every drain.
        var buffer: [UInt8] = []
    }

    package let origin: SpanOrigin
    package let settings: Settings
    /// For threads that are no event loop.
    package let shared: SharedSpanRecorder
    private let sink: Sink
    private let state: Guarded<State>
    private let signal = TurnSignal()

    /// The pipeline drains when told to (`turn`); `start` gives it a thread of its own.
    package init(origin: SpanOrigin, settings: Settings = Settings(), sink: @escaping Sink) {
        self.origin = origin
        self.settings = settings
        self.sink = sink
        let ring = SpanRing(capacity: settings.ringCapacity)
        let signal = self.signal
        shared = SharedSpanRecorder(SpanRecorder(ring: ring, onFilling: { signal.wake() }))
        state = Guarded(State(rings: [ring], backlog: SpanBacklog(limit: settings.backlogLimit)))
    }

    /// A recorder for one event loop.
    package func makeRecorder() -> SpanRecorder {
        let ring = SpanRing(capacity: settings.ringCapacity)
        state.withLock { $0.rings.append(ring) }
        let signal = self.signal
        return SpanRecorder(ring: ring, onFilling: { signal.wake() })
    }

    /// Spans lost since the start of the process, in rings and in the backlog.
    package var dropped: UInt64 { state.withLock { Self.dropped($0) } }

    /// Drains every ring and offers all that waits to the sink.
    package func turn(anchor: TimeAnchor = .capture()) {
        state.withLock { state in
            for ring in state.rings {
                while true {
                    state.buffer.removeAll(keepingCapacity: true)
                    let count = ring.drain(into: &state.buffer, limit: settings.batchLimit)
                    if count == 0 { break }
                    state.backlog.append(
                        SpanBatch(origin: origin, anchor: anchor, dropped: Self.dropped(state), count: count, records: state.buffer)
                    )
                }
            }
            state.backlog.offer(to: sink)
        }
    }

    /// Starts the draining thread; once.
    package func start() {
        let thread = Thread { [self] in
            while signal.wait(atMost: settings.interval) { turn() }
            signal.ended()
        }
        thread.name = "mesh-telemetry"
        signal.began()
        thread.start()
    }

    /// Ends the thread, drains once more, and counts what the sink would not take as lost.
    package func shutdown() {
        signal.end()
        turn()
        state.withLock { $0.backlog.abandon() }
    }

    private static func dropped(_ state: borrowing State) -> UInt64 {
        var sum = state.backlog.dropped
        for ring in state.rings { sum += ring.dropped }
        return sum
    }
}

/// Wakes the draining thread, and ends it.
private final class TurnSignal: @unchecked Sendable {
    private let condition = NSCondition()
    private var isWoken = false
    private var isEnding = false
    private var isRunning = false

    func wake() {
        condition.lock()
        isWoken = true
        condition.broadcast()
        condition.unlock()
    }

    /// False when the thread is to end.
    func wait(atMost span: Timespan) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        let limit = Date(timeIntervalSinceNow: span.seconds)
        while !isWoken, !isEnding {
            if !condition.wait(until: limit) { break }
        }
        isWoken = false
        return !isEnding
    }

    func began() {
        condition.lock()
        isRunning = true
        condition.unlock()
    }

    func ended() {
        condition.lock()
        isRunning = false
        condition.broadcast()
        condition.unlock()
    }

    /// Returns when the thread has ended.
    func end() {
        condition.lock()
        isEnding = true
        condition.broadcast()
        while isRunning { condition.wait() }
        condition.unlock()
    }
}
