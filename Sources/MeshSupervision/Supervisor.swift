internal import CMeshSystem
internal import Glibc
package import MeshLimits
package import MeshModel

/// Keeps replicas as they are wanted: the host of one `ReplicaMachine` per slot.
///
/// Decisions are the machines'; here facts are brought to them and their commands carried out. What runs outlives this actor.
package actor Supervisor {
    package struct Configuration: Sendable {
        package var stateFolder: String
        /// Short: it holds the sockets.
        package var runtimeFolder: String
        package var shimExecutable: String
        /// For a shim to say its first word, or to end. It needs milliseconds; the rest is for a machine that is short of cores or memory.
        package var answerTimeout: Timespan
        package var logs: LogRetention
        package var groups: Groups
        /// Reads the values of private variables, at every start; what it throws is said as the reason why there was none.
        package var readVariables: @Sendable (PrivateVariables) throws -> [String: String]

        package init(
            stateFolder: String, runtimeFolder: String, shimExecutable: String, answerTimeout: Timespan = .seconds(Int64(10)),
            logs: LogRetention = LogRetention(), groups: Groups = Groups(),
            readVariables: @escaping @Sendable (PrivateVariables) throws -> [String: String] = { _ in [:] }
        ) {
            self.answerTimeout = answerTimeout
            self.logs = logs
            self.groups = groups
            self.readVariables = readVariables
            self.stateFolder = stateFolder
            self.runtimeFolder = runtimeFolder
            self.shimExecutable = shimExecutable
        }

        /// Control groups for incarnations.
        package struct Groups: Sendable {
            /// Of the group that this process and the shims that it starts are in; nil where there can be none.
            package var division: ControlGroupDivision?
            /// That of the mesh's group, also where it lies in another group, which an earlier daemon was in.
            package var name: String

            package init(division: ControlGroupDivision? = nil, name: String = "") {
                self.division = division
                self.name = name
            }
        }

        /// For an incarnation to be started, which may need a new shim first.
        var launchTimeout: Timespan { answerTimeout * 2 }
    }

    package nonisolated let configuration: Configuration
    /// All that happens, in order, for one reader.
    package nonisolated let events: AsyncStream<ReplicaEvent>
    private let eventsOut: AsyncStream<ReplicaEvent>.Continuation
    var slots: [String: Slot] = [:]
    private var random = RandomSource.fromSystem()
    private var alarm: Task<Void, any Error>?
    /// The soonest time at which a slot wants to be woken.
    private var alarmFor = Instant.distantFuture
    /// What is due within so short a time is done at once.
    private static let longestGathering = Timespan.milliseconds(10)
    private var watchers: [UInt64: Watcher] = [:]
    private var watcherCounter: UInt64 = 0

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        (events, eventsOut) = AsyncStream.makeStream()
    }

    // MARK: Wishes

    /// Starts a replica, or keeps it: one that runs stays as it is until `restart`, and is `isOutdated` if the specification differs.
    ///
    /// The listening sockets are bound before this returns.
    ///
    /// - Parameter admission: of a replica that is new; one that there is keeps its own.
    package func start(_ spec: ReplicaSpec, admission: Admission = .all) async throws(StartError) {
        if let problem = InstanceFolder.problem(withReplicaName: spec.replica) { throw .invalid(problem) }
        await wait(until: .distantFuture) { $0[spec.replica]?.isBusy != true }
        if slots[spec.replica] == nil {
            let folder = self.folder(spec.replica)
            do { try folder.make() } catch { throw .system(error) }
            FaultPoint.folderMade.passed()
            let stored = StoredReplica.load(from: folder)
            let slot = Slot(spec: spec, stored: stored, folder: folder, launchTimeout: configuration.launchTimeout)
            slot.admission = admission
            try await open(slot, wanted: true)
        }
        guard let slot = slots[spec.replica] else { return }
        slot.spec = spec
        if slot.running?.mayGoOn(as: spec) == true {
            slot.running = spec
            slot.machine.adoptPolicies(probes: spec.probes, restart: spec.restart, stopGrace: spec.stopGrace)
        }
        if slot.client == nil, !slot.machine.mayLive { try await bind(slot) }
        slot.startHasFailed = false
        apply(slot.machine.startRequested(SystemClock.now()), to: slot)
        // Before anything lives: the start is a task of its own, so that nothing can live that nobody knows of.
        save(slot)
        FaultPoint.replicaSaved.passed()
    }

    /// Writes down which calls these replicas get; telling callers is for others.
    package func admit(_ replicas: [String], to admission: Admission) {
        for replica in replicas {
            guard let slot = slots[replica], slot.admission != admission else { continue }
            slot.admission = admission
            save(slot)
        }
        FaultPoint.admissionSaved.passed()
    }

    /// Ends what runs and starts it anew, from the specification that is wanted now.
    package func restart(_ replica: String) {
        guard let slot = slots[replica] else { return }
        slot.startHasFailed = false
        apply(slot.machine.restartRequested(SystemClock.now()), to: slot)
        save(slot)
    }

    /// New calls go elsewhere from now on, which is for the caller to arrange; a `stop` or `restart` will follow.
    package func drain(_ replica: String) {
        guard let slot = slots[replica] else { return }
        apply(slot.machine.drainBegan(SystemClock.now()), to: slot)
    }

    /// Ends what runs and keeps the slot.
    package func stop(_ replica: String) {
        guard let slot = slots[replica] else { return }
        apply(slot.machine.stopRequested(SystemClock.now()), to: slot)
        save(slot)
    }

    /// The instance said itself whether it can take requests.
    package func reported(_ instance: InstanceID, isReady: Bool, reason: String = "it said so") {
        guard let slot = slots.values.first(where: { $0.instance == instance }) else { return }
        apply(slot.machine.reported(isReady: isReady, SystemClock.now(), why: reason), to: slot)
    }

    /// Whether an instance's own word makes it ready, and nothing else does.
    package func waitsForReport(of instance: InstanceID) -> Bool {
        guard let slot = slots.values.first(where: { $0.instance == instance }) else { return false }
        if case .reported = slot.machine.probes.ready { return true }
        return false
    }

    /// Leaves everything running to a daemon that comes later.
    package func detach() {
        for slot in slots.values { slot.letGo() }
        slots = [:]
        alarm?.cancel()
        eventsOut.finish()
    }

    // MARK: Views

    /// All replicas, by name.
    package func snapshot() -> [ReplicaSnapshot] {
        let now = SystemClock.now()
        return slots.values.sorted { $0.spec.replica < $1.spec.replica }.map { $0.snapshot(now) }
    }

    package func snapshot(of replica: String) -> ReplicaSnapshot? { slots[replica]?.snapshot(SystemClock.now()) }

    /// What each replica's process used lately, the last sample at most `UsageHistory.every` old; replicas without a process have none.
    package func usage() -> [String: UsageHistory] {
        let now = SystemClock.now()
        var usage: [String: UsageHistory] = [:]
        for (name, slot) in slots {
            guard let process = slot.processID else { continue }
            if slot.usage.last?.processID != process || slot.usage.isDue(now),
                let sample = ProcessSample.take(process, hasGroup: slot.group != nil)
            {
                slot.usage.add(sample)
            }
            if slot.usage.last?.processID == process { usage[name] = slot.usage }
        }
        return usage
    }

    /// Waits until each of these replicas is ready, or has failed, or is stopped; or until the deadline.
    package func settled(_ replicas: [String], by deadline: Instant = .distantFuture) async -> [ReplicaSnapshot] {
        await wait(until: deadline) { slots in replicas.allSatisfy { slots[$0]?.isSettled ?? true } }
        return replicas.compactMap { snapshot(of: $0) }
    }

    /// Grows whenever something about a replica has changed.
    package var changes: UInt64 { changeCounter.value }

    /// Waits until something has changed since `changes` was read, or until the deadline.
    package func changed(since count: UInt64, by deadline: Instant) async {
        let counter = changeCounter
        await wait(until: deadline) { _ in counter.value != count }
    }

    // MARK: Watching

    private final class Counter {
        var value: UInt64 = 0
    }
    private let changeCounter = Counter()

    private struct Watcher {
        var isTrue: ([String: Slot]) -> Bool
        var continuation: CheckedContinuation<Void, Never>
    }

    /// Waits for a fact about the slots; false if the deadline came first.
    @discardableResult
    func wait(until deadline: Instant, _ isTrue: @escaping ([String: Slot]) -> Bool) async -> Bool {
        if isTrue(slots) { return true }
        watcherCounter += 1
        let number = watcherCounter
        let alarm =
            deadline == .distantFuture
            ? nil
            : Task {
                try await SystemClock.sleep(until: deadline)
                self.giveUp(number)
            }
        await withCheckedContinuation { watchers[number] = Watcher(isTrue: isTrue, continuation: $0) }
        alarm?.cancel()
        return isTrue(slots)
    }

    private func giveUp(_ number: UInt64) { watchers.removeValue(forKey: number)?.continuation.resume() }

    func tellWatchers() {
        changeCounter.value += 1
        for (number, watcher) in watchers where watcher.isTrue(slots) {
            watchers[number] = nil
            watcher.continuation.resume()
        }
    }

    // MARK: Carrying out

    func apply(_ effects: ReplicaMachine.Effects, to slot: Slot) {
        for command in effects.commands {
            switch command {
            case .start: Task { await self.startIncarnation(of: slot) }
            case .stop(let grace): slot.client?.send(.stop(grace: grace))
            case .kill: slot.client?.send(.signal(SIGKILL))
            case .probe(let role, let probe, let run): self.probe(slot, role, probe, run)
            case .recoverShim: Task { await self.recover(slot, replacing: false) }
            case .replaceShim: Task { await self.recover(slot, replacing: true) }
            case .report(let report):
                slot.note(report, SystemClock.now())
                switch report {
                case .ready, .unready: save(slot)
                default: break
                }
                eventsOut.yield(
                    ReplicaEvent(report: report, snapshot: slot.snapshot(SystemClock.now()), at: SystemClock.unixTime()))
            }
        }
        setTimer(effects.wakeAt, slot)
        tellWatchers()
    }

    private func setTimer(_ wakeAt: Instant?, _ slot: Slot) {
        slot.wakeAt = wakeAt
        if let wakeAt { setAlarm(for: wakeAt) }
    }

    /// One for all slots: hundreds of them that each slept for themselves would keep a core's scheduler busy.
    private func setAlarm(for wakeAt: Instant) {
        guard wakeAt < alarmFor else { return }
        alarmFor = wakeAt
        alarm?.cancel()
        alarm = Task {
            try await SystemClock.sleep(until: wakeAt + Self.longestGathering)
            self.alarmRang()
        }
    }

    private func alarmRang() {
        guard !Task.isCancelled else { return }
        let now = SystemClock.now()
        // What is set meanwhile is looked at below, all together.
        alarmFor = now
        for slot in slots.values {
            guard let wakeAt = slot.wakeAt, wakeAt <= now else { continue }
            slot.wakeAt = nil
            apply(slot.machine.timerFired(now), to: slot)
        }
        alarmFor = .distantFuture
        if let next = slots.values.lazy.compactMap(\.wakeAt).min() { setAlarm(for: next) }
    }

    private func probe(_ slot: Slot, _ role: ReplicaMachine.Role, _ probe: Probe, _ run: Int) {
        guard var target = slot.probeTarget else { return }
        if case .exec = probe.question, let wanted = (slot.running ?? slot.spec).privateVariables {
            target.environment.merge((try? configuration.readVariables(wanted)) ?? [:]) { $1 }
        }
        slot.probes[role] = Task {
            let failure = await ProbeRunner.ask(probe, target)
            guard !Task.isCancelled, self.isCurrent(slot) else { return }
            let now = SystemClock.now()
            if let failure {
                self.apply(slot.machine.probeFailed(role, run: run, failure, now), to: slot)
            } else {
                self.apply(slot.machine.probeSucceeded(role, run: run, now), to: slot)
            }
        }
    }

    func isCurrent(_ slot: Slot) -> Bool { slots[slot.spec.replica] === slot }

    func folder(_ replica: String) -> InstanceFolder {
        InstanceFolder(stateFolder: configuration.stateFolder, runtimeFolder: configuration.runtimeFolder, replica: replica)
    }

    func mintInstance() -> InstanceID { InstanceID.random(&random) }

    /// What can't be saved is only missed by a daemon that comes back: it goes on.
    func save(_ slot: Slot) {
        let stored = StoredReplica(
            running: slot.running ?? slot.spec, wanted: slot.spec, isWanted: slot.machine.isWanted, addresses: slot.addresses,
            past: slot.machine.past, admission: slot.admission)
        do { try stored.save(to: slot.folder) } catch { slot.machine.reason = slot.machine.reason ?? "\(error)" }
    }
}

/// Why a replica can't even be tried.
package enum StartError: Error, Hashable, Sendable, CustomStringConvertible {
    case invalid(String)
    case listen(ListenError)
    case system(SystemError)

    package var description: String {
        switch self {
        case .invalid(let text): text
        case .listen(let error): error.description
        case .system(let error): "\(error)"
        }
    }
}
