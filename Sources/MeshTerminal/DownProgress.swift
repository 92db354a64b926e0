package import MeshAdminAPI

/// The lines of `mesh down`, made from its events.
package struct DownProgress: Sendable {
    private var tiers: [TierProgress] = []
    private var settledTiers: Set<String> = []
    private let width: Int

    package init(width: Int?) { self.width = max(30, width ?? 100) }

    package mutating func apply(_ event: DownEvent) -> ProgressUpdate {
        var lines: [StyledText] = []
        switch event {
        case .tier(let progress): TierLines.merge(progress, into: &tiers)
        case .warning(let notice): lines = TierLines.notice(notice)
        case .failed(let failure): lines = TierLines.failure(failure, width: width)
        case .finished(let result):
            if result.processes == 0 {
                lines = ["nothing was running"]
            } else {
                let killed = result.killed > 0 ? ", \(result.killed) killed since they outlived their drain" : ""
                let processes = Quantities.count(result.processes, "process", plural: "processes")
                lines = [StyledText("\(processes) stopped in \(Quantities.seconds(result.seconds))\(killed)", .bold)]
            }
        }
        var settled: [StyledText] = []
        for tier in tiers where tier.isDone && settledTiers.insert(tier.tier).inserted {
            settled += TierLines.lines(tier, among: tiers, width: width, mark: .done)
        }
        let running = tiers.filter { !settledTiers.contains($0.tier) }
        return ProgressUpdate(
            settled: settled + lines, live: running.flatMap { TierLines.lines($0, among: tiers, width: width, mark: .running) })
    }
}
