/// How the limits of processes are kept, limit by limit; nil where there is none to keep.
package struct LimitKeeping: Hashable, Sendable, Codable {
    package enum Way: String, Hashable, Sendable, Codable, CaseIterable {
        /// By the kernel, exactly, for the process and all that it starts.
        case controlGroup = "cgroup"
        /// By the shim, which looks at what is resident, and kills.
        case watched
        /// By binding it to so many whole cores.
        case wholeCores = "whole_cores"
        /// By a limit of the process itself: setrlimit(2).
        case processLimit = "rlimit"
        /// By nothing: as many whole cores as that are all that the machine has.
        case nothing = "none"
    }

    package var memory: Way?
    package var cpu: Way?
    package var files: Way?

    package init(memory: Way? = nil, cpu: Way? = nil, files: Way? = nil) {
        self.memory = memory
        self.cpu = cpu
        self.files = files
    }

    /// What holds for a process.
    ///
    /// - Parameter group: what its control group bounds; nil where it has none.
    /// - Parameter machineCores: how many cores it could be bound to.
    package init(_ limits: ProcessLimits, in group: ControlGroupControllers?, machineCores: Int) {
        memory = limits.memoryBytes.map { _ in group?.contains(.memory) == true ? .controlGroup : .watched }
        cpu = limits.wholeCores.map { cores in
            group?.contains(.cpu) == true ? .controlGroup : cores < machineCores ? .wholeCores : .nothing
        }
        files = limits.openFiles.map { _ in .processLimit }
    }

    private enum CodingKeys: String, CodingKey { case memory, cpu, files }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(memory, forKey: .memory)
        try container.encode(cpu, forKey: .cpu)
        try container.encode(files, forKey: .files)
    }
}
