internal import MeshLimits
internal import MeshModel

/// What the supervisor holds of one replica; only the supervisor touches it.
final class Slot {
    var spec: ReplicaSpec
    /// What the incarnation that lives was started from.
    var running: ReplicaSpec?
    let folder: InstanceFolder
    var machine: ReplicaMachine
    /// As bound; empty before the first bind.
    var addresses: [SocketAddress]
    /// Bound here and not given to a shim yet.
    var sockets: [ListeningSocket] = []
    var client: ShimClient?
    /// Of the shim that `client` leads to.
    var shimVersion = ShimState.current
    var following: Task<Void, Never>?
    /// When its machine wants to hear of the time.
    var wakeAt: Instant?
    var probes: [ReplicaMachine.Role: Task<Void, Never>] = [:]
    var admission: Admission
    var instance: InstanceID?
    var processID: Int32?
    var processStartTime: Int64?
    var startedAt: UnixTime?
    /// What its control group bounds; nil where it is in none.
    var group: ControlGroupControllers?
    var logOffset: Int64 = 0
    var usage = UsageHistory()
    /// A start failed, or it began to crash in a loop, since it was last asked for.
    var startHasFailed = false
    var readySince: Instant?
    /// Being taken in or removed: others wait.
    var isBusy = false

    /// - Parameter stored: what an earlier daemon left, if one did.
    init(spec: ReplicaSpec, stored: StoredReplica?, folder: InstanceFolder, launchTimeout: Timespan) {
        self.spec = spec
        self.folder = folder
        running = stored?.running
        addresses = stored?.addresses ?? []
        admission = stored?.admission ?? .all
        machine = ReplicaMachine(
            probes: spec.probes, restart: spec.restart, stopGrace: spec.stopGrace, launchTimeout: launchTimeout,
            past: stored?.past ?? ReplicaMachine.Past())
    }

    var isSettled: Bool {
        switch machine.state {
        case .ready, .crashLoop, .stopped: true
        case .starting, .unready, .draining: startHasFailed
        }
    }

    func note(_ report: ReplicaMachine.Report, _ now: Instant) {
        readySince = machine.state == .ready ? readySince ?? now : nil
        switch report {
        case .startFailed, .waiting(_, crashLoop: true): startHasFailed = true
        case .ready: startHasFailed = false
        case .exited, .stopped:
            processID = nil
            processStartTime = nil
            group = nil
            for probe in probes.values { probe.cancel() }
            probes = [:]
        case .launching, .running, .adopted, .unready, .draining, .waiting, .shimLost: break
        }
    }

    var probeTarget: ProbeRunner.Target? {
        guard let instance else { return nil }
        let spec = running ?? spec
        return ProbeRunner.Target(
            address: addresses.first, instance: instance, logPath: folder.log, logOffset: logOffset, workingFolder: spec.workingFolder,
            environment: spec.environment)
    }

    var listeners: [(name: String, address: SocketAddress, socket: ListeningSocket?)] {
        let listen = (running ?? spec).listen
        return addresses.enumerated().map { index, address in
            (
                index < listen.count ? listen[index].name : "listener\(index)", address,
                index < sockets.count ? sockets[index] : nil
            )
        }
    }

    func letGo() {
        wakeAt = nil
        following?.cancel()
        for probe in probes.values { probe.cancel() }
        client?.disconnect()
        client = nil
    }

    func snapshot(_ now: Instant) -> ReplicaSnapshot {
        // Copies first: the optimizer of Swift 6.3.1 crashes where the machine's fields are read between the others.
        let machine = machine
        let version: String?
        let isOutdated: Bool
        if let running {
            version = running.version
            isOutdated = processID != nil && !running.mayGoOn(as: spec)
        } else {
            version = spec.version
            isOutdated = false
        }
        var snapshot = ReplicaSnapshot(
            service: spec.service, tier: spec.tier, replica: spec.replica, state: machine.state, addresses: addresses,
            restarts: machine.restarts, failures: machine.failures, isOutdated: isOutdated,
            specification: processID == nil ? spec : running ?? spec, hasFailed: startHasFailed)
        snapshot.version = version
        snapshot.admission = admission
        snapshot.readySince = readySince
        snapshot.instance = instance
        snapshot.processID = processID
        snapshot.processStartTime = processStartTime
        snapshot.group = group
        snapshot.shimProcessID = client?.processID
        snapshot.startedAt = processID == nil ? nil : startedAt
        snapshot.lastExit = machine.lastExit
        snapshot.reason = machine.reason
        if let nextStart = machine.nextStart { snapshot.nextRestartIn = max(.zero, nextStart - now) }
        return snapshot
    }
}
