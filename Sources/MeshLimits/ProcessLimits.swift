/// What one process may take of the machine; nil for as much as there is.
///
/// Invariant: what keeps it to that, a control group or its shim, outlives the daemon.
package struct ProcessLimits: Hashable, Sendable, Codable {
    /// Of the process and all that it starts; over it, all of them are killed.
    package var memoryBytes: Int64?
    package var cores: Double?
    /// A hard limit of the process: RLIMIT_NOFILE.
    package var openFiles: Int?

    package init(memoryBytes: Int64? = nil, cores: Double? = nil, openFiles: Int? = nil) {
        self.memoryBytes = memoryBytes
        self.cores = cores
        self.openFiles = openFiles
    }

    /// On how many of the machine's cores it may run where no control group bounds what it takes.
    package var wholeCores: Int? { cores.map { Int($0.rounded(.up)) } }
}
