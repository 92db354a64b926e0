package import MeshLimits
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
    /// What is run, by its content; nil where that is not known.
    package var build: String?
    /// Where that build lies, if no longer where the first argument says. It makes no difference to the process.
    package var program: String?
    /// Differs where the same thing is to be started anew.
    package var generation: UInt64?
    /// It listens on the very sockets of another replica of its service, where one holds them: a fixed address can be had once only.
    package var sharesListeners: Bool?
    /// Beside `environment`, and over it.
    package var privateVariables: PrivateVariables?
    package var limits: ProcessLimits?

    package init(
        service: String, tier: String = "", replica: String, version: String? = nil, arguments: [String], workingFolder: String,
        environment: [String: String] = [:], listen: [Listen] = [], listenersOnExit: IncarnationSpecification.ListenersOnExit = .hold,
        probes: ProbeSet = ProbeSet(), restart: RestartPolicy = RestartPolicy(), stopGrace: Timespan = .seconds(15),
        build: String? = nil, generation: UInt64? = nil, sharesListeners: Bool? = nil, privateVariables: PrivateVariables? = nil,
        limits: ProcessLimits? = nil
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
        self.build = build
        self.generation = generation
        self.sharesListeners = sharesListeners
        self.privateVariables = privateVariables
        self.limits = limits
    }

    /// Whether what was started from this may go on where `wanted` is wanted.
    package func mayGoOn(as wanted: ReplicaSpec) -> Bool { difference(to: wanted) == nil }

    /// Why what was started from this can't go on as `wanted`, in a few words; nil if it can.
    ///
    /// How it is watched, restarted and ended is the supervisor's business, and no reason to replace a process. What happens to its
    /// sockets at its end depends on how many others there are; its next incarnation has the new answer.
    package func difference(to wanted: ReplicaSpec) -> String? {
        if arguments.first != wanted.arguments.first { return "another program: \(wanted.arguments.first ?? "")" }
        if arguments != wanted.arguments { return "other arguments" }
        if build != wanted.build, build != nil, wanted.build != nil { return "a new build of \(wanted.programName)" }
        if workingFolder != wanted.workingFolder { return "another folder" }
        if listen != wanted.listen { return "other addresses" }
        if environment != wanted.environment {
            let names = Set(environment.keys).union(wanted.environment.keys).filter { environment[$0] != wanted.environment[$0] }
            // Names only: values may be secret.
            return "other environment: \(names.sorted().joined(separator: ", "))"
        }
        let changed = PrivateVariables.changes(from: privateVariables, to: wanted.privateVariables)
        if !changed.isEmpty { return "other values in files: \(changed.joined(separator: ", "))" }
        if limits != wanted.limits { return "other limits" }
        if (generation ?? 0) != (wanted.generation ?? 0) { return "a restart was asked for" }
        return service == wanted.service && tier == wanted.tier && version == wanted.version ? nil : "another place in the mesh"
    }

    /// Whether the two would do the same: one may be the other, started anew.
    package func isSameVersion(as other: ReplicaSpec) -> Bool {
        var same = self
        same.generation = other.generation
        return same.mayGoOn(as: other)
    }

    private var programName: String { arguments.first?.split(separator: "/").last.map(String.init) ?? "it" }
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
    /// What the incarnation that lives was started from; what is wanted where none lives.
    package var specification: ReplicaSpec
    /// Since when it has been ready; nil if it is not.
    package var readySince: Instant?
    package var admission = Admission.all
    /// What the control group bounds that it lives in; nil where it lives in none.
    package var group: ControlGroupControllers?
    /// A start failed, or it began to crash in a loop, since it was last asked for.
    package var hasFailed: Bool

    package var lastErrorLine: String? { lastExit.flatMap { $0.lastErrorLine.isEmpty ? nil : $0.lastErrorLine } }
}

/// Something happened to a replica; `snapshot` is how it is afterwards.
package struct ReplicaEvent: Hashable, Sendable {
    package var report: ReplicaMachine.Report
    package var snapshot: ReplicaSnapshot
    package var at: UnixTime
}
