import MeshAdminAPI

/// One line of a waterfall: a piece of work, a failed try, or a wait.
struct TraceRow: Hashable, Sendable {
    /// `folded` stands for rows that are not shown, `event` for a moment within the row above it.
    enum Kind: Hashable, Sendable { case work, failed, backoff, folded, event }

    var tier: String
    var label: String
    /// Which attempt of its call it is (`#1`), where there are several.
    var ordinal: String?
    var depth: Int
    var kind: Kind
    /// Nanoseconds since the trace's start.
    var start: Int64
    var end: Int64
    /// A status or a flag that is worth a word.
    var note: String?
    /// Its time without that of what it called; nil where it called nothing.
    var selfTime: Int64?
    /// Where the critical path runs through it; nil where nothing waited for it.
    var critical: Interval?
    /// How many rows it stands for.
    var spans = 1

    var duration: Int64 { end - start }
}

/// The rows of one trace and the sums over them.
///
/// A call is shown by its attempts, an attempt by the span of the one who served it; what lies between the caller's span and that of
/// the callee is time of the mesh and the wire, as far as it is on the critical path where that is known. Invariant: with nothing in
/// parallel, all self times, backoffs, failed attempts and `meshAndWire` add up to `total`.
struct TraceRows: Sendable {
    private(set) var rows: [TraceRow] = []
    private(set) var total: Int64 = 0
    private(set) var meshAndWire: Int64 = 0
    /// Failed attempts that were followed by another, and the waits between.
    private(set) var retryCost: Int64 = 0
    /// False where the daemon did not say what is on the critical path.
    let knowsCriticalPath: Bool

    /// Deeper than that nothing is drawn: there is no room to show it, and no use.
    private static let deepest = 300

    private let children: [String: [TraceSpan]]
    private let origin: Int64
    /// Inside a call but outside of every attempt's server.
    private var gaps: [Interval] = []
    /// Somebody works or waits on purpose.
    private var busy: [Interval] = []

    init(_ trace: TraceDetail) {
        // A span that came twice, or names itself as its parent, would never end.
        var ids: Set<String> = []
        // Of two that begin together, what was over at once came first: a try that was refused, then the wait after it.
        let ordered = trace.spans.enumerated().sorted {
            ($0.element.startUnixNano, $0.element.durationNS, $0.offset) < ($1.element.startUnixNano, $1.element.durationNS, $1.offset)
        }
        .map(\.element).filter { ids.insert($0.spanID).inserted && $0.spanID != $0.parentSpanID }
        children = Dictionary(grouping: ordered.filter { $0.parentSpanID != nil }) { $0.parentSpanID ?? "" }
        let roots = ordered.filter { span in span.parentSpanID.map { !ids.contains($0) } ?? true }
        origin = roots.map(\.startUnixNano).min() ?? 0
        knowsCriticalPath = ordered.contains { $0.criticalPath != nil }
        for root in roots { visit(root, depth: 0, isRoot: true) }
        total = rows.lazy.filter { $0.kind != .event }.map(\.end).max() ?? 0
        let faulty = Set(ordered.lazy.filter { $0.attributes["mesh.fault"] != nil }.map(\.spanID))
        meshAndWire =
            knowsCriticalPath ? ordered.reduce(0) { $0 + overhead($1, faulty) } : Interval.measure(gaps, without: busy)
    }

    private func interval(of span: TraceSpan) -> Interval {
        Interval(start: span.startUnixNano - origin, end: span.startUnixNano - origin + max(0, span.durationNS))
    }

    /// What the critical path spends in the span and not in who serves it; an injected fault plays that one.
    private func overhead(_ span: TraceSpan, _ faulty: Set<String>) -> Int64 {
        let isBetween =
            switch span.kind {
            case .call, .rejection: true
            case .queue: span.parentSpanID.map { !faulty.contains($0) } ?? true
            case .attempt:
                !faulty.contains(span.spanID) && children[span.spanID]?.contains { $0.kind == .server } ?? false
            default: false
            }
        return isBetween ? span.criticalPath?.ownNS ?? 0 : 0
    }

    /// Where the critical path runs, as far as it is within what is drawn of the span.
    private func critical(_ span: TraceSpan, within shown: Interval) -> Interval? {
        guard let path = span.criticalPath else { return nil }
        let start = path.startUnixNano - origin
        return Interval(start: max(start, shown.start), end: min(start + path.durationNS, shown.end))
    }

    private func countBelow(_ span: TraceSpan) -> Int {
        var stack = [span.spanID]
        var count = 0
        while let id = stack.popLast() {
            let below = children[id] ?? []
            count += below.count
            stack += below.map(\.spanID)
        }
        return count
    }

    private mutating func visit(_ span: TraceSpan, depth: Int, isRoot: Bool) {
        guard depth < Self.deepest else {
            let (shown, below) = (interval(of: span), countBelow(span) + 1)
            rows.append(
                TraceRow(
                    tier: "", label: "… \(Quantities.grouped(below)) \(below == 1 ? "span" : "spans") deeper", depth: depth, kind: .folded,
                    start: shown.start,
                    end: shown.end, note: nil, selfTime: nil, critical: critical(span, within: shown), spans: below))
            return
        }
        switch span.kind {
        case .call: visitCall(span, depth: depth)
        case .attempt: _ = visitAttempt(span, number: nil, depth: depth)
        case .backoff: addWait(span, label: "backoff", depth: depth)
        case .queue: addWait(span, label: "queue", depth: depth)
        // Drawn as the failed call above it.
        case .rejection: break
        default:
            let label = isRoot || span.kind == .internal ? Self.route(span.name) : span.service
            addWork(span, label: label, depth: depth, shownAs: nil, note: span.statusNote(over: isRoot ? 399 : 499))
        }
    }

    /// - Parameter shownAs: the interval to draw in place of the span's own.
    private mutating func addWork(
        _ span: TraceSpan, label: String, ordinal: String? = nil, depth: Int, shownAs: Interval?, note: String?, hasFailed: Bool? = nil
    ) {
        let below = children[span.spanID] ?? []
        let shown = shownAs ?? interval(of: span)
        let own = Interval.subtract(below.map(interval), from: shown)
        busy += own
        let selfTime = below.isEmpty ? nil : span.selfNS ?? own.reduce(0) { $0 + $1.length }
        rows.append(
            TraceRow(
                tier: span.tier, label: label, ordinal: ordinal, depth: depth, kind: hasFailed ?? span.hasFailed ? .failed : .work,
                start: shown.start,
                end: shown.end, note: note, selfTime: selfTime, critical: critical(span, within: shown)))
        addEvents(of: span, depth: depth)
        for child in below { visit(child, depth: depth + 1, isRoot: false) }
    }

    /// What the code said meanwhile: events of the span, and lines of its log.
    private mutating func addEvents(of span: TraceSpan, depth: Int) {
        let events = span.events.map { event in
            let details = event.attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            return (at: event.timeUnixNano, text: ([event.name] + details).joined(separator: " "))
        }
        let logs = (span.logs ?? []).map { (at: $0.timeUnixNano, text: [$0.level, $0.text].compactMap { $0 }.joined(separator: " ")) }
        for (at, text) in (events + logs).sorted(by: { $0.at < $1.at }) {
            rows.append(
                TraceRow(
                    tier: "", label: text, depth: depth, kind: .event, start: at - origin, end: at - origin, note: nil, selfTime: nil))
        }
    }

    private mutating func visitCall(_ call: TraceSpan, depth: Int) {
        let below = children[call.spanID] ?? []
        let attempts = below.filter { $0.kind == .attempt }
        guard !attempts.isEmpty else {
            // Refused before a try was made (an open breaker, no endpoint), or what was tried is lost.
            let shown = interval(of: call)
            busy.append(shown)
            rows.append(
                TraceRow(
                    tier: call.text("mesh.destination_tier") ?? "", label: call.destination, depth: depth,
                    kind: call.hasFailed ? .failed : .work,
                    start: shown.start, end: shown.end, note: call.statusNote(over: 399), selfTime: nil,
                    critical: critical(call, within: shown)))
            for child in below { visit(child, depth: depth + 1, isRoot: false) }
            return
        }
        let first = rows.count
        var number = 0
        for child in below {
            guard child.kind == .attempt else {
                visit(child, depth: depth, isRoot: false)
                continue
            }
            number += 1
            let duration = visitAttempt(
                child, number: attempts.count > 1 ? child.attributes["mesh.attempt"]?.integer ?? number : nil, depth: depth)
            // One that another was sent beside, without its end, was not what that one waited for.
            let end = child.startUnixNano + child.durationNS
            if attempts.contains(where: { $0.startUnixNano >= end && $0.spanID != child.spanID }) { retryCost += duration }
        }
        let shown = rows[first...].filter { $0.depth == depth && $0.kind != .event }.map { Interval(start: $0.start, end: $0.end) }
        gaps += Interval.subtract(shown, from: interval(of: call))
    }

    /// - Returns: how long it is drawn to have taken, its wait for a connection included.
    private mutating func visitAttempt(_ attempt: TraceSpan, number: Int?, depth: Int) -> Int64 {
        let (waits, below) = Self.divided(children[attempt.spanID] ?? [])
        // What comes before the request goes out stands before it: the wait for a connection, or an injected delay.
        for wait in waits {
            let fault = attempt.text("mesh.fault")
            addWait(wait, label: fault == nil ? "queue" : "fault", note: fault, depth: depth)
        }
        let waited = waits.reduce(0) { $0 + max(0, $1.durationNS) }
        let server = below.first { $0.kind == .server }
        let label = server?.service ?? attempt.destination
        let ordinal = number.map { "#\($0)" }
        let note = attempt.hedgeNote ?? attempt.statusNote(over: 399) ?? server?.statusNote(over: 399)
        guard let server else {
            let whole = interval(of: attempt)
            let shown = Interval(start: min(whole.end, waits.map { interval(of: $0).end }.max() ?? whole.start), end: whole.end)
            busy.append(shown)
            rows.append(
                TraceRow(
                    tier: attempt.text("mesh.destination_tier") ?? "", label: label, ordinal: ordinal, depth: depth,
                    kind: attempt.hasFailed ? .failed : .work,
                    start: shown.start, end: shown.end, note: note, selfTime: nil, critical: critical(attempt, within: shown)))
            for child in below { visit(child, depth: depth + 1, isRoot: false) }
            return whole.length
        }
        // Where the caller gave up first, its view counts: the server may have gone on for long.
        let givenUp = (attempt.hasFailed || attempt.isOvertaken) && interval(of: attempt).end < interval(of: server).end
        addWork(
            server, label: label, ordinal: ordinal, depth: depth, shownAs: givenUp ? interval(of: attempt) : nil, note: note,
            hasFailed: attempt.hasFailed || server.hasFailed && !attempt.isOvertaken)
        for child in below where child.spanID != server.spanID { visit(child, depth: depth + 1, isRoot: false) }
        return waited + (givenUp ? interval(of: attempt) : interval(of: server)).length
    }

    private static func divided(_ spans: [TraceSpan]) -> (waits: [TraceSpan], others: [TraceSpan]) {
        (spans.filter { $0.kind == .queue }, spans.filter { $0.kind != .queue })
    }

    private mutating func addWait(_ span: TraceSpan, label: String, note: String? = nil, depth: Int) {
        let shown = interval(of: span)
        busy.append(shown)
        if span.kind == .backoff { retryCost += shown.length }
        rows.append(
            TraceRow(
                tier: "", label: label, depth: depth, kind: .backoff, start: shown.start, end: shown.end, note: note, selfTime: nil,
                critical: critical(span, within: shown))
        )
    }

    /// A route without the `/**` that says that it takes what is below, too.
    private static func route(_ name: String) -> String { name.hasSuffix("/**") ? String(name.dropLast(3)) : name }
}

extension TraceSpan {
    fileprivate func text(_ key: String) -> String? { attributes[key]?.description }

    fileprivate var destination: String { text("mesh.destination") ?? name }

    private var statusCode: Int? { attributes["http.response.status_code"]?.integer }
    private var flag: String? { text("mesh.flag").flatMap { $0.isEmpty ? nil : $0 } }

    /// An attempt beside it was answered first, so that this one was cancelled.
    fileprivate var isOvertaken: Bool { text("mesh.retry_reason") == "overtaken" }

    /// Of two attempts side by side: which was the second, and which was cancelled.
    fileprivate var hedgeNote: String? {
        let parts = [attributes["mesh.hedge"] == nil ? nil : "hedge", isOvertaken ? "overtaken" : nil, statusNote(over: 399)]
        guard parts[0] != nil || parts[1] != nil else { return nil }
        return parts.compactMap { $0 }.joined(separator: " ")
    }

    /// Failed as a breaker sees it: a 4xx is an answer.
    fileprivate var hasFailed: Bool {
        if let statusCode { return statusCode >= 500 || (flag != nil && kind != .server) }
        return flag != nil || status == "error"
    }

    /// What to say behind the bar: the status above `limit`, with the flag where there is one.
    fileprivate func statusNote(over limit: Int) -> String? {
        let parts = [statusCode.flatMap { $0 > limit ? String($0) : nil }, flag].compactMap { $0 }
        if parts.isEmpty { return statusCode == nil && status == "error" ? "error" : nil }
        return parts.joined(separator: " ")
    }
}

/// A stretch of time; empty where the end is not after the start.
struct Interval: Hashable, Sendable {
    var start: Int64
    var end: Int64

    var length: Int64 { max(0, end - start) }

    /// The parts of `whole` that none of `parts` covers, in order.
    static func subtract(_ parts: [Interval], from whole: Interval) -> [Interval] {
        var left: [Interval] = []
        var position = whole.start
        for part in parts.sorted(by: { $0.start < $1.start }) where part.end > position {
            if part.start >= whole.end { break }
            if part.start > position { left.append(Interval(start: position, end: part.start)) }
            position = part.end
        }
        if position < whole.end { left.append(Interval(start: position, end: whole.end)) }
        return left
    }

    /// The length of what any of `parts` and none of `others` covers.
    static func measure(_ parts: [Interval], without others: [Interval]) -> Int64 {
        let others = union(others)
        var length: Int64 = 0
        var next = 0
        for part in union(parts) {
            length += part.length
            while next < others.count, others[next].end <= part.start { next += 1 }
            // The last one may reach into the next part, so it is looked at again.
            var covering = next
            while covering < others.count, others[covering].start < part.end {
                length -= Interval(start: max(part.start, others[covering].start), end: min(part.end, others[covering].end)).length
                covering += 1
            }
            next = max(next, covering - 1)
        }
        return length
    }

    static func union(_ parts: [Interval]) -> [Interval] {
        var result: [Interval] = []
        for part in parts.filter({ $0.length > 0 }).sorted(by: { $0.start < $1.start }) {
            if let last = result.last, part.start <= last.end {
                result[result.count - 1].end = max(last.end, part.end)
            } else {
                result.append(part)
            }
        }
        return result
    }
}
