internal import CMeshSystem
import Foundation
internal import Glibc
package import MeshModel

/// Reads the spans of all processes of this host out of their shared memory, and hands on those whose traces are kept.
///
/// A thread of its own waits for processes to come, to call and to end, and turns at an interval besides; a process that has ended is
/// read to its last span. Spans from elsewhere (`take`) go the same way. What was lost on the way is counted.
package final class SpanCollector: Sendable {
    /// Takes what is kept; must not block, nor call the collector.
    package typealias Sink = @Sendable ([SpanBatch]) -> Void

    package struct Settings: Sendable {
        /// How long a finished span lies in its ring at most.
        package var interval = Timespan.milliseconds(200)
        package var keeper = TraceKeeper.Settings()
        /// Bytes of records that came from elsewhere and wait for the next turn.
        package var waitingBytes = 32 << 20

        package init() {}
    }

    package struct Counters: Hashable, Sendable {
        package var keeper = TraceKeeper.Counters()
        /// Spans that found no room in their rings.
        package var droppedAtSource: UInt64 = 0
        package var damagedBytes: UInt64 = 0
        /// Requests that a process was in the middle of when it ended.
        package var cutOff: UInt64 = 0
        package var sources = 0
        /// Requests that processes work on now, each counted where it is.
        package var openSpans = 0
        /// Processes whose memory could not be read, and the last reason.
        package var refused: UInt64 = 0
        package var refusal: String?
    }

    private struct Source {
        var origin: OriginReference
        var spans: SpanSource
        var damagedBytes = 0
    }

    private struct State {
        var keeper: TraceKeeper
        var counters = Counters()
        /// By the descriptor of the line to the process.
        var sources: [Int32: Source] = [:]
        /// Reused by every turn: what came, by source.
        var buffers: [[UInt8]] = []
        /// From elsewhere, for the next turn.
        var waiting: [(origin: OriginReference, records: [UInt8], isForeign: Bool)] = []
        var isRunning = false
        var isEnding = false
    }

    private let settings: Settings
    private let sink: Sink
    private let state: Guarded<State>
    private let ended = NSCondition()
    private let bell: Int32

    package init(settings: Settings = Settings(), sink: @escaping Sink) {
        self.settings = settings
        self.sink = sink
        state = Guarded(State(keeper: TraceKeeper(settings.keeper)))
        bell = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    }

    deinit { close(bell) }

    // MARK: What comes in

    /// Spans that did not come through shared memory.
    ///
    /// - Parameter isForeign: of a program outside the mesh.
    /// - Returns: false where more waits for the next turn than may: the sender may bring it again.
    @discardableResult
    package func take(_ batch: SpanBatch, isForeign: Bool) -> Bool {
        state.withLock { state in
            guard state.waiting.reduce(0, { $0 + $1.records.count }) + batch.records.count <= settings.waitingBytes else {
                if !isForeign { state.counters.droppedAtSource += UInt64(batch.count) }
                return false
            }
            defer { state.counters.droppedAtSource += batch.dropped }
            state.waiting.append((OriginReference(batch.origin), batch.records, isForeign))
            return true
        }
    }

    /// Whether every trace is kept from now on, or what their roots decide.
    package func setKeeping(_ rule: TraceKeeping) {
        state.withLock { state in
            if state.keeper.keepsAll != rule.keepsAll { state.keeper.setKeepsAll(rule.keepsAll) }
        }
    }

    package var counters: Counters {
        state.withLock { state in
            var counters = state.counters
            counters.keeper = state.keeper.counters
            counters.sources = state.sources.count
            counters.openSpans = state.sources.values.reduce(0) { $0 + $1.spans.openSpans }
            return counters
        }
    }

    // MARK: Turns

    /// Reads all there is, and hands on what is kept.
    package func turn(now: Instant = HostClock.now(), anchor: TimeAnchor = .capture()) {
        let kept = state.withLock { state in
            Self.read(&state, now: now)
            state.keeper.elapsed(now)
            return state.keeper.takeKept(anchor: anchor)
        }
        if !kept.isEmpty { sink(kept) }
    }

    private static func read(_ state: inout State, now: Instant) {
        var origins: [OriginReference] = []
        for (descriptor, source) in state.sources {
            if origins.count == state.buffers.count { state.buffers.append([]) }
            source.spans.drain(into: &state.buffers[origins.count])
            count(source.spans.newLosses(), of: descriptor, &state)
            origins.append(source.origin)
        }
        judge(&state, origins, now: now)
    }

    private static func count(_ losses: SpanSource.Losses, of descriptor: Int32, _ state: inout State) {
        state.counters.droppedAtSource += losses.dropped
        state.counters.damagedBytes += UInt64(losses.damagedBytes - (state.sources[descriptor]?.damagedBytes ?? 0))
        state.sources[descriptor]?.damagedBytes = losses.damagedBytes
    }

    /// Decisions first, of all that came, so that next to nothing has to be held.
    private static func judge(_ state: inout State, _ origins: [OriginReference], now: Instant) {
        for index in origins.indices { state.buffers[index].withUnsafeBytes { state.keeper.learn($0, now: now) } }
        for entry in state.waiting where !entry.isForeign { entry.records.withUnsafeBytes { state.keeper.learn($0, now: now) } }
        for (index, origin) in origins.enumerated() {
            state.buffers[index].withUnsafeBytes { state.keeper.take($0, from: origin, now: now) }
            state.buffers[index].removeAll(keepingCapacity: true)
        }
        let waiting = state.waiting
        state.waiting = []
        for entry in waiting {
            entry.records.withUnsafeBytes { state.keeper.take($0, from: entry.origin, isForeign: entry.isForeign, now: now) }
        }
    }

    // MARK: Processes

    /// A process handed over its memory.
    package func add(_ source: SpanSource, line: Int32) {
        state.withLock { $0.sources[line] = Source(origin: OriginReference(source.origin), spans: source) }
    }

    /// The process of a line has ended: the rest is read, and what it was in the middle of becomes spans too.
    package func ended(line: Int32, now: Instant = HostClock.now()) {
        state.withLock { state in
            Self.read(&state, now: now)
            guard let source = state.sources.removeValue(forKey: line) else { return }
            if state.buffers.isEmpty { state.buffers.append([]) }
            state.counters.cutOff += UInt64(source.spans.recordOpenSpans(end: now, into: &state.buffers[0]))
            Self.judge(&state, [source.origin], now: now)
        }
    }

    // MARK: The thread

    /// Listens for processes; once.
    ///
    /// - Throws: when the socket can't be bound.
    package func start(path: String) throws {
        unlink(path)
        let listener = mesh_packet_listen(path, 128)
        guard listener >= 0 else { throw SpanSegmentError.unusable("\(path): \(String(cString: strerror(errno)))") }
        chmod(path, 0o600)
        state.withLock { $0.isRunning = true }
        let thread = Thread { [self] in
            var reception = Reception(listener: listener, bell: bell, collector: self)
            while !state.withLock({ $0.isEnding }) {
                reception.wait(atMost: settings.interval)
                turn()
            }
            reception.close()
            unlink(path)
            ended.lock()
            state.withLock { $0.isRunning = false }
            ended.broadcast()
            ended.unlock()
        }
        thread.name = "mesh-spans"
        thread.start()
    }

    /// Ends the thread, and hands on all that there is, held spans included: what runs on will be read by the next daemon.
    package func shutdown() {
        ended.lock()
        state.withLock { $0.isEnding = true }
        eventfd_write(bell, 1)
        while state.withLock({ $0.isRunning }) { ended.wait() }
        ended.unlock()
        state.withLock { $0.keeper.handOutHeld() }
        turn()
    }

    fileprivate func refused(_ reason: String) {
        state.withLock { state in
            state.counters.refused += 1
            state.counters.refusal = reason
        }
    }
}

/// The sockets of the collecting thread: who listens, and one line for each process.
private struct Reception {
    let listener: Int32
    let bell: Int32
    unowned let collector: SpanCollector
    /// Whether the process of a line has handed over its memory.
    private var lines: [Int32: Bool] = [:]

    /// Longer than every first message of a process.
    private static let longestGreeting = 1024

    init(listener: Int32, bell: Int32, collector: SpanCollector) {
        self.listener = listener
        self.bell = bell
        self.collector = collector
    }

    /// Returns at the latest after `span`, or when something came.
    mutating func wait(atMost span: Timespan) {
        var waits = [listener, bell].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        waits += lines.keys.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&waits, nfds_t(waits.count), Int32(span.milliseconds)) > 0 else { return }
        for entry in waits where entry.revents != 0 {
            switch entry.fd {
            case listener: accept()
            case bell:
                var count: UInt64 = 0
                eventfd_read(bell, &count)
            default: read(entry.fd)
            }
        }
    }

    private mutating func accept() {
        while true {
            let line = mesh_packet_accept(listener)
            guard line >= 0 else { return }
            lines[line] = false
        }
    }

    private mutating func read(_ line: Int32) {
        while true {
            var message = [UInt8](repeating: 0, count: Self.longestGreeting)
            var descriptor: Int32 = -1
            let count = message.withUnsafeMutableBytes { mesh_packet_receive(line, $0.baseAddress!, $0.count, &descriptor) }
            if count < 0, errno == EAGAIN { return }
            guard count > 0 else {
                if lines[line] == true { collector.ended(line: line) }
                end(line)
                return
            }
            guard lines[line] == false else {
                // A call: the turn that follows answers it.
                if descriptor >= 0 { Glibc.close(descriptor) }
                continue
            }
            guard descriptor >= 0 else {
                collector.refused("no memory came with the first message")
                end(line)
                return
            }
            do {
                let origin = try message.prefix(count).withUnsafeBytes { try SpanOrigin(decoding: $0) }
                collector.add(try SpanSource(origin: origin, mapping: descriptor), line: line)
                lines[line] = true
            } catch {
                collector.refused("\(error)")
                end(line)
                return
            }
        }
    }

    private mutating func end(_ line: Int32) {
        lines[line] = nil
        Glibc.close(line)
    }

    mutating func close() {
        for line in lines.keys { Glibc.close(line) }
        Glibc.close(listener)
    }
}
