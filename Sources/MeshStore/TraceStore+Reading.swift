import Foundation
import GRDB
package import MeshModel
package import MeshTelemetry

extension TraceStore {
    /// The traces that match, the latest first. Blocks on the disk.
    package func list(_ query: TraceQuery = .all, since: UnixTime? = nil, limit: Int = 50) -> TraceList {
        let found = find(query, since: since, limit: limit)
        let loaded = load(found.traces.map(\.id))
        let traces = found.traces.compactMap { match in
            loaded[match.id].map { summary(match.id, $0.digest, TraceAnalysis(TraceTree($0.spans))) }
        }
        return TraceList(traces: traces, problems: found.problems)
    }

    /// As `list`, with the spans that the conditions on spans are about.
    package func search(_ query: TraceQuery, since: UnixTime? = nil, limit: Int = 50) -> (list: TraceList, spans: [TraceID: [FoundSpan]]) {
        let found = find(query, since: since, limit: limit)
        let loaded = load(found.traces.map(\.id))
        let conditions = QueryPlan(query).spanConditions
        var spans: [TraceID: [FoundSpan]] = [:]
        let traces = found.traces.compactMap { match -> StoredTraceSummary? in
            guard let (digest, all) = loaded[match.id] else { return nil }
            let tree = TraceTree(all)
            spans[match.id] = tree.nodes.indices.compactMap { index in
                let span = tree.nodes[index].span
                guard conditions.contains(where: { $0.isMet(by: span, selfTime: tree.selfTime(of: index)) }) else { return nil }
                return FoundSpan(span: span, selfTime: tree.selfTime(of: index))
            }
            return summary(match.id, digest, TraceAnalysis(tree))
        }
        return (TraceList(traces: traces, problems: found.problems), spans)
    }

    /// The trace whose id begins so, or the latest for `last`. Blocks on the disk.
    package func show(_ reference: String) throws(TraceLookupError) -> StoredTrace {
        let id = try find(reference)
        guard let loaded = load([id])[id] else { throw .notFound(reference) }
        let analysis = TraceAnalysis(TraceTree(loaded.spans))
        let summary = summary(id, loaded.digest, analysis)
        let comparison = compare(summary, analysis)
        let moved = analysis.clocks.estimates.isEmpty ? [] : loaded.spans.filter { analysis.clocks.estimates[$0.origin.clock] != nil }
        return StoredTrace(
            summary: summary, analysis: analysis, comparison: comparison, why: analysis.explanation(comparison),
            rawStarts: Dictionary(moved.map { ($0.spanID, $0.start) }, uniquingKeysWith: { first, _ in first }))
    }

    /// The spans of each trace, by what the clocks said. Blocks on the disk.
    package func spans(of ids: [TraceID]) -> [[DecodedSpan]] {
        let loaded = load(ids)
        return ids.compactMap { id in loaded[id].map { TraceTree($0.spans).nodes.map(\.span) } }
    }

    package func find(_ reference: String) throws(TraceLookupError) -> TraceID {
        if reference.lowercased() == "last" {
            guard let last = find(.all, since: nil, limit: 1).traces.first else { throw .empty }
            return last.id
        }
        guard (1...32).contains(reference.utf8.count), reference.utf8.allSatisfy({ Hexadecimal.value($0, anyCase: true) != nil }) else {
            throw .notAnID(reference)
        }
        let found = find(.term(.id(reference.lowercased())), since: nil, limit: 6).traces
        guard let first = found.first else { throw .notFound(reference) }
        guard found.count == 1 else { throw .ambiguous(reference, list(.term(.id(reference.lowercased())), limit: 6).traces) }
        return first.id
    }

    // MARK: Rows

    struct Match {
        var id: TraceID
        var started: Int64
    }

    /// The latest that match, each once.
    func find(_ query: TraceQuery, since: UnixTime?, limit: Int) -> (traces: [Match], problems: [String]) {
        find(plan(query, since: since), since: since, limit: limit)
    }

    /// - Parameter files: how many files are looked at, the newest first; all unless given.
    func find(_ plan: QueryPlan, since: UnixTime?, limit: Int, files: Int = .max) -> (traces: [Match], problems: [String]) {
        let limit = max(0, limit)
        var found: [TraceID: Int64] = [:]
        var left = files
        let problems = eachPartition(since: since) { view in
            left -= 1
            try matches(plan, in: view, since: since, limit: limit, order: "started DESC, id DESC", columns: "identity") { match in
                if let id = TraceID(identity: match[0]) { found[id] = min(match.started, found[id] ?? .max) }
            }
            // Older files hold older traces.
            return found.count < limit && left > 0
        }
        let latest = found.map { Match(id: $0.key, started: $0.value) }
            .sorted { $0.started != $1.started ? $0.started > $1.started : $0.id.high < $1.id.high }
        return (Array(latest.prefix(limit)), problems)
    }

    struct FoundRow {
        var row: Int64
        var started: Int64
        var columns: Row

        /// The columns that were asked for, from 0 on.
        subscript<Value: DatabaseValueConvertible & StatementColumnConvertible>(_ index: Int) -> Value { columns[index + 2] }
    }

    /// Hands out the rows of one partition that match; values are those of the row only while `body` runs.
    func matches(
        _ plan: QueryPlan, in view: PartitionView, since: UnixTime?, limit: Int? = nil, order: String? = nil, columns: String,
        _ body: (FoundRow) throws -> Void
    ) throws {
        let names = PartitionNames(texts: view.names)
        let candidates = plan.candidates(names)
        let terms = plan.needsSpans ? plan.columnTerms(names) : []
        let width = columns.split(separator: ",").count
        var sql = "SELECT id, started, \(columns)"
        for term in terms { sql += ", \(term.sql)" }
        sql += " FROM trace WHERE started >= ? AND \(candidates.sql)"
        if let order { sql += " ORDER BY \(order)" }
        if let limit, !plan.needsSpans { sql += " LIMIT \(limit)" }
        let arguments = terms.flatMap(\.arguments) + [(since?.nanoseconds ?? .min).databaseValue] + candidates.arguments
        let rows = try Row.fetchCursor(view.db, sql: sql, arguments: StatementArguments(arguments))
        var count = 0
        while let row = try rows.next() {
            if plan.needsSpans {
                let columns = terms.indices.map { (row[2 + width + $0] as Int64) != 0 }
                guard try isMatch(plan, columns, row: row[0], in: view) else { continue }
            }
            try body(FoundRow(row: row[0], started: row[1], columns: row))
            count += 1
            if let limit, count >= limit { return }
        }
    }

    private func isMatch(_ plan: QueryPlan, _ columns: [Bool], row: Int64, in view: PartitionView) throws -> Bool {
        var tree: TraceTree?
        let depth: ChunkDecoder.Depth = plan.spanConditions.contains { $0.depth == .whole } ? .whole : .skeleton
        var failure: (any Error)?
        let result = plan.matches(columns: columns) { condition in
            do {
                let known = try tree ?? TraceTree(StoredPart.decode(view.parts(row: row), of: TraceID(high: 0, low: 0), depth))
                tree = known
                return known.nodes.indices.contains { condition.isMet(by: known.nodes[$0].span, selfTime: known.selfTime(of: $0)) }
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
        return result
    }

    func plan(_ query: TraceQuery, since: UnixTime?) -> QueryPlan {
        let shares = QueryPlan.percentiles(of: query)
        return QueryPlan(query, thresholds: shares.isEmpty ? [:] : thresholds(shares, since: since))
    }

    /// What is known of some traces and all their spans, from every file that has some.
    ///
    /// - Parameter files: how many files are looked at, the newest first; all unless given.
    func load(_ ids: [TraceID], files: Int = .max) -> [TraceID: (digest: TraceDigest, spans: [DecodedSpan])] {
        var digests: [TraceID: TraceDigest] = [:]
        var parts: [TraceID: [StoredPart]] = [:]
        // Oldest first, so that services stand in the order in which they came.
        for name in fileNames(since: nil).prefix(files).reversed() where !ids.isEmpty {
            let stored = try? read(name) { view in
                try ids.compactMap { id in try view.find(id).map { (id, $0.digest, try view.parts(row: $0.row)) } }
            }
            for (id, digest, found) in stored ?? [] {
                if digests[id]?.merge(digest) == nil { digests[id] = digest }
                parts[id, default: []] += found
            }
        }
        var result: [TraceID: (digest: TraceDigest, spans: [DecodedSpan])] = [:]
        for (id, digest) in digests { result[id] = (digest, StoredPart.decode(parts[id] ?? [], of: id)) }
        return result
    }

    // MARK: Files

    /// Calls `body` for each file that may hold traces since then, newest first, until it says false; returns what could not be
    /// read, each with the reason.
    func eachPartition(since: UnixTime?, _ body: (PartitionView) throws -> Bool) -> [String] {
        var problems: [String] = []
        for name in fileNames(since: since) {
            do {
                guard try read(name, body) else { break }
            } catch  where !FileManager.default.fileExists(atPath: path(of: name)) {
                // Dropped while we read.
                continue
            } catch {
                problems.append("\(name.file): \(error.localizedDescription)")
            }
        }
        return problems
    }

    private func read<Result>(_ name: PartitionName, _ body: (PartitionView) throws -> Result) throws -> Result {
        do {
            return try reader(of: name).read(body)
        } catch {
            forgetReader(of: name)
            suspect(name, after: error)
            throw error
        }
    }

    // MARK: Summaries

    func summary(_ id: TraceID, _ digest: TraceDigest, _ analysis: TraceAnalysis) -> StoredTraceSummary {
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

    /// How many of the latest traces of a route a trace is compared with, at least, and how few say nothing.
    private static let comparedTraces = 10_000
    private static let fewestCompared = 20

    private func compare(_ summary: StoredTraceSummary, _ analysis: TraceAnalysis) -> TraceComparison {
        var comparison = TraceComparison()
        var others = 0
        var faster = 0
        if !summary.route.isEmpty {
            _ = eachPartition(since: nil) { view in
                guard let route = PartitionNames(texts: view.names).numbers(where: { $0 == summary.route }).first else { return true }
                let counts = try Row.fetchOne(
                    view.db,
                    sql: "SELECT count(*), coalesce(sum(duration < ?), 0) FROM trace WHERE route = ?",
                    arguments: [summary.duration.nanoseconds, route])
                others += counts?[0] ?? 0
                faster += counts?[1] ?? 0
                return others < Self.comparedTraces
            }
            // It is one of them itself.
            others = max(0, others - 1)
        }
        if others >= Self.fewestCompared { comparison.slowerThan = min(1, Double(faster) / Double(others)) }
        var slowest: [String: Timespan] = [:]
        for node in analysis.tree.nodes where node.span.kind == .server || node.span.kind == .gateway {
            slowest[node.span.origin.service] = max(slowest[node.span.origin.service] ?? .zero, node.span.duration)
        }
        for (service, duration) in slowest { comparison.services[service] = rank(of: duration, service: service) }
        return comparison
    }
}

/// A span that a search found.
package struct FoundSpan: Hashable, Sendable {
    package var span: DecodedSpan
    package var selfTime: Timespan
}

/// Quantiles by nearest rank.
enum Quantile {
    /// `sorted` rises; 0 where it is empty.
    static func of(_ sorted: [Int64], _ share: Double) -> Int64 {
        sorted.isEmpty ? 0 : sorted[rank(of: share, in: sorted.count)]
    }

    /// The position of a quantile among `count` rising values, of which there is at least one.
    static func rank(of share: Double, in count: Int) -> Int {
        min(count - 1, max(0, Int((share * Double(count)).rounded(.up)) - 1))
    }
}
