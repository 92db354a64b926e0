/// What one process may take of the machine; nil for as much as there is. Its shim keeps it to that, whether a daemon is there or not.
package struct ProcessLimits: Hashable, Sendable, Codable {
    /// Resident, of the process and all that it starts; over it, it is killed.
    package var memoryBytes: Int64?
    package var cores: Double?
    /// A hard limit of the process: RLIMIT_NOFILE.
    package var openFiles: Int?

    package init(memoryBytes: Int64? = nil, cores: Double? = nil, openFiles: Int? = nil) {
        self.memoryBytes = memoryBytes
        self.cores = cores
        self.openFiles = openFiles
    }

    /// On how many of the machine's cores it may run: at most so much is what it takes, too.
    package var wholeCores: Int? { cores.map { Int($0.rounded(.up)) } }
}
