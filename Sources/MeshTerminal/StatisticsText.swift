package import MeshAdminAPI

/// What a person should know of the mesh's own bookkeeping, below `mesh ps`.
package enum StatisticsText {
    /// Nothing where traces are stored and none was lost.
    package static func warnings(_ statistics: MeshStatistics) -> [StyledText] {
        let problems = statistics.traceProblems.flatMap { TierLines.notice(Notice(message: $0)) }
        let lost = Int(clamping: statistics.spansDroppedByInstances &+ statistics.spansDroppedByStore)
        let losses = lost > 0 ? "\(Quantities.count(lost, "span")) lost since the daemon's start" : nil
        if let reason = statistics.traceStoreError {
            return TierLines.notice(
                Notice(
                    message: "traces are not being stored: \(reason)" + (losses.map { "; \($0)" } ?? ""),
                    hint: "make room on the disk of the state folder; storing goes on by itself")) + problems
        }
        return (losses.map { TierLines.notice(Notice(message: "traces are incomplete: \($0)")) } ?? []) + problems
    }
}
