import MeshAdminAPI

/// What `mesh doctor` has found out about a machine and a mesh; `Doctor` says what it means.
struct DoctorFacts: Sendable {
    struct Program: Hashable, Sendable {
        var name: String
        var path: String
        var isExecutable: Bool
        /// Seconds since 1970; nil where there is none.
        var changedAt: Double?
    }

    struct Folder: Hashable, Sendable {
        var path: String
        /// The permission bits; nil where there is no such folder yet.
        var permissions: UInt32?
        var isOurs = true
        var isWritable = true
        /// Of the file system that it lies on, or will lie on.
        var freeBytes: Int?
        var freeFiles: Int?
    }

    struct Port: Hashable, Sendable {
        /// `gateway`, `metrics`.
        var owner: String
        var address: String
        /// Why it can't be listened on; nil where it can.
        var problem: String?
    }

    struct Daemon: Hashable, Sendable {
        var pid: Int
        var version: String
        var protocolVersion: Int
        /// Seconds since 1970.
        var startedAt: Double
    }

    struct Limit: Hashable, Sendable {
        var service: String
        var memoryBytes: Int?
        var cpus: Double?
        var openFiles: Int?
        var replicas: Int
    }

    // The machine.
    /// As `uname -r` has it.
    var kernel: String
    var hasProc = true
    /// Seconds since 1970.
    var now: Double
    var cores: Int
    var memoryBytes: Int
    var openFiles: (soft: UInt64, hard: UInt64)
    /// How the daemon keeps limits; where none runs, how one that is started from here would.
    var keeping: LimitsStatus
    var programs: [Program]

    // The mesh; nil and empty where there is none here.
    var name: String?
    var selector = ""
    /// Errors and warnings of `mesh check`.
    var findings: (errors: Int, warnings: Int) = (0, 0)
    var state: Folder?
    /// The longest path of a socket that would be made.
    var longestSocket: String?
    /// How much the trace store may take.
    var traceStoreBytes: Int?
    var ports: [Port] = []
    var limits: [Limit] = []
    /// nil where none answers.
    var daemon: Daemon?
    /// Sockets in the runtime folder that nobody listens on.
    var staleSockets: [String] = []
    /// Whether the control socket is there, whoever answers on it.
    var hasControlSocket = false
    var instances: [InstanceStatus] = []
}
