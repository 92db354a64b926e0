/// What `POST /v1/changes` is asked: a change that mesh.yaml does not say. Answered as `POST /v1/up` is.
package struct ChangeRequest: Hashable, Sendable, Codable {
    package enum Action: String, Hashable, Sendable, Codable {
        /// New processes of the same, one after the other.
        case restart
        /// Another number of replicas, until mesh.yaml is applied again.
        case scale
        /// What mesh.yaml and the executables say of these services now.
        case deploy
        /// What was applied before the last time; of all services if none is named.
        case rollback
    }

    package var action: Action
    /// Services, or versions of them: `orders`, `catalog/v2`, `gateway`.
    package var services: [String]
    /// For `scale`.
    package var replicas: Int?
    /// For `deploy`: this version only.
    package var version: String?

    package init(_ action: Action, services: [String], replicas: Int? = nil, version: String? = nil) {
        self.action = action
        self.services = services
        self.replicas = replicas
        self.version = version
    }
}

/// What `POST /v1/plan` answers: what `mesh up` would change, service by service; empty when nothing.
package struct DeploymentPlanAnswer: Hashable, Sendable, Codable {
    package var changes: [UpEvent.ServiceChange]

    package init(changes: [UpEvent.ServiceChange]) { self.changes = changes }
}
