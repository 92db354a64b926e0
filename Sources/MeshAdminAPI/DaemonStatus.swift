/// What `GET /v1/status` answers.
package struct DaemonStatus: Hashable, Sendable, Codable {
    package var protocolVersion: Int
    package var version: String
    package var pid: Int
    package var mesh: String
    /// The mesh.yaml that is or was last applied, absolute; nil before the first `up`.
    package var file: String?
    package var stateFolder: String
    package var startedAt: Timestamp
    package var phase: DaemonPhase
    /// Where the gateway listens, e.g. `http://127.0.0.1:8080`; empty while it does not.
    package var urls: [String]
    /// Nil where an older daemon answers.
    package var limits: LimitsStatus?

    package init(
        protocolVersion: Int = AdminAPI.protocolVersion, version: String = AdminAPI.releaseVersion, pid: Int, mesh: String, file: String?,
        stateFolder: String, startedAt: Timestamp, phase: DaemonPhase, urls: [String] = [],
        limits: LimitsStatus? = nil
    ) {
        self.protocolVersion = protocolVersion
        self.version = version
        self.pid = pid
        self.mesh = mesh
        self.file = file
        self.stateFolder = stateFolder
        self.startedAt = startedAt
        self.phase = phase
        self.urls = urls
        self.limits = limits
    }

    private enum CodingKeys: String, CodingKey {
        case protocolVersion = "protocol"
        case version, pid, mesh, file
        case stateFolder = "state_dir"
        case startedAt = "started_at"
        case phase, urls, limits
    }
}

/// What a daemon is about.
package enum DaemonPhase: String, Hashable, Sendable, Codable {
    /// Nothing was started yet.
    case idle
    /// An `up` is at work.
    case starting
    /// Everything that mesh.yaml names is ready.
    case ready
    /// Something that was ready is not any more; it is being restarted.
    case degraded
    /// A `down` is at work.
    case stopping
}
