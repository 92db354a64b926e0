import MeshExchange
import MeshModel
import MeshSupervision

/// What rollouts under way keep from callers, or tell them beside mesh.yaml.
///
/// Invariant: replicas that get no calls, or a share of them, are known to the supervisor as such, which keeps that on disk.
struct RolloutState: Sendable {
    /// Replicas that get no calls yet.
    var held: Set<String> = []
    /// Replicas on their way out.
    var leaving: Set<String> = []
    /// Replicas that ended, or are about to, to be started again in their places: requests wait for them.
    var paused: Set<String> = []
    /// By the label of the group.
    private(set) var canaries: [String: Canary] = [:]

    /// The share of the calls that the new replicas of a group get, and who they are.
    struct Canary: Hashable, Sendable {
        var service: String
        var version: String?
        var share: Double
        var instances: Set<InstanceID>
    }

    /// The names that the two sides of a canary have as versions, in snapshots and on spans, where versions have none of their own.
    static let newVersion = "canary"
    static let oldVersion = "stable"

    /// As an earlier daemon left it.
    mutating func resume(_ replicas: [ReplicaSnapshot]) {
        for replica in replicas {
            switch replica.admission {
            case .all: break
            case .none: held.insert(replica.replica)
            case .share(let share):
                let version = replica.specification.version
                let label = ReplicaGroup.label(service: replica.service, version: version)
                var canary = canaries[label] ?? Canary(service: replica.service, version: version, share: share, instances: [])
                if let instance = replica.instance { canary.instances.insert(instance) }
                canaries[label] = canary
            }
        }
    }

    /// True when callers have to be told.
    mutating func setCanary(_ canary: Canary?, of label: String) -> Bool {
        guard canaries[label] != canary else { return false }
        canaries[label] = canary
        return true
    }

    /// Splits the calls of services that are being tried out; of a version that has a weight of its own, that part of them.
    func adjust(_ snapshot: inout SnapshotConfiguration) {
        guard !canaries.isEmpty else { return }
        for index in snapshot.destinations.indices {
            for canary in canaries.values where canary.service == snapshot.destinations[index].service {
                Self.split(&snapshot.destinations[index], canary)
            }
        }
    }

    private static func split(_ destination: inout DestinationConfiguration, _ canary: Canary) {
        let old = canary.version ?? oldVersion
        let new = canary.version.map { "\($0)-\(newVersion)" } ?? newVersion
        let weight: Double
        if let position = destination.versions.firstIndex(where: { $0.name == canary.version }) {
            weight = destination.versions[position].weight
            destination.versions.remove(at: position)
        } else {
            guard destination.versions.isEmpty, canary.version == nil else { return }
            weight = 1
        }
        for endpoint in destination.endpoints.indices where destination.endpoints[endpoint].version == canary.version {
            let isNew = canary.instances.contains(destination.endpoints[endpoint].instance)
            destination.endpoints[endpoint].version = isNew ? new : old
        }
        destination.versions += [
            VersionWeight(name: old, weight: weight * (1 - canary.share)), VersionWeight(name: new, weight: weight * canary.share),
        ]
    }
}
