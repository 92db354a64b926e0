import Foundation
import GRDB
package import MeshModel
import MeshTelemetry

extension TraceStore {
    /// The traces that match, the latest first. Blocks on the disk.
    package func list(_ query: TraceQuery = .all, since: UnixTime? = nil, limit: Int = 50) -> TraceList {
        let limit = max(0, limit)
        var problems: [String] = []
        var found: [TraceID: Int64] = [:]
        let condition = query.condition
        for name in fileNames(since: since) {
            do {
                for (id, started) in try matches(condition, in: name, since: since, limit: limit) {
                    found[id] = min(started, found[id] ?? .max)
                }
            } catch  where !FileManager.default.fileExists(atPath: path(of: name)) {
                // Dropped while we read.
                continue
            } catch {
                problems.append("\(name.file): \(error.localizedDescription)")
            }
            // Older files hold older traces.
            if found.count >= limit { break }
        }
        let latest = found.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key.high < $1.key.high }.prefix(limit).map(\.key)
        let loaded = load(latest)
        let traces = latest.compactMap { id in
            loaded[id].map { summary(id, $0.digest, TraceAnalysis(TraceTree($0.spans))) }
        }
        return TraceList(traces: traces, problems: problems)
    }

    /// The trace whose id begins so, or the latest for `last`. Blocks on the disk.
    package func show(_ reference: String) throws(TraceLookupError) -> StoredTrace {
        let id = try find(reference)
        guard let loaded = load([id])[id] else { throw .notFound(reference) }
        let analysis = TraceAnalysis(TraceTree(loaded.spans))
        let summary = summary(id, loaded.digest, analysis)
        let comparison = compare(summary, analysis)
        return StoredTrace(summary: summary, analysis: analysis, comparison: comparison, why: analysis.explanation(comparison))
    }

    private func find(_ reference: String) throws(TraceLookupError) -> TraceID {
        if reference.lowercased() == "last" {
            guard let last = list(limit: 1).traces.first else { throw .empty }
            return last.traceID
        }
        guard (1...32).contains(reference.utf8.count), reference.utf8.allSatisfy({ Hexadecimal.value($0, anyCase: true) != nil }) else {
            throw .notAnID(reference)
        }
        let found = list(.term(.id(reference.lowercased())), limit: 6).traces
        guard let first = found.first else { throw .notFound(reference) }
        guard found.count == 1 else { throw .ambiguous(reference, found) }
        return first.traceID
    }

    // MARK: Rows

    private func matches(
        _ condition: TraceCondition, in name: PartitionName, since: UnixTime?, limit: Int
    ) throws -> [(TraceID, Int64)] {
        let since = since?.nanoseconds ?? .min
        let sql = "SELECT identity, started FROM trace WHERE started >= ? AND \(condition.sql) ORDER BY started DESC LIMIT ?"
        let arguments = StatementArguments([since.databaseValue] + condition.arguments + [limit.databaseValue])
        return try read(name) { db in
            try Row.fetchAll(db, sql: sql, arguments: arguments).compactMap { row in TraceID(identity: row[0]).map { ($0, row[1]) } }
        }
    }

    /// What is known of some traces and all their spans, from every file that has some.
    private func load(_ ids: [TraceID]) -> [TraceID: (digest: TraceDigest, spans: [DecodedSpan])] {
        var digests: [TraceID: TraceDigest] = [:]
        var parts: [TraceID: [StoredPart]] = [:]
        // Oldest first, so that services stand in the order in which they came.
        for name in fileNames(since: nil).reversed() where !ids.isEmpty {
            let stored = try? read(name) { db in try ids.compactMap { id in try Self.stored(id, db).map { (id, $0) } } }
            for (id, (digest, chunks)) in stored ?? [] {
                if digests[id]?.merge(digest) == nil { digests[id] = digest }
                parts[id, default: []] += chunks
            }
        }
        var result: [TraceID: (digest: TraceDigest, spans: [DecodedSpan])] = [:]
        for (id, digest) in digests { result[id] = (digest, Self.decode(parts[id] ?? [])) }
        return result
    }

    private struct StoredPart {
        var origin: SpanOrigin
        var anchor: TimeAnchor
        var records: [UInt8]
    }

    private static func stored(_ id: TraceID, _ db: Database) throws -> (TraceDigest, [StoredPart])? {
        let find = try db.cachedStatement(sql: "SELECT id, \(TraceDigest.columns) FROM trace WHERE identity = ?")
        guard let trace = try Row.fetchOne(find, arguments: [id.identity]) else { return nil }
        let chunks = try db.cachedStatement(
            sql: """
                SELECT instance, service, tier, version, instant, wall, records FROM chunk JOIN process ON process.id = chunk.process
                WHERE chunk.id BETWEEN ? AND ?
                """)
        let first: Int64 = (trace[0] as Int64) << Partition.chunkBits
        let parts = try Row.fetchAll(chunks, arguments: [first, first | (1 << Partition.chunkBits - 1)]).map { row in
            StoredPart(
                origin: SpanOrigin(
                    instance: InstanceID(row[0] as String) ?? InstanceID(high: 0, low: 0), service: row[1], tier: row[2], version: row[3]),
                anchor: TimeAnchor(instant: Instant(nanoseconds: row[4]), wall: UnixTime(nanoseconds: row[5])),
                records: Array(row[6] as Data)
            )
        }
        return (TraceDigest(row: trace, from: 1), parts)
    }

    /// Processes of one host share its monotonic clock, so that one reading of the wall clock serves them all, and spans of one
    /// host are never moved against each other. Two anchors that differ by less than this are of one host.
    private static let sameClock: Int64 = 2_000_000_000

    private static func decode(_ parts: [StoredPart]) -> [DecodedSpan] {
        func offset(_ anchor: TimeAnchor) -> Int64 { anchor.wall.nanoseconds &- anchor.instant.nanoseconds }
        let reference = parts.map(\.anchor).min { $0.instant < $1.instant }
        var spans: [DecodedSpan] = []
        for part in parts {
            var anchor = part.anchor
            if let reference {
                let (difference, overflow) = offset(anchor).subtractingReportingOverflow(offset(reference))
                if !overflow, difference.magnitude < UInt64(sameClock) { anchor = reference }
            }
            part.records.withUnsafeBytes { bytes in
                var cursor = SpanCursor(bytes)
                while let view = try? cursor.next() {
                    if let span = try? DecodedSpan(view, origin: part.origin, anchor: anchor) { spans.append(span) }
                }
            }
        }
        return spans
    }

    private func read<Result>(_ name: PartitionName, _ body: (Database) throws -> Result) throws -> Result {
        do {
            let queue = try Partition.reading(path(of: name))
            defer { try? queue.close() }
            return try queue.read(body)
        } catch {
            suspect(name, after: error)
            throw error
        }
    }

    // MARK: Summaries

    private func summary(_ id: TraceID, _ digest: TraceDigest, _ analysis: TraceAnalysis) -> StoredTraceSummary {
        let total = analysis.duration.seconds
        var services: [String] = []
        for node in analysis.tree.nodes where !services.contains(node.span.origin.service) { services.append(node.span.origin.service) }
        return StoredTraceSummary(
            traceID: id,
            started: UnixTime(nanoseconds: digest.begin),
            route: digest.root?.route ?? "",
            status: (digest.root?.status).map { Int($0) },
            duration: .nanoseconds(digest.duration),
            services: services.isEmpty ? digest.services : services,
            attempts: Int(digest.attempts),
            flags: ResponseFlag.allCases.filter { digest.flags & (1 << Int64($0.rawValue)) != 0 }.map(\.code),
            tiers: analysis.tiers.map { .init(tier: $0.name, share: total > 0 ? $0.time.seconds / total : 0) },
            note: analysis.note,
            isComplete: analysis.isComplete,
            spans: analysis.tree.nodes.count
        )
    }

    /// How many of the latest traces of a route a trace is compared with, and how few say nothing.
    private static let comparedTraces = 10_000
    private static let fewestCompared = 20

    private func compare(_ summary: StoredTraceSummary, _ analysis: TraceAnalysis) -> TraceComparison {
        var comparison = TraceComparison()
        var others = 0
        var faster = 0
        for name in fileNames(since: nil) where others < Self.comparedTraces && !summary.route.isEmpty {
            let sql = """
                SELECT count(*), coalesce(sum(duration < ?), 0) FROM (
                    SELECT duration FROM trace WHERE route = ? AND NOT (started = ? AND duration = ?) ORDER BY started DESC LIMIT ?)
                """
            let duration = summary.duration.nanoseconds
            let counts = try? read(name) { db in
                try Row.fetchOne(
                    db, sql: sql,
                    arguments: [duration, summary.route, summary.started.nanoseconds, duration, Self.comparedTraces - others])
            }
            guard let counts else { continue }
            others += counts[0] as Int
            faster += counts[1] as Int
        }
        if others >= Self.fewestCompared { comparison.slowerThan = Double(faster) / Double(others) }
        var slowest: [String: Timespan] = [:]
        for node in analysis.tree.nodes where node.span.kind == .server || node.span.kind == .gateway {
            slowest[node.span.origin.service] = max(slowest[node.span.origin.service] ?? .zero, node.span.duration)
        }
        for (service, duration) in slowest { comparison.services[service] = rank(of: duration, service: service) }
        return comparison
    }
}
