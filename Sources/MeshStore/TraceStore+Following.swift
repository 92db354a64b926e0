package import MeshModel

/// A query that is asked again and again of what was just stored; what a percentile of it comes to is found anew now and then.
package struct FollowedQuery: Sendable {
    package static let planFor = Timespan.seconds(10)

    fileprivate let query: TraceQuery
    fileprivate var plan: QueryPlan?
    fileprivate var plannedAt = Instant.zero

    package init(_ query: TraceQuery) { self.query = query }
}

extension TraceStore {
    /// The file that is written to and the one before, to which late spans still come.
    private static let filesWritten = 2

    /// Which of some traces, all of them stored lately, match. Blocks on the disk.
    package func matching(_ followed: inout FollowedQuery, among ids: [TraceID], now: Instant) -> [TraceID] {
        guard !ids.isEmpty, followed.query != .all else { return ids }
        if followed.plan == nil || now - followed.plannedAt >= FollowedQuery.planFor {
            followed.plan = plan(followed.query, since: nil)
            followed.plannedAt = now
        }
        let plan = QueryPlan(.and(.term(.oneOf(ids)), followed.query), thresholds: followed.plan?.thresholds ?? [:])
        return find(plan, since: nil, limit: ids.count, files: Self.filesWritten).traces.map(\.id)
    }

    /// What is to be shown of some traces that were stored lately, the oldest first. Blocks on the disk.
    package func summaries(of ids: [TraceID]) -> [StoredTraceSummary] {
        let loaded = load(ids, files: Self.filesWritten)
        return ids.compactMap { id in loaded[id].map { summary(id, $0.digest, TraceAnalysis(TraceTree($0.spans))) } }
            .sorted { $0.started < $1.started }
    }

    /// Opens every file and reads what filters look at, so that the first question finds it in memory. Blocks on the disk.
    package func warm() {
        _ = eachPartition(since: nil) { view in
            try view.readThrough()
            return true
        }
    }
}
