import GRDB
import MeshModel
import MeshTelemetry

/// What the list of traces and its filters need of one trace, merged from its spans in any order and any portions.
///
/// Invariant: `merge` is commutative and associative but for the order of `services`, so that late spans fit in.
struct TraceDigest: Hashable {
    /// Wall time, nanoseconds.
    var started: Int64
    var ended: Int64
    var root: Root?
    /// The most attempts that any one call took; 0 without a call.
    var attempts: Int64 = 0
    /// Attempts beyond the first, by destination.
    var retries: [String: Int64] = [:]
    /// A bit for each `ResponseFlag`.
    var flags: Int64 = 0
    var services: [String] = []
    var tiers: [String] = []
    /// `catalog/v2`, of services that run in versions.
    var versions: [String] = []
    var spans: Int64 = 0
    var errors: Int64 = 0
    /// The longest span: no span's self time is longer.
    var longest: Int64 = 0

    struct Root: Hashable {
        var route: String
        var started: Int64
        var duration: Int64
        var status: Int64?
        var standing: Standing

        /// What makes it the root; raw values are written to disk.
        enum Standing: Int64 {
            /// A gateway's span is the root even if a stranger's context was continued.
            case entrance = 0
            case parentless = 1
            /// Of work that no request waits for.
            case detached = 2
        }
    }

    /// The root's, or as far as spans are known.
    var duration: Int64 { root?.duration ?? max(0, ended - started) }
    var begin: Int64 { root?.started ?? started }

    /// One record.
    init(_ view: SpanView, origin: SpanOrigin, anchor: TimeAnchor) throws(SpanDecodingError) {
        started = .max
        ended = .min
        try add(view, origin: origin, anchor: anchor)
    }

    /// One more record of the trace; nothing is changed when it throws.
    mutating func add(_ view: SpanView, origin: SpanOrigin, anchor: TimeAnchor) throws(SpanDecodingError) {
        let began = anchor.wall(at: view.start).nanoseconds
        let duration = view.duration.nanoseconds
        let (end, overflow) = began.addingReportingOverflow(duration)
        let kind = view.kind
        let isRoot = kind == .gateway || view.parent == nil
        var name: String?
        var status: Int64?
        var attempt: Int64 = 0
        var isHedge = false
        var destination: RawValue?
        var flags: Int64 = 0
        var isDetached = false
        try view.forEachItem { item in
            switch item {
            case .name(let value) where isRoot: name = value.text
            case .attribute(.httpResponseStatusCode, .integer(let code)) where isRoot: status = code
            case .attribute(.attempt, .integer(let number)) where kind == .attempt: attempt = number
            case .attribute(.hedge, _): isHedge = true
            case .attribute(.destination, let value) where kind == .attempt: destination = value
            case .attribute(.detached, .bool(true)) where isRoot: isDetached = true
            // Inside the mesh who left had a reason of its own, such as another call that failed.
            case .attribute(.flag, .flag(ResponseFlag.downstreamClosed.rawValue)) where !isRoot: break
            case .attribute(.flag, .flag(let raw)) where raw < 63: flags |= 1 << Int64(raw)
            default: break
            }
        }
        started = min(started, began)
        ended = max(ended, overflow ? .max : end)
        longest = max(longest, duration)
        spans += 1
        if view.status == .error { errors += 1 }
        self.flags |= flags
        if !services.contains(origin.service) { services.append(origin.service) }
        if !tiers.contains(origin.tier) { tiers.append(origin.tier) }
        if let version = origin.version {
            let label = "\(origin.service)/\(version)"
            if !versions.contains(label) { versions.append(label) }
        }
        if kind == .attempt {
            attempts = max(attempts, attempt, 1)
            if attempt > 1, !isHedge, let destination = destination?.text { retries[destination, default: 0] += 1 }
        }
        if isRoot {
            let candidate = Root(
                route: Self.label(name ?? kind?.name ?? ""), started: began, duration: duration, status: status,
                standing: view.parent != nil ? .entrance : isDetached ? .detached : .parentless)
            root = Self.preferred(root, candidate)
        }
    }

    mutating func merge(_ other: TraceDigest) {
        started = min(started, other.started)
        ended = max(ended, other.ended)
        root = Self.preferred(root, other.root)
        attempts = max(attempts, other.attempts)
        retries.merge(other.retries, uniquingKeysWith: +)
        flags |= other.flags
        for service in other.services where !services.contains(service) { services.append(service) }
        for tier in other.tiers where !tiers.contains(tier) { tiers.append(tier) }
        for version in other.versions where !versions.contains(version) { versions.append(version) }
        longest = max(longest, other.longest)
        spans += other.spans
        errors += other.errors
    }

    /// Of two roots the one without parent, then the one that lasted longer.
    private static func preferred(_ left: Root?, _ right: Root?) -> Root? {
        guard let left else { return right }
        guard let right else { return left }
        if (left.standing == .entrance) != (right.standing == .entrance) { return left.standing == .entrance ? right : left }
        if left.duration != right.duration { return left.duration > right.duration ? left : right }
        return left.started <= right.started ? left : right
    }

    /// A route as it is listed: `POST /orders/**` is `POST /orders`, `GET /**` is `GET /`.
    static func label(_ name: String) -> String {
        guard name.hasSuffix("/**") else { return name }
        let cut = String(name.dropLast(3))
        return cut.isEmpty || cut.hasSuffix(" ") ? cut + "/" : cut
    }
}

extension TraceDigest {
    /// Ends and roots are told from the start on; texts by their numbers.
    static let columns =
        "started, duration, status, attempts, flags, errors, spans, longest, ended, root, route, parentless, retries, services, tiers, versions"

    /// In the order of `columns`.
    func values(_ names: inout NameTable) -> [DatabaseValue] {
        func number(_ text: String) -> Int { text.isEmpty ? 0 : names.add(text) }
        let retried =
            retries.isEmpty ? "" : retries.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: "|")
        return [
            started.databaseValue, duration.databaseValue, root?.status?.databaseValue ?? .null, attempts.databaseValue,
            flags.databaseValue, errors.databaseValue, spans.databaseValue, longest.databaseValue, (ended &- started).databaseValue,
            root.map { ($0.started &- started).databaseValue } ?? .null, number(root?.route ?? "").databaseValue,
            (root?.standing ?? .entrance).rawValue.databaseValue, number(retried).databaseValue,
            number(ListColumn.encode(services)).databaseValue, number(ListColumn.encode(tiers)).databaseValue,
            number(ListColumn.encode(versions)).databaseValue,
        ]
    }

    /// From a row whose columns begin with `columns` at `offset`.
    init(row: Row, from offset: Int, text: (Int) -> String) {
        started = row[offset]
        ended = started &+ (row[offset + 8] as Int64)
        if let begin: Int64 = row[offset + 9] {
            root = Root(
                route: text(row[offset + 10]), started: started &+ begin, duration: row[offset + 1], status: row[offset + 2],
                standing: Root.Standing(rawValue: row[offset + 11]) ?? .parentless)
        }
        attempts = row[offset + 3]
        flags = row[offset + 4]
        errors = row[offset + 5]
        spans = row[offset + 6]
        longest = row[offset + 7]
        for part in text(row[offset + 12]).split(separator: "|") {
            // A name may hold a colon, a count may not.
            guard let colon = part.lastIndex(of: ":"), let count = Int64(part[part.index(after: colon)...]) else { continue }
            retries[String(part[..<colon])] = count
        }
        services = ListColumn.decode(text(row[offset + 13]))
        tiers = ListColumn.decode(text(row[offset + 14]))
        versions = ListColumn.decode(text(row[offset + 15]))
    }
}
