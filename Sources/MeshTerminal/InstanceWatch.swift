package import MeshAdminAPI

/// Tells what changed between two looks at the instances, for a foreground `mesh up`.
///
/// What happened and went between two looks is seen by the count of restarts.
package struct InstanceWatch: Sendable {
    private var known: [String: InstanceStatus] = [:]
    private var isFirst = true

    package init() {}

    /// - Returns: one line for each change since the last look; none for the first.
    package mutating func look(_ instances: [InstanceStatus]) -> [StyledText] {
        defer {
            known = Dictionary(instances.map { ($0.instance, $0) }) { $1 }
            isFirst = false
        }
        guard !isFirst else { return [] }
        let gone = known.keys.filter { name in !instances.contains { $0.instance == name } }.sorted()
        return instances.compactMap { change(from: known[$0.instance], to: $0) }
            + gone.map { StyledText("- ", .dim) + StyledText("\($0) stopped") }
    }

    private func change(from old: InstanceStatus?, to new: InstanceStatus) -> StyledText? {
        guard let old else { return StyledText("+ ", .green) + StyledText("\(new.instance) \(describe(new))") }
        if new.restarts > old.restarts {
            let exit = new.ending ?? "ended"
            let after = new.ready ? "running again" : describe(new)
            return StyledText("✗ ", .red) + StyledText("\(new.instance) \(exit); \(after)")
                + StyledText("   mesh logs \(new.service)", .cyan)
        }
        if new.state == .crashLoop, old.state != .crashLoop {
            let exit = new.ending ?? "ended"
            return StyledText("✗ ", .red) + StyledText("\(new.instance) \(exit); \(describe(new))")
                + StyledText("   mesh logs \(new.service)", .cyan)
        }
        guard new.ready != old.ready || (new.state != old.state && new.state != .crashLoop) else { return nil }
        if new.ready { return StyledText("✓ ", .green) + StyledText("\(new.instance) ready") }
        return StyledText("! ", .yellow) + StyledText("\(new.instance) \(describe(new))")
    }

    private func describe(_ instance: InstanceStatus) -> String {
        switch instance.state {
        case .starting: "starting"
        case .ready: "ready"
        case .unready: "not ready"
        case .draining: "draining"
        case .stopped: "stopped"
        case .crashLoop: "next try \(instance.nextRestartIn.map { "in " + Quantities.duration(milliseconds: $0 * 1_000) } ?? "soon")"
        }
    }
}
