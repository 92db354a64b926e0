internal import CMeshSystem
internal import MeshLimits
package import MeshModel

/// What a process uses, with all that it started where they have a control group of their own.
package struct ProcessSample: Hashable, Sendable {
    package var processID: Int32
    package var taken: Instant
    /// Since it started.
    package var cpuTime: Timespan
    package var residentBytes: Int64
    package var threads: Int
    /// Of the one process that has most: that is what a limit of them is compared with.
    package var descriptors: Int

    /// - Parameter hasGroup: whether its control group is its own.
    package static func take(_ processID: Int32, hasGroup: Bool = false) -> ProcessSample? {
        guard var sample = takeAlone(processID) else { return nil }
        guard hasGroup, let group = ControlGroupUsage(around: processID) else { return sample }
        sample.cpuTime = .microseconds(group.cpuMicroseconds)
        for other in group.processes.lazy.filter({ $0 != processID }).compactMap(takeAlone) {
            sample.residentBytes += other.residentBytes
            sample.threads += other.threads
            sample.descriptors = max(sample.descriptors, other.descriptors)
        }
        return sample
    }

    private static func takeAlone(_ processID: Int32) -> ProcessSample? {
        var sample = mesh_process_sample()
        guard mesh_process_sample(processID, &sample) == 0 else { return nil }
        return ProcessSample(
            processID: processID, taken: SystemClock.now(), cpuTime: .nanoseconds(sample.cpu_nanoseconds),
            residentBytes: sample.resident_bytes, threads: Int(sample.threads), descriptors: Int(sample.descriptors))
    }

    /// Of one core, since an earlier sample of the same process; 100 is a whole core.
    package func cpuPercent(since earlier: ProcessSample) -> Double {
        let span = (taken - earlier.taken).seconds
        guard span > 0, earlier.processID == processID else { return 0 }
        return max(0, (cpuTime - earlier.cpuTime).seconds / span * 100)
    }
}
