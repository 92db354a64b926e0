package import MeshModel

/// One replica as it is wanted.
package struct ReplicaSpec: Hashable, Sendable, Codable {
    package struct Listen: Hashable, Sendable, Codable {
        /// As `LISTEN_FDNAMES` tells it to the service.
        package var name: String
        /// Port 0 lets the kernel choose, once for the life of the replica slot.
        package var address: SocketAddress

        package init(name: String, address: SocketAddress) {
            self.name = name
            self.address = address
        }
    }

    package var service: String
    package var tier: String
    /// The name of the slot, unique in the mesh: `inventory-2`.
    package var replica: String
    package var version: String?
    package var arguments: [String]
    /// Absolute.
    package var workingFolder: String
    /// All of it: nothing is inherited. `MESH_INSTANCE` and `LISTEN_*` are added.
    package var environment: [String: String]
    /// Become descriptors 3, 4, … of the service. Probes go to the first.
    package var listen: [Listen]
    package var listenersOnExit: IncarnationSpecification.ListenersOnExit
    package var probes: ProbeSet
    package var restart: RestartPolicy
    /// From SIGTERM to SIGKILL.
    package var stopGrace: Timespan

    package init(
        service: String, tier: String = "", replica: String, version: String? = nil, arguments: [String], workingFolder: String,
        environment: [String: String] = [:], listen: [Listen] = [], listenersOnExit: IncarnationSpecification.ListenersOnExit = .hold,
        probes: ProbeSet = ProbeSet(), restart: RestartPolicy = RestartPolicy(), stopGrace: Timespan = .seconds(15)
    ) {
        self.service = service
        self.tier = tier
        self.replica = replica
        self.version = version
        self.arguments = arguments
        self.workingFolder = workingFolder
        self.environment = environment
        self.listen = listen
        self.listenersOnExit = listenersOnExit
        self.probes = probes
        self.restart = restart
        self.stopGrace = stopGrace
    }

    /// Whether what was started from this may go on where `wanted` is wanted.
    ///
    /// What happens to its sockets at its end depends on how many others there are; that a peer comes or goes is no reason to
    /// restart it, and its next incarnation has the new answer.
    package func mayGoOn(as wanted: ReplicaSpec) -> Bool {
        var wanted = wanted
        wanted.listenersOnExit = listenersOnExit
        return self == wanted
    }
}

/// One replica as it is.
package struct ReplicaSnapshot: Hashable, Sendable {
    package var service: String
    package var tier: String
    package var replica: String
    package var version: String?
    package var state: ReplicaMachine.State
    /// Of the incarnation that lives, or lived last.
    package var instance: InstanceID?
    /// Nil unless an incarnation lives.
    package var processID: Int32?
    /// In clock ticks since boot: with the process id, an identity.
    package var processStartTime: Int64?
    package var shimProcessID: Int32?
    /// As bound.
    package var addresses: [SocketAddress]
    package var restarts: Int
    /// Starts that failed in a row, or ends that nobody wanted.
    package var failures: Int
    package var startedAt: UnixTime?
    package var lastExit: ExitReport?
    package var nextRestartIn: Timespan?
    /// Why it is not ready, in one line.
    package var reason: String?
    /// What runs was started from another specification than the one wanted now.
    package var isOutdated: Bool

    package var lastErrorLine: String? { lastExit.flatMap { $0.lastErrorLine.isEmpty ? nil : $0.lastErrorLine } }
}

/// Something happened to a replica; `snapshot` is how it is afterwards.
package struct ReplicaEvent: Hashable, Sendable {
    package var report: ReplicaMachine.Report
    package var snapshot: ReplicaSnapshot
    package var at: UnixTime
}
