package import MeshAdminAPI

/// What is to be written after an event: lines that stay, and lines that the next event writes over.
package struct ProgressUpdate: Hashable, Sendable {
    package var settled: [StyledText]
    package var live: [StyledText]

    package init(settled: [StyledText], live: [StyledText] = []) {
        self.settled = settled
        self.live = live
    }
}

/// The lines of `mesh up`, made from its events.
///
/// Invariant: each tier is settled once, in the order in which tiers were begun.
package struct UpProgress: Sendable {
    private var tiers: [TierProgress] = []
    private var settledTiers: Set<String> = []
    private let width: Int
    private let nextCommands: String

    /// - Parameters:
    ///   - width: nil where lines have no limit.
    ///   - nextCommands: what to try once everything is ready.
    package init(width: Int?, nextCommands: String = "mesh ps · mesh traces list · mesh down") {
        self.width = max(30, width ?? 100)
        self.nextCommands = nextCommands
    }

    package mutating func apply(_ event: UpEvent) -> ProgressUpdate {
        switch event {
        case .check(let result):
            return settle([TierLines.step("check", "\(result.file), \(Quantities.count(result.findings, "finding"))")])
        case .control(let result):
            return settle([TierLines.step("control", "\(result.address) · \(result.socket)")])
        case .change(let change):
            let reason = change.reason.map { ": " + DisplayWidth.printable($0) } ?? ""
            return change.action == .start ? settle([]) : settle([TierLines.step(change.action.rawValue, change.service + reason)])
        case .tier(let progress):
            TierLines.merge(progress, into: &tiers)
            return settle([])
        case .stage(let stage):
            let share = "\(Int((stage.share * 100).rounded()))% of the calls for \(Quantities.seconds(stage.seconds))"
            return settle([TierLines.step("canary", "\(stage.service): \(share) (step \(stage.step) of \(stage.steps))")])
        case .warning(let notice):
            return settle(TierLines.notice(notice))
        case .finished(let result):
            return settle([finish(result)], isOver: true)
        case .failed(let failure):
            return settle(TierLines.failure(failure, width: width), isOver: true)
        }
    }

    private mutating func settle(_ lines: [StyledText], isOver: Bool = false) -> ProgressUpdate {
        var settled: [StyledText] = []
        while let next = tiers.first(where: { !settledTiers.contains($0.tier) }), next.isDone || isOver {
            settled += TierLines.lines(next, among: tiers, width: width, mark: next.isDone ? .done : .broken)
            settledTiers.insert(next.tier)
        }
        let running = tiers.filter { !settledTiers.contains($0.tier) }
        return ProgressUpdate(
            settled: settled + lines, live: running.flatMap { TierLines.lines($0, among: tiers, width: width, mark: .running) })
    }

    private func finish(_ result: UpEvent.UpResult) -> StyledText {
        let processes = Quantities.count(result.processes, "process", plural: "processes")
        let text =
            result.changed
            ? "\(processes) ready in \(Quantities.seconds(result.seconds))" : "\(processes) ready; nothing to change"
        let room = width - DisplayWidth.of(nextCommands)
        guard room >= DisplayWidth.of(text) + 2 else { return StyledText(text, .bold) }
        return StyledText(text, .bold).padded(to: min(room, max(36, DisplayWidth.of(text) + 3))) + StyledText(nextCommands, .dim)
    }
}
