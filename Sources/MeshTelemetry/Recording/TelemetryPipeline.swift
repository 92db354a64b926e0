import MeshModel

/// The spans of one process: rings in shared memory that the daemon reads by itself, and the line by which it got to them.
///
/// Nothing of a span passes through this process again once it lies in its ring; without a daemon the rings fill up, and what finds no
/// room is counted.
package final class TelemetryPipeline: Sendable {
    package struct Settings: Sendable {
        /// Recorders for event loops that may be asked for; one more is shared by all other threads.
        package var loops = 15
        package var ringCapacity = SpanRing.defaultCapacity
        /// Requests of one loop that leave a trace of themselves when the process is killed.
        package var openSpans = SpanRing.defaultOpenSpans

        package init() {}
    }

    package let origin: SpanOrigin
    /// For threads that are no event loop.
    package let shared: SharedSpanRecorder
    /// Why nothing is recorded, where the system gives no shared memory.
    package let failure: String?
    private let segment: SpanSegment?
    private let line: SpanLine?
    private let rings: Guarded<[SpanRing]>

    /// - Parameter daemon: the socket where the daemon takes in memory of spans; nil records for nobody.
    package init(origin: SpanOrigin, settings: Settings = Settings(), daemon: String? = nil) {
        self.origin = origin
        do {
            let segment = try SpanSegment(rings: settings.loops + 1, capacity: settings.ringCapacity, openSpans: settings.openSpans)
            let line = daemon.map { SpanLine(path: $0, origin: origin, memory: segment.memory) }
            let ring = SpanRing(segment, 0)
            self.segment = segment
            self.line = line
            rings = Guarded([ring])
            shared = SharedSpanRecorder(SpanRecorder(ring: ring, onFilling: { line?.call() }))
            failure = nil
        } catch {
            segment = nil
            line = nil
            rings = Guarded([])
            shared = .disabled
            failure = "no shared memory for spans: \(error)"
        }
    }

    /// A recorder for one event loop; one that records nothing when more are asked for than there are rings.
    package func makeRecorder() -> SpanRecorder {
        guard let segment else { return .disabled }
        let line = self.line
        return rings.withLock { rings in
            guard rings.count < segment.rings else { return .disabled }
            let ring = SpanRing(segment, rings.count)
            rings.append(ring)
            return SpanRecorder(ring: ring, onFilling: { line?.call() })
        }
    }

    /// Spans lost since the start of the process, for want of room.
    package var dropped: UInt64 { rings.withLock { $0.reduce(0) { $0 + $1.dropped } } }

    /// Bytes of shared memory, of which only what was written to takes room.
    package var memorySize: Int { segment?.memory.count ?? 0 }

    /// Hands the memory to the daemon, and to every one that comes after it; once.
    package func start() { line?.start() }

    /// Asks the daemon to read what lies there.
    package func flush() { line?.call() }

    /// Lets go of the daemon, which reads the rest by itself.
    package func shutdown() { line?.end() }

    /// The memory as the daemon gets it, for tests of what reads it.
    package func makeSource() throws -> SpanSource {
        guard let segment else { throw SpanSegmentError.unusable(failure ?? "no memory") }
        return SpanSource(origin: origin, segment: segment)
    }
}
