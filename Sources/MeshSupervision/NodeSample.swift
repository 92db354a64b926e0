package import MeshModel

/// What the machine as a whole is doing.
package struct NodeSample: Hashable, Sendable {
    package var taken: Instant
    /// Of all cores since boot, in clock ticks: at work, and in all.
    package var busyTicks: Int64
    package var allTicks: Int64
    package var cores: Int
    package var load: Double
    package var memoryTotal: Int64
    /// What can be had without swapping.
    package var memoryAvailable: Int64

    package static func take() -> NodeSample {
        func text(_ path: String) -> String { String(decoding: Files.stream(path), as: UTF8.self) }
        return NodeSample(
            taken: SystemClock.now(), statistics: text("/proc/stat"), memory: text("/proc/meminfo"), load: text("/proc/loadavg"))
    }

    /// From the files of those names in /proc; what they don't say is 0.
    package init(taken: Instant, statistics: String, memory: String, load: String) {
        self.taken = taken
        let lines = statistics.split(separator: "\n")
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let ticks = (lines.first ?? "").split(separator: " ").dropFirst().prefix(8).map { Int64($0) ?? 0 }
        allTicks = ticks.reduce(0, +)
        busyTicks = allTicks - (ticks.count > 4 ? ticks[3] + ticks[4] : 0)
        cores = max(1, lines.count { $0.hasPrefix("cpu") } - 1)
        self.load = load.split(separator: " ").first.flatMap { Double($0) } ?? 0
        func kilobytes(_ name: String) -> Int64 {
            let line = memory.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return line?.split(separator: " ").dropFirst().first.flatMap { Int64($0) } ?? 0
        }
        memoryTotal = kilobytes("MemTotal") * 1024
        memoryAvailable = kilobytes("MemAvailable") * 1024
    }

    /// Of all cores together, since an earlier sample: 100 is all of them at work.
    package func cpuPercent(since earlier: NodeSample) -> Double? {
        let all = allTicks - earlier.allTicks
        return all > 0 ? Double(busyTicks - earlier.busyTicks) / Double(all) * 100 : nil
    }
}
