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
    var spans: Int64 = 0
    var errors: Int64 = 0

    struct Root: Hashable {
        var route: String
        var started: Int64
        var duration: Int64
        var status: Int64?
        /// A gateway's span is the root even if a stranger's context was continued.
        var isParentless: Bool
    }

    /// The root's, or as far as spans are known.
    var duration: Int64 { root?.duration ?? max(0, ended - started) }
    var begin: Int64 { root?.started ?? started }

    /// One record.
    init(_ view: SpanView, origin: SpanOrigin, anchor: TimeAnchor) throws(SpanDecodingError) {
        started = anchor.wall(at: view.start).nanoseconds
        let (end, overflow) = started.addingReportingOverflow(view.duration.nanoseconds)
        ended = overflow ? .max : end
        services = [origin.service]
        tiers = [origin.tier]
        spans = 1
        errors = view.status == .error ? 1 : 0
        let kind = view.kind
        let isRoot = kind == .gateway || view.parent == nil
        var name: String?
        var status: Int64?
        var attempt: Int64 = 0
        var destination: String?
        var flags: Int64 = 0
        try view.forEachItem { item in
            switch item {
            case .name(let value) where isRoot: name = value.text
            case .attribute(.httpResponseStatusCode, .integer(let code)) where isRoot: status = code
            case .attribute(.attempt, .integer(let number)) where kind == .attempt: attempt = number
            case .attribute(.destination, let value) where kind == .attempt: destination = value.text
            case .attribute(.flag, .flag(let raw)) where raw < 63: flags |= 1 << Int64(raw)
            default: break
            }
        }
        self.flags = flags
        if kind == .attempt {
            attempts = max(1, attempt)
            if attempt > 1, let destination { retries[destination] = 1 }
        }
        if isRoot {
            root = Root(
                route: Self.label(name ?? kind?.name ?? ""), started: started, duration: view.duration.nanoseconds, status: status,
                isParentless: view.parent == nil)
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
        spans += other.spans
        errors += other.errors
    }

    /// Of two roots the one without parent, then the one that lasted longer.
    private static func preferred(_ left: Root?, _ right: Root?) -> Root? {
        guard let left else { return right }
        guard let right else { return left }
        if left.isParentless != right.isParentless { return left.isParentless ? left : right }
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
    static let columns =
        "started, ended, root, duration, route, status, parentless, attempts, retries, flags, services, tiers, spans, errors"

    /// In the order of `columns`.
    var values: [DatabaseValue] {
        [
            started.databaseValue, ended.databaseValue, root?.started.databaseValue ?? .null, duration.databaseValue,
            (root?.route ?? "").databaseValue, root?.status?.databaseValue ?? .null, (root?.isParentless ?? false).databaseValue,
            attempts.databaseValue, retries.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: "|").databaseValue,
            flags.databaseValue, ListColumn.encode(services).databaseValue, ListColumn.encode(tiers).databaseValue, spans.databaseValue,
            errors.databaseValue,
        ]
    }

    /// From a row whose columns begin with `columns` at `offset`.
    init(row: Row, from offset: Int) {
        started = row[offset]
        ended = row[offset + 1]
        if let begin: Int64 = row[offset + 2] {
            root = Root(
                route: row[offset + 4], started: begin, duration: row[offset + 3], status: row[offset + 5], isParentless: row[offset + 6])
        }
        attempts = row[offset + 7]
        for part in (row[offset + 8] as String).split(separator: "|") {
            // A name may hold a colon, a count may not.
            guard let colon = part.lastIndex(of: ":"), let count = Int64(part[part.index(after: colon)...]) else { continue }
            retries[String(part[..<colon])] = count
        }
        flags = row[offset + 9]
        services = ListColumn.decode(row[offset + 10])
        tiers = ListColumn.decode(row[offset + 11])
        spans = row[offset + 12]
        errors = row[offset + 13]
    }
}
