import MeshConfiguration
import MeshControlProtocol
import MeshExchange
import MeshModel
import MeshRegistry

/// Decides who has to be told what: keeps in mind what every connected instance was told last, so that a change is said only to
/// those that it concerns.
///
/// Invariant: what an instance was told last is what its service's snapshot was at the last call of `messages`.
struct SnapshotPublisher {
    /// One connected instance, by its connection.
    struct Listener: Hashable {
        var instance: InstanceID
        var service: String
        /// The last snapshot that was sent, its revision set to zero; nil before the first.
        var told: SnapshotConfiguration?
        var revision: UInt64?
        /// The revision that was sent last.
        var sent: UInt64?
        /// What it said of the last one: acknowledged, or why not.
        var refusal: String?

        /// It follows what it was told last.
        var isCurrent: Bool { sent.map { (revision ?? 0) >= $0 } ?? true }
    }

    /// The gateway's; see `SnapshotConfiguration.keepKey`.
    var keepKey: String?
    private(set) var listeners: [InstanceConnection: Listener] = [:]
    private var connections: [InstanceID: InstanceConnection] = [:]

    init(keepKey: String? = nil) { self.keepKey = keepKey }

    mutating func connected(_ connection: InstanceConnection, _ hello: Hello) {
        listeners[connection] = Listener(instance: hello.instance, service: hello.service, revision: hello.revision)
        connections[hello.instance] = connection
    }

    mutating func disconnected(_ connection: InstanceConnection) -> Listener? {
        guard let listener = listeners.removeValue(forKey: connection) else { return nil }
        // It may have come back before its old connection was seen to end.
        if connections[listener.instance] == connection { connections[listener.instance] = nil }
        return listener
    }

    mutating func acknowledged(_ connection: InstanceConnection, revision: UInt64, refusal: String? = nil) {
        if refusal == nil { listeners[connection]?.revision = revision }
        listeners[connection]?.refusal = refusal
    }

    func connection(of instance: InstanceID) -> InstanceConnection? { connections[instance] }

    /// Those that do not follow what they were told last: they have refused it, or not answered yet.
    var behind: [Listener] { listeners.values.filter { !$0.isCurrent } }

    /// What is known of one; nil where it is not connected.
    func listener(of instance: InstanceID) -> Listener? { connections[instance].flatMap { listeners[$0] } }

    /// Whether every listener has answered to what it was told last.
    var isCaughtUp: Bool {
        listeners.values.allSatisfy { $0.isCurrent || $0.refusal != nil }
    }

    /// What has to be sent now, so that every listener has the snapshot of its service.
    ///
    /// - Parameter adjust: what a rollout under way changes of a snapshot.
    mutating func messages(
        _ document: MeshDocument, _ registry: Registry, adjust: (inout SnapshotConfiguration) -> Void = { _ in }
    ) -> [(InstanceConnection, ConfigurationMessage)] {
        var current: [String: SnapshotConfiguration] = [:]
        var encoded: [String: ConfigurationMessage] = [:]
        var messages: [(InstanceConnection, ConfigurationMessage)] = []
        for (connection, listener) in listeners {
            let service = listener.service
            var snapshot: SnapshotConfiguration
            if let known = current[service] {
                snapshot = known
            } else {
                guard let fresh = document.snapshotConfiguration(for: service, revision: 0, endpoints: { registry.endpoints(of: $0) })
                else { continue }
                snapshot = fresh
                if service == MeshDocument.gatewayName { snapshot.keepKey = keepKey }
                adjust(&snapshot)
                current[service] = snapshot
            }
            guard listener.told != snapshot else { continue }
            listeners[connection]?.told = snapshot
            if encoded[service] == nil {
                snapshot.revision = registry.revision
                encoded[service] = ConfigurationMessage(snapshot)
            }
            if let message = encoded[service] {
                listeners[connection]?.sent = message.revision
                listeners[connection]?.refusal = nil
                messages.append((connection, message))
            }
        }
        return messages
    }
}
