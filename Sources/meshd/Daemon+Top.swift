import Foundation
import MeshAdminAPI
import MeshLimits
import MeshModel
import MeshSupervision

/// What the machine and this daemon used lately.
struct NodeWatch: Sendable {
    private var before: NodeSample?
    private(set) var last: NodeSample?
    private(set) var daemon = UsageHistory()

    mutating func look() {
        before = last
        last = NodeSample.take()
        if let own = ProcessSample.take(getpid()) { daemon.add(own) }
    }

    var cpuPercent: Double? { before.flatMap { before in last.flatMap { $0.cpuPercent(since: before) } } }
}

extension Daemon {
    /// Looks at what everything uses, again and again: a few files of /proc for each instance.
    func keepWatching() async {
        while !Task.isCancelled {
            node.look()
            _ = await supervisor.usage()
            try? await SystemClock.sleep(until: SystemClock.now() + UsageHistory.every)
        }
    }

    func top() async -> TopReport {
        let usage = await supervisor.usage()
        if node.last == nil { node.look() }
        let now = SystemClock.now()
        let instances = await supervisor.snapshot().map { replica in
            let inbound = replica.instance.flatMap { traffic.inbound(of: $0, now: now) }
            return TopReport.Instance(
                service: replica.service, tier: replica.tier, instance: replica.replica,
                state: InstanceState(rawValue: replica.state.rawValue) ?? .unready,
                usage: usage[replica.replica].flatMap(TopReport.Usage.init), cpuHistory: usage[replica.replica]?.cpuPercents(30) ?? [],
                memoryLimitBytes: replica.specification.limits?.memoryBytes.map(Int.init),
                descriptorLimit: replica.specification.limits?.openFiles, rps: inbound?.rps, failedRatio: inbound?.failedRatio)
        }
        let sample = node.last
        return TopReport(
            node: .init(
                host: ProcessInfo.processInfo.hostName, cores: sample?.cores ?? 1, load: sample?.load ?? 0, cpuPercent: node.cpuPercent,
                memoryTotalBytes: Int(sample?.memoryTotal ?? 0), memoryAvailableBytes: Int(sample?.memoryAvailable ?? 0),
                daemon: TopReport.Usage(node.daemon)
                    ?? TopReport.Usage(pid: Int(getpid()), rssBytes: 0, descriptors: 0, threads: 0)), instances: instances)
    }
}

extension TopReport.Usage {
    /// Nil before there was a look.
    fileprivate init?(_ history: UsageHistory) {
        guard let last = history.last else { return nil }
        self.init(
            pid: Int(last.processID), cpuPercent: history.cpuPercent, rssBytes: Int(last.residentBytes), descriptors: last.descriptors,
            threads: last.threads)
    }
}
