package import MeshLimits
package import MeshModel

/// What the shim is to run: the content of the `spec` file.
package struct IncarnationSpecification: Hashable, Sendable {
    package enum ListenersOnExit: String, Hashable, Sendable, Codable {
        /// Queued connections wait for the next incarnation: for the only replica, and for a gateway.
        case hold
        /// Queued connections are reset and new ones refused, so that callers turn to other replicas at once.
        case close
    }

    package var instance: InstanceID
    package var arguments: [String]
    /// Absolute.
    package var workingFolder: String
    package var environment: [String: String]
    package var listenersOnExit: ListenersOnExit
    package var limits: ProcessLimits
    package var group: Group?
    /// For its log, before anything else.
    package var note: String?

    /// The control group that it is to live in.
    package struct Group: Hashable, Sendable {
        package var path: String
        package var controllers: ControlGroupControllers

        package init(path: String, controllers: ControlGroupControllers) {
            self.path = path
            self.controllers = controllers
        }
    }

    package init(
        instance: InstanceID, arguments: [String], workingFolder: String, environment: [String: String], listenersOnExit: ListenersOnExit,
        limits: ProcessLimits = ProcessLimits(), group: Group? = nil, note: String? = nil
    ) {
        self.instance = instance
        self.arguments = arguments
        self.workingFolder = workingFolder
        self.environment = environment
        self.listenersOnExit = listenersOnExit
        self.limits = limits
        self.group = group
        self.note = note
    }

    /// Entries `name=value`, each ended by a NUL.
    ///
    /// `MESH_INSTANCE` comes first: by it the processes of an incarnation are known when their shim is lost.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        func add(_ entry: String) {
            bytes += entry.utf8.lazy.filter { $0 != 0 }
            bytes.append(0)
        }
        add("uuid=\(instance)")
        add("cwd=\(workingFolder)")
        add("on_exit=\(listenersOnExit.rawValue)")
        if let bytes = limits.memoryBytes { add("limit_memory=\(bytes)") }
        if let cores = limits.wholeCores { add("limit_cores=\(cores)") }
        if let files = limits.openFiles { add("limit_files=\(files)") }
        if let group {
            add("group=\(group.path)")
            for name in group.controllers.names { add("group_\(name)=1") }
        }
        if let note { add("note=\(note)") }
        for argument in arguments { add("arg=\(argument)") }
        add("env=MESH_INSTANCE=\(instance)")
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name != "MESH_INSTANCE" && !name.hasPrefix("LISTEN_") {
            add("env=\(name)=\(value)")
        }
        return bytes
    }
}
