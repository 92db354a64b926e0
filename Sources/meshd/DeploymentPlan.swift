import MeshAdminAPI
import MeshConfiguration
import MeshModel
import MeshSupervision

/// What would change, service by service, if a mesh.yaml were applied; services that stay as they are do not occur.
///
/// Pure, so that `mesh plan` and `mesh up` can't differ.
struct DeploymentPlan {
    let changes: [UpEvent.ServiceChange]

    init(from replicas: [ReplicaSnapshot], _ document: MeshDocument?, to next: Daemon.Applied, only labels: Set<String>? = nil) {
        var changes: [UpEvent.ServiceChange] = []
        let groups = next.deployment.groups
        if labels == nil {
            let unwanted = replicas.filter { replica in !groups.contains { $0.has(replica) } }
            for label in Set(unwanted.map { ReplicaGroup.label(service: $0.service, version: $0.specification.version) }).sorted() {
                changes.append(.init(service: label, action: .stop, reason: "no longer in mesh.yaml"))
            }
        }
        for group in groups where labels?.contains(group.label) ?? true {
            changes += Self.change(of: group, replicas.filter(group.has))
        }
        if let document {
            let touched = Set(changes.map(\.service))
            for name in Self.ruledAnew(from: document, to: next.document) where !touched.contains(name) {
                changes.append(.init(service: name, action: .update, reason: "other rules for its calls or routes, without a restart"))
            }
        }
        self.changes = changes
    }

    private static func change(of group: ReplicaGroup, _ replicas: [ReplicaSnapshot]) -> [UpEvent.ServiceChange] {
        let count = "\(group.wanted) \(group.wanted == 1 ? "replica" : "replicas")"
        let living = replicas.filter { $0.processID != nil }
        let ending = replicas.first { $0.processID == nil && $0.lastExit != nil }.map { "\($0.replica): \($0.lastExit?.description ?? "")" }
        guard !living.isEmpty else {
            return group.wanted > 0 ? [.init(service: group.label, action: .start, reason: ending ?? count)] : []
        }
        let differences = living.compactMap { $0.specification.difference(to: group.spec($0.replica)) }
        if let why = differences.first {
            return [
                .init(
                    service: group.label, action: group.policy.strategy == .recreate ? .restart : .replace,
                    reason: "\(why); \(manner(group))")
            ]
        }
        if living.count != group.wanted, replicas.count != group.wanted {
            return [.init(service: group.label, action: .scale, reason: "from \(living.count) to \(count)")]
        }
        guard replicas.count != living.count else { return [] }
        return [.init(service: group.label, action: .start, reason: ending ?? "not all of its replicas run")]
    }

    private static func manner(_ group: ReplicaGroup) -> String {
        switch group.policy.strategy {
        case .rolling: group.wanted == 1 ? "the new one first" : "\(group.wanted) replicas, a few at a time"
        case .recreate: "all stop before the new ones start"
        case .blueGreen: "all calls move over at once"
        case .canary(let steps, _): "as a canary with \(steps.map { "\(Int(($0 * 100).rounded()))%" }.joined(separator: ", ")) of the calls"
        }
    }

    /// Services, and the gateway, whose calls or routes are ruled by something else, endpoints aside.
    private static func ruledAnew(from old: MeshDocument, to new: MeshDocument) -> [String] {
        let names = [MeshDocument.gatewayName] + new.services.filter { !$0.isExternal }.map(\.name)
        return names.filter { name in
            guard let before = old.snapshotConfiguration(for: name, revision: 0, endpoints: { _ in [] }),
                let after = new.snapshotConfiguration(for: name, revision: 0, endpoints: { _ in [] })
            else { return false }
            return before != after
        }
    }
}
