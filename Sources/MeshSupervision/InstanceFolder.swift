internal import MeshModel

/// Where everything about one replica slot lies.
///
/// Invariant: sockets lie in the runtime folder, since their paths have 107 bytes at most; everything else in the state folder.
package struct InstanceFolder: Hashable, Sendable {
    package let replica: String
    /// `<state>/instances/<replica>`
    package let path: String
    package let runtimeFolder: String

    package init(stateFolder: String, runtimeFolder: String, replica: String) {
        self.replica = replica
        self.path = "\(stateFolder)/instances/\(replica)"
        self.runtimeFolder = runtimeFolder
    }

    /// What the shim runs next or ran last: argv, environment, the incarnation's id. Mode 0600.
    package var specification: String { path + "/spec" }
    /// Starts and ends of incarnations, one a line; see `ShimRecord`.
    package var record: String { path + "/record" }
    /// What the service said: `TIME UUID out|err|shim TEXT` a line.
    package var log: String { path + "/log" }
    /// What was written before that, once `log` has become too large; the higher, the older.
    package func log(before generation: Int) -> String { generation == 0 ? log : "\(log).\(generation)" }
    /// The replica as it was wanted last, for a daemon that comes back. Mode 0600.
    package var wanted: String { path + "/replica.json" }
    package var standardOutput: String { path + "/stdout" }
    package var standardError: String { path + "/stderr" }
    package var shimSocket: String { "\(runtimeFolder)/\(replica).shim" }
    /// Where the replica listens if it listens on a Unix socket.
    package var serviceSocket: String { "\(runtimeFolder)/\(replica).sock" }

    /// Why a name can't be a replica's: it becomes a file name, and a word in the shim's messages.
    package static func problem(withReplicaName name: String) -> String? {
        let allowed = name.utf8.allSatisfy {
            ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7a) || [0x2d, 0x2e, 0x5f].contains($0)
        }
        guard allowed, let first = name.utf8.first, first != 0x2e, name.utf8.count <= 64 else {
            return "'\(name)' can't name a replica: use letters, digits, '-', '_' and '.', 64 at most, and not '.' first"
        }
        return nil
    }

    package func make() throws(SystemError) {
        try Files.makeFolder(path)
        try Files.makeFolder(runtimeFolder)
    }
}
