import Glibc
import MeshControlProtocol
import MeshModel

/// What the daemon tells a process that it starts.
struct SidecarEnvironment: Hashable, Sendable {
    var mesh: String
    var service: String
    var tier: String
    var instance: InstanceID
    /// The instance's place among its peers, e.g. `inventory-2`.
    var replica: String
    var version: String?
    /// The socket of the daemon.
    var controlPath: String
    var stateFolder: String?
    /// Already bound and listening; systemd's convention (`sd_listen_fds`): from 3 on.
    var descriptors: Range<Int32>
    /// Event loops; nil for as many as there are cores.
    var threads: Int?

    static let firstDescriptor: Int32 = 3

    /// - Throws: `SidecarStartError`, which names all that is missing.
    ///
    /// `LISTEN_PID` is not compared with this process: a service may be started through a shell, which keeps the descriptors but
    /// not always the process id, and a daemon that sets `MESH_CONTROL` means this process.
    init(_ variables: [String: String], firstDescriptor: Int32 = firstDescriptor) throws(SidecarStartError) {
        func text(_ name: String) -> String? { variables[name].flatMap { $0.isEmpty ? nil : $0 } }
        let missing = ["MESH_SERVICE", "MESH_INSTANCE", "MESH_CONTROL", "LISTEN_FDS"].filter { text($0) == nil }
        guard missing.isEmpty, let service = text("MESH_SERVICE"), let instanceText = text("MESH_INSTANCE"),
            let controlPath = text("MESH_CONTROL"), let countText = text("LISTEN_FDS")
        else { throw .notStartedByMesh(missing: missing) }
        guard let instance = InstanceID(instanceText) else {
            throw .invalidVariable(name: "MESH_INSTANCE", value: instanceText, expected: "a UUID")
        }
        guard let count = Int32(countText), (1...64).contains(count) else {
            throw .invalidVariable(name: "LISTEN_FDS", value: countText, expected: "a number from 1 to 64")
        }
        if let countText = text("MESH_THREADS") {
            guard let count = Int(countText), (1...1024).contains(count) else {
                throw .invalidVariable(name: "MESH_THREADS", value: countText, expected: "a number from 1 to 1024")
            }
            threads = count
        }
        self.service = service
        self.instance = instance
        self.controlPath = controlPath
        descriptors = firstDescriptor..<firstDescriptor + count
        mesh = text("MESH_NAME") ?? ""
        tier = text("MESH_TIER") ?? ""
        replica = text("MESH_REPLICA") ?? service
        version = text("MESH_VERSION")
        stateFolder = text("MESH_STATE_DIR")
    }

    /// What the daemon is told first; it has no revision yet.
    var hello: Hello {
        Hello(instance: instance, service: service, tier: tier, replica: replica, version: version, processID: getpid())
    }
}
