internal import CMeshSystem
package import MeshModel

/// What a process uses.
package struct ProcessSample: Hashable, Sendable {
    package var processID: Int32
    package var taken: Instant
    /// Since it started.
    package var cpuTime: Timespan
    package var residentBytes: Int64
    package var threads: Int
    package var descriptors: Int

    package static func take(_ processID: Int32) -> ProcessSample? {
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
