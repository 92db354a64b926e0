import MeshExchange
import MeshModel
import MeshSupervision

/// What rollouts under way keep from callers, or tell them beside mesh.yaml.
struct RolloutState: Sendable {
    /// Replicas that get no calls yet.
    var held: Set<String> = []
    /// Replicas on their way out.
    var leaving: Set<String> = []
    /// By service: the share of the calls that the new replicas get, and who they are.
    var canaries: [String: Canary] = [:]

    struct Canary: Sendable {
        var share: Double
        var instances: Set<InstanceID>
    }

    /// The names that the two sides of a canary have as versions, in snapshots and on spans.
    static let newVersion = "canary"
    static let oldVersion = "stable"

    /// Splits the calls of services that are being tried out.
    ///
    /// A service whose versions have weights of their own is left to them: its new replicas get calls by their number.
    func adjust(_ snapshot: inout SnapshotConfiguration) {
        guard !canaries.isEmpty else { return }
        for index in snapshot.destinations.indices {
            guard let canary = canaries[snapshot.destinations[index].service], snapshot.destinations[index].versions.isEmpty else {
                continue
            }
            for endpoint in snapshot.destinations[index].endpoints.indices {
                let isNew = canary.instances.contains(snapshot.destinations[index].endpoints[endpoint].instance)
                snapshot.destinations[index].endpoints[endpoint].version = isNew ? Self.newVersion : Self.oldVersion
            }
            snapshot.destinations[index].versions = [
                VersionWeight(name: Self.oldVersion, weight: 1 - canary.share), VersionWeight(name: Self.newVersion, weight: canary.share),
            ]
        }
    }
}
