package import MeshLimits

/// One running (or failing) process of a mesh: the shape of `ps --json`.
///
/// Every field of version 1 is always written, `null` where there is nothing to say.
package struct InstanceStatus: Hashable, Sendable, Codable {
    /// The service's name, with its version behind a slash where `versions:` names some: `catalog/v2`.
    package var service: String
    package var tier: String
    /// The replica's name, e.g. `inventory-2`: it stays over restarts.
    package var instance: String
    /// The UUID of this run of it, new at every start.
    package var instanceID: String?
    package var version: String?
    package var state: InstanceState
    package var ready: Bool
    package var pid: Int?
    /// `unix:/path` or `host:port`.
    package var address: String?
    package var restarts: Int
    package var cpuPercent: Double?
    package var rssBytes: Int?
    package var startedAt: Timestamp?
    /// How the run before this one ended, e.g. `exit 1 after 0.3s` or `killed by SIGKILL after 12s`.
    package var lastExit: String?
    /// The last line that the ended run wrote.
    package var lastErrorLine: String?
    /// Seconds until the next try, while `state` is `crash_loop`.
    package var nextRestartIn: Double?
    /// Of the calls' and routes' rules that it follows; nil while it follows none.
    package var revision: UInt64?
    /// Nil where it is not in touch with the daemon.
    package var rules: InstanceRules?
    /// Why it does not follow those that it was told last.
    package var refusal: String?
    /// How each of its limits is kept; nil where it has none, or does not run.
    package var limits: LimitKeeping?

    package init(
        service: String, tier: String, instance: String, instanceID: String? = nil, version: String? = nil, state: InstanceState,
        ready: Bool,
        pid: Int? = nil, address: String? = nil, restarts: Int = 0, cpuPercent: Double? = nil, rssBytes: Int? = nil,
        startedAt: Timestamp? = nil, lastExit: String? = nil, lastErrorLine: String? = nil, nextRestartIn: Double? = nil
    ) {
        self.service = service
        self.tier = tier
        self.instance = instance
        self.instanceID = instanceID
        self.version = version
        self.state = state
        self.ready = ready
        self.pid = pid
        self.address = address
        self.restarts = restarts
        self.cpuPercent = cpuPercent
        self.rssBytes = rssBytes
        self.startedAt = startedAt
        self.lastExit = lastExit
        self.lastErrorLine = lastErrorLine
        self.nextRestartIn = nextRestartIn
    }

    private enum CodingKeys: String, CodingKey {
        case service, tier, instance
        case instanceID = "instance_id"
        case version, state, ready, pid, address, restarts
        case cpuPercent = "cpu_percent"
        case rssBytes = "rss_bytes"
        case startedAt = "started_at"
        case lastExit = "last_exit"
        case lastErrorLine = "last_error_line"
        case nextRestartIn = "next_restart_in_s"
        case revision, rules, refusal, limits
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(service, forKey: .service)
        try container.encode(tier, forKey: .tier)
        try container.encode(instance, forKey: .instance)
        try container.encode(instanceID, forKey: .instanceID)
        try container.encode(version, forKey: .version)
        try container.encode(state, forKey: .state)
        try container.encode(ready, forKey: .ready)
        try container.encode(pid, forKey: .pid)
        try container.encode(address, forKey: .address)
        try container.encode(restarts, forKey: .restarts)
        try container.encode(cpuPercent, forKey: .cpuPercent)
        try container.encode(rssBytes, forKey: .rssBytes)
        try container.encode(startedAt, forKey: .startedAt)
        try container.encode(lastExit, forKey: .lastExit)
        try container.encode(lastErrorLine, forKey: .lastErrorLine)
        try container.encode(nextRestartIn, forKey: .nextRestartIn)
        try container.encode(revision, forKey: .revision)
        try container.encode(rules, forKey: .rules)
        try container.encode(refusal, forKey: .refusal)
        try container.encode(limits, forKey: .limits)
    }
}

/// Which rules for calls and routes an instance follows.
package enum InstanceRules: String, Hashable, Sendable, Codable, CaseIterable {
    /// Those that it was told last.
    case current
    /// Earlier ones: it has not answered yet.
    case old
    /// Earlier ones: it can't follow the new ones.
    case refused
}

/// Where an instance stands in its life.
package enum InstanceState: String, Hashable, Sendable, Codable, CaseIterable {
    case starting, ready, unready, draining, stopped
    case crashLoop = "crash_loop"
}
