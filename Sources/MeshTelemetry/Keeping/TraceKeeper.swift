package import MeshModel

/// Sorts what comes out of all rings into what is kept and what is not, by what the roots of the traces decided.
///
/// A span whose trace is not decided yet is held, within a bound; where the bound is passed the oldest trace gives way, and if it is
/// kept after all, a record says in it how many of its spans are lost. Decisions come with the spans of the roots, in any order.
///
/// Invariants: every span that came in is handed out, passed over because its trace is not kept, held, or counted as lost; what is
/// held is at most `heldBytes`.
package struct TraceKeeper: Sendable {
    package struct Settings: Sendable {
        package var heldBytes = 32 << 20
        /// A trace that no root spoke of for so long will not be spoken of: its root, or the process of its root, is gone.
        package var undecidedFor = Timespan.seconds(300)
        /// The same for a trace of which only spans from outside the mesh are known, whose root need not be ours.
        package var foreignFor = Timespan.seconds(10)
        package var rememberedFor = Timespan.seconds(60)
        /// Traces that gave way are remembered, to be marked.
        package var mostMarked = 4096

        package init() {}
    }

    package struct Counters: Hashable, Sendable {
        package var arrived: UInt64 = 0
        package var kept: UInt64 = 0
        /// Of traces that are not kept.
        package var notKept: UInt64 = 0
        /// Of traces that nobody decided on, given up after a while.
        package var undecided: UInt64 = 0
        /// Held, and given up for want of room.
        package var lost: UInt64 = 0
        package var held: UInt64 = 0

        package init() {}
    }

    fileprivate struct Part: Sendable {
        var origin: OriginReference
        var count: Int
        var records: [UInt8]
    }

    fileprivate struct Held: Sendable {
        var since: Instant
        var parts: [Part] = []
        var bytes = 0
        var count = 0
        var hasError = false
        var isForeign = true
    }

    private let settings: Settings
    /// Whether every trace is kept, whatever was decided.
    package var keepsAll = true
    package private(set) var counters = Counters()
    package private(set) var heldBytes = 0

    private var memory: DecisionMemory
    private var held: [TraceID: Held] = [:]
    /// By when they came; a trace that left is passed over.
    private var ages = AgeQueue()
    private var foreignAges = AgeQueue()
    /// Traces that lost spans here, by how many.
    private var marked: [TraceID: UInt64] = [:]
    private var out: [ObjectIdentifier: Part] = [:]
    private var now = Instant.zero

    package init(_ settings: Settings = Settings()) {
        self.settings = settings
        memory = DecisionMemory(turnEvery: settings.rememberedFor)
    }

    // MARK: What comes in

    /// Takes in what the roots among the records decided. Comes before `take` for all that came at once, so that little is held.
    package mutating func learn(_ records: UnsafeRawBufferPointer, now: Instant) {
        self.now = now
        guard !keepsAll else { return }
        var cursor = SpanCursor(records)
        while let view = try? cursor.next() {
            if let decision = view.decision { decide(view.traceID, isKept: decision.isKept) }
        }
    }

    /// - Parameter isForeign: from a program outside the mesh, which decided for itself that these are worth reporting.
    package mutating func take(_ records: UnsafeRawBufferPointer, from origin: OriginReference, isForeign: Bool = false, now: Instant) {
        var cursor = SpanCursor(records)
        // Neighbours are often of one trace.
        var last: (trace: TraceID, verdict: Bool?)?
        while let view = try? cursor.next() {
            counters.arrived += 1
            let trace = view.traceID
            let verdict: Bool?
            if keepsAll {
                verdict = true
            } else if let last, last.trace == trace {
                verdict = last.verdict
            } else {
                verdict = memory[trace]
                last = (trace, verdict)
            }
            switch verdict {
            case true?: handOut(view.bytes, count: 1, origin)
            case false?: counters.notKept += 1
            case nil: hold(view, origin, isForeign: isForeign, now: now)
            }
        }
    }

    /// All that is kept since the last time, by process.
    package mutating func takeKept(anchor: TimeAnchor) -> [SpanBatch] {
        defer { out.removeAll(keepingCapacity: true) }
        return out.values.map { part in
            SpanBatch(origin: part.origin.origin, anchor: anchor, dropped: 0, count: part.count, records: part.records)
        }
    }

    /// Gives up what nobody decided on for long; what has an error in it, or came from outside, is kept as it is.
    package mutating func elapsed(_ now: Instant) {
        self.now = now
        memory.elapsed(now)
        foreignAges.dropFirst { [held] in held[$0.trace]?.since != $0.since }
        ages.dropFirst { [held] in held[$0.trace]?.since != $0.since }
        while let (trace, since) = foreignAges.popOlder(than: now + (.zero - settings.foreignFor)) {
            if let entry = held[trace], entry.since == since, entry.isForeign { decide(trace, isKept: true) }
        }
        while let (trace, since) = ages.popOlder(than: now + (.zero - settings.undecidedFor)) {
            guard let entry = self.held[trace], entry.since == since else { continue }
            if entry.hasError || entry.isForeign {
                decide(trace, isKept: true)
            } else {
                counters.undecided += UInt64(release(trace, entry).count)
            }
        }
    }

    /// From now on every trace is kept, or what the roots say is.
    package mutating func setKeepsAll(_ keepsAll: Bool) {
        self.keepsAll = keepsAll
        if keepsAll { for trace in Array(held.keys) { decide(trace, isKept: true) } }
    }

    /// Hands out all that is held: the one who would decide on it is going.
    package mutating func handOutHeld() {
        for trace in Array(held.keys) { decide(trace, isKept: true) }
    }

    // MARK: Deciding

    private mutating func decide(_ trace: TraceID, isKept: Bool) {
        memory.decided(trace, isKept: isKept)
        let verdict = memory[trace] ?? isKept
        if let entry = held[trace] {
            _ = release(trace, entry)
            if verdict {
                for part in entry.parts {
                    part.records.withUnsafeBytes { handOut($0, count: part.count, part.origin) }
                }
            } else {
                counters.notKept += UInt64(entry.count)
            }
        }
        if !marked.isEmpty, let lost = marked.removeValue(forKey: trace), verdict { mark(trace, lost) }
    }

    @discardableResult
    private mutating func release(_ trace: TraceID, _ entry: Held) -> Held {
        held[trace] = nil
        heldBytes -= entry.bytes
        counters.held -= UInt64(entry.count)
        return entry
    }

    private mutating func handOut(_ records: UnsafeRawBufferPointer, count: Int, _ origin: OriginReference) {
        counters.kept += UInt64(count)
        let key = ObjectIdentifier(origin)
        out[key, default: Part(origin: origin, count: 0, records: [])].append(records, count: count)
    }

    // MARK: Holding

    private mutating func hold(_ view: SpanView, _ origin: OriginReference, isForeign: Bool, now: Instant) {
        let bytes = view.bytes
        while heldBytes + bytes.count > settings.heldBytes, giveUpOldest() {}
        guard heldBytes + bytes.count <= settings.heldBytes else {
            counters.lost += 1
            remember(view.traceID, lost: 1)
            return
        }
        let trace = view.traceID
        if held[trace] == nil {
            held[trace] = Held(since: now)
            ages.append(trace, now)
            if isForeign { foreignAges.append(trace, now) }
        }
        held[trace]!.add(bytes, origin, isError: view.status == .error, isForeign: isForeign)
        heldBytes += bytes.count
        counters.held += 1
    }

    private mutating func giveUpOldest() -> Bool {
        while let (trace, since) = ages.popOlder(than: .distantFuture) {
            guard let entry = held[trace], entry.since == since else { continue }
            release(trace, entry)
            counters.lost += UInt64(entry.count)
            remember(trace, lost: UInt64(entry.count))
            return true
        }
        return false
    }

    private mutating func remember(_ trace: TraceID, lost: UInt64) {
        guard marked[trace] != nil || marked.count < settings.mostMarked else { return }
        marked[trace, default: 0] += lost
    }

    /// A record that has no place in the tree says that the trace is not whole.
    private mutating func mark(_ trace: TraceID, _ lost: UInt64) {
        // Its parent is one of the spans that are lost: nobody knows which.
        let header = SpanHeader(
            kind: .internal, traceID: trace, spanID: SpanID(trace.low ^ 0x6d65_7368), parent: SpanID(trace.high ^ 0x6d65_7368 | 1),
            start: now,
            end: now)
        let record = SpanScratch().record(header) { span in
            span.name(lost == 1 ? "1 span lost" : "\(lost) spans lost")
            span.add(.lostSpans, lost)
        }
        record.withUnsafeBytes { handOut($0, count: 1, OriginReference.collector) }
    }
}

fileprivate extension TraceKeeper.Part {
    mutating func append(_ bytes: UnsafeRawBufferPointer, count more: Int) {
        records.append(contentsOf: bytes)
        count += more
    }
}

fileprivate extension TraceKeeper.Held {
    mutating func add(_ record: UnsafeRawBufferPointer, _ origin: OriginReference, isError: Bool, isForeign: Bool) {
        if let last = parts.indices.last, parts[last].origin === origin {
            parts[last].append(record, count: 1)
        } else {
            parts.append(TraceKeeper.Part(origin: origin, count: 1, records: Array(record)))
        }
        bytes += record.count
        count += 1
        hasError = hasError || isError
        if !isForeign { self.isForeign = false }
    }
}

/// A process by reference, so that its many spans name it by a word.
package final class OriginReference: Sendable {
    package let origin: SpanOrigin

    package init(_ origin: SpanOrigin) { self.origin = origin }

    /// Of what is said by the one who collects.
    package static let collector = OriginReference(
        SpanOrigin(instance: InstanceID(high: 0, low: 0), service: "meshd", tier: ""))
}

/// Traces in the order in which they came.
private struct AgeQueue: Sendable {
    private var entries: [(trace: TraceID, since: Instant)] = []
    private var first = 0

    mutating func append(_ trace: TraceID, _ now: Instant) { entries.append((trace, now)) }

    /// Forgets those at the front that have left meanwhile.
    mutating func dropFirst(where hasLeft: ((trace: TraceID, since: Instant)) -> Bool) {
        while first < entries.count, hasLeft(entries[first]) { _ = popOlder(than: .distantFuture) }
    }

    mutating func popOlder(than limit: Instant) -> (trace: TraceID, since: Instant)? {
        guard first < entries.count, entries[first].since < limit else { return nil }
        defer {
            first += 1
            if first > 1024, first * 2 > entries.count {
                entries.removeFirst(first)
                first = 0
            }
        }
        return entries[first]
    }
}
