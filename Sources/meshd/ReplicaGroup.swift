import MeshModel
import MeshSupervision

/// The replicas of one service, or of one version of it, as they are wanted: all alike but for their names.
struct ReplicaGroup: Sendable {
    let service: String
    let tier: String
    let version: String?
    var wanted: Int
    let policy: RolloutPolicy
    private let template: ReplicaSpec
    private let address: @Sendable (String) -> SocketAddress?

    /// - Parameters:
    ///   - template: a replica without a name.
    ///   - address: where a replica of this name listens; nil where all listen on what the template says.
    init(
        _ template: ReplicaSpec, wanted: Int, policy: RolloutPolicy, address: @escaping @Sendable (String) -> SocketAddress? = { _ in nil }
    ) {
        service = template.service
        tier = template.tier
        version = template.version
        self.wanted = wanted
        self.policy = policy
        self.template = template
        self.address = address
    }

    /// As findings and commands name it: `orders`, `catalog/v2`.
    var label: String { Self.label(service: service, version: version) }

    static func label(service: String, version: String?) -> String { version.map { "\(service)/\($0)" } ?? service }

    /// The replica of this name.
    func spec(_ replica: String) -> ReplicaSpec {
        var spec = template
        spec.replica = replica
        spec.environment["MESH_REPLICA"] = replica
        if let address = address(replica) { spec.listen = [.init(name: "http", address: address)] }
        // With others at hand, callers had better turn to them at once than wait in a queue.
        let isAlone = spec.sharesListeners == true || wanted == 1 || policy.strategy == .recreate
        spec.listenersOnExit = isAlone ? .hold : .close
        return spec
    }

    /// How many ready ones make the service ready.
    var enough: Int { policy.enough(of: wanted) }
    var build: String? { template.build }
    /// The path that is run, as mesh.yaml says it.
    var executable: String { template.arguments.first ?? "" }

    func has(_ replica: ReplicaSnapshot) -> Bool { replica.service == service && replica.specification.version == version }

    /// Names for so many new replicas.
    func freeNames(_ count: Int, taken: Set<String>) -> [String] {
        ReplicaName.free(count, service: service, version: version, taken: taken)
            .map { ReplicaName.make(service: service, version: version, number: $0) }
    }
}
