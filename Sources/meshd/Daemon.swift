import Foundation
import Logging
import MeshAdminAPI
import MeshConfiguration
import MeshControlProtocol
import MeshExchange
import MeshLimits
import MeshModel
import MeshRegistry
import MeshStore
import MeshSupervision
import MeshTelemetry

/// One mesh: what is wanted of it, who is where in it, and who has to be told.
///
/// The parts decide for themselves (`Supervisor` about processes, `Registry` about places, `SnapshotPublisher` about who is told,
/// `Deployment` about what a file means); this brings their facts to each other.
actor Daemon {
    let stateFolder: StateFolder
    let runtimeFolder: RuntimeFolder
    let supervisor: Supervisor
    let traces: TraceAnswers
    let limits: LimitsStatus
    let logger: Logger

    var applied: Applied?
    var phase = DaemonPhase.idle
    /// One `up` at a time; `down` ends it.
    var upTask: Task<Void, Never>?
    var faultBook = FaultBook()
    /// Looks after executables, where that was asked for.
    var watching: Task<Void, Never>?
    /// Wakes when the next fault ends.
    var faultTimer: Task<Void, Never>?
    var traffic = TrafficLedger()
    var node = NodeWatch()
    private var metricsServer = MetricsServer()
    var registry: Registry
    var publisher: SnapshotPublisher
    private let startedAt = Timestamp(HostClock.wall())
    private let finish: @Sendable () -> Void

    /// Of rollouts under way.
    var rollouts = RolloutState()
    /// What ended before this daemon came; told to the first who asks for a change.
    var lost: [Supervisor.Adoption] = []
    /// Instances that an earlier daemon left, and that have not come to this one yet; they are waited for until then.
    var returning: Set<InstanceID> = []
    /// How long for; from when this daemon can be found by them.
    var returnsUntil = SystemClock.now()
    let builds: BuildCatalog
    let variables: VariableReader
    var history: DeploymentHistory

    /// What was applied last.
    struct Applied: Sendable {
        /// Where the document came from.
        struct Source: Hashable, Sendable, Codable {
            /// mesh.yaml.
            var file: String
            /// It and what it includes, by absolute path, as they were.
            var files: [String: String]
            /// Of the one who asked for it.
            var environment: [String: String]
            /// Of mesh.yaml, laid over it.
            var profile: String?
        }

        var document: MeshDocument
        var deployment: Deployment
        var source: Source
        var adjustments: Deployment.Adjustments
    }

    /// - Parameter finish: called once when there is nothing left to be a daemon for.
    init(
        stateFolder: StateFolder, runtimeFolder: RuntimeFolder, supervisor: Supervisor, variables: VariableReader, traces: TraceAnswers,
        limits: LimitsStatus, logger: Logger,
        finish: @escaping @Sendable () -> Void
    ) {
        self.stateFolder = stateFolder
        self.runtimeFolder = runtimeFolder
        self.supervisor = supervisor
        self.variables = variables
        self.traces = traces
        self.limits = limits
        self.logger = logger
        self.finish = finish
        publisher = SnapshotPublisher(keepKey: KeepKey.load(from: stateFolder.keepKey))
        builds = BuildCatalog(folder: stateFolder.builds, fingerprints: stateFolder.fingerprints)
        history = DeploymentHistory(path: stateFolder.deployments)
        // A daemon that comes back must not hand out a lower revision than the one before it did.
        registry = Registry(after: UInt64(max(0, HostClock.wall().nanoseconds / 1_000_000)) << 16)
    }

    /// Ends the daemon if there is nothing to be a daemon for: after `down`, and after a first `up` that failed.
    func endIfEmpty() async {
        guard phase != .starting, await supervisor.snapshot().isEmpty else { return }
        finish()
    }

    /// The same for one whose asker may be gone; who is still there gets the last lines first.
    func endIfEmptySoon() {
        Task {
            try? await Task.sleep(for: .seconds(1))
            await endIfEmpty()
        }
    }

    // MARK: Facts

    /// Takes in what runs already, and tells the log what happened while no daemon looked.
    func adopt() async {
        for adoption in await supervisor.adopt(startsDead: false) {
            if let problem = adoption.problem { logger.error("\(adoption.replica) can't be adopted: \(problem)") }
            if adoption.isLost {
                lost.append(adoption)
                logger.info("\(adoption.replica) had ended: \(adoption.exit?.description ?? "nobody saw how")")
            }
            if let snapshot = adoption.snapshot, let process = snapshot.processID {
                logger.info("\(adoption.replica) is adopted, pid \(process)")
                // At once, so that nobody is told of a mesh with a part of its replicas.
                rollouts.resume([snapshot])
                if let instance = snapshot.instance { returning.insert(instance) }
                if snapshot.state == .ready, !rollouts.held.contains(snapshot.replica) {
                    _ = registry.becameReady(Registry.Entry(snapshot))
                }
            }
        }
        if await supervisor.snapshot().contains(where: { $0.processID != nil }) { resume() }
        returnsUntil = SystemClock.now() + Self.longestReturn
    }

    /// What an earlier daemon applied last rules again.
    private func resume() {
        guard let last = history.records.last else { return }
        do {
            applied = try restored(last)
            phase = .ready
        } catch {
            logger.error("what was applied last can't be read again: \(error.reason); mesh up applies mesh.yaml anew")
        }
    }

    /// Follows the supervisor for as long as it speaks.
    func followReplicas() async {
        for await event in supervisor.events { replicaChanged(event) }
    }

    private func replicaChanged(_ event: ReplicaEvent) {
        let replica = event.snapshot
        let changed: Bool
        switch event.report {
        case .ready, .adopted:
            changed = replica.state == .ready && !rollouts.held.contains(replica.replica) && registry.becameReady(Registry.Entry(replica))
        case .draining:
            changed = registry.startedDraining(replica: replica.replica)
        case .exited:
            let isStartedAgain = replica.state == .starting || rollouts.paused.contains(replica.replica)
            changed = registry.ended(replica: replica.replica, isStartedAgain: isStartedAgain)
        case .stopped where rollouts.paused.contains(replica.replica):
            changed = false
        case .unready, .stopped, .startFailed, .waiting:
            changed = registry.wentAway(replica: replica.replica)
        case .launching, .running, .shimLost:
            changed = false
        }
        if let line = event.line { logger.info("\(replica.replica) \(line)") }
        if changed { publish() }
    }

    /// Follows what instances say for as long as anybody listens.
    func followInstances(_ events: AsyncStream<InstanceServer.Event>) async {
        for await event in events {
            switch event {
            case .closed(let connection):
                if let listener = publisher.disconnected(connection) { traffic.left(listener.instance) }
            case .said(let connection, let message): await instanceSaid(message, connection)
            }
        }
    }

    private func instanceSaid(_ message: InstanceMessage, _ connection: InstanceConnection) async {
        switch message {
        case .hello(let hello):
            publisher.connected(connection, hello)
            returning.remove(hello.instance)
            publish()
        case .acknowledged(let acknowledgement):
            publisher.acknowledged(connection, revision: acknowledgement.revision)
        case .refused(let refusal):
            publisher.acknowledged(connection, revision: refusal.revision, refusal: refusal.reason)
            let who = publisher.listeners[connection]?.service ?? "an instance"
            logger.error("\(who) refused revision \(refusal.revision): \(refusal.reason)")
        case .health(let health):
            guard let instance = publisher.listeners[connection]?.instance else { return }
            // Where there is a probe, that has the last word on what is ready.
            if health.ready, await !supervisor.waitsForReport(of: instance) { return }
            await supervisor.reported(instance, isReady: health.ready, reason: health.reason ?? "it said so")
        case .stopping:
            guard let instance = publisher.listeners[connection]?.instance,
                let replica = await supervisor.snapshot().first(where: { $0.instance == instance })
            else { return }
            if registry.startedDraining(replica: replica.replica) { publish() }
        case .statistics(let statistics):
            guard let listener = publisher.listeners[connection] else { return }
            traffic.reported(
                statistics.edges, counters: statistics.counters, metrics: statistics.metrics, by: listener.instance, of: listener.service,
                tier: applied?.document.tier(of: listener.service) ?? "", now: HostClock.now())
        case .spans: break
        }
    }

    /// Sends to every instance what has changed for it.
    ///
    /// - Returns: the services that were told something.
    @discardableResult
    func publish() -> Set<String> {
        guard let applied else { return [] }
        var told: Set<String> = []
        let messages = publisher.messages(applied.document, registry) { snapshot in
            rollouts.adjust(&snapshot)
            faultBook.apply(to: &snapshot)
        }
        for (connection, message) in messages {
            connection.send(.configuration(message))
            if let service = publisher.listeners[connection]?.service { told.insert(service) }
        }
        return told
    }

    /// Something that instances are told has changed: the next snapshots have another revision.
    func revise() { registry.policyChanged() }

    /// From now on this is what is wanted.
    ///
    /// - Returns: the services that run with other rules from now on.
    func apply(_ applied: Applied) -> Set<String> {
        let isFirst = self.applied == nil
        self.applied = applied
        traces.follow(applied.document.traces)
        registry.policyChanged()
        metricsServer.follow(applied.document.metricsListen, of: self, logger: logger)
        let told = publish()
        return isFirst ? [] : told
    }

    // MARK: Views

    func status() -> DaemonStatus {
        DaemonStatus(
            pid: Int(getpid()), mesh: applied?.document.name ?? "", file: applied?.source.file, stateFolder: stateFolder.path,
            startedAt: startedAt, phase: phase, urls: gatewayURLs(), limits: limits)
    }

    func instances() async -> [InstanceStatus] {
        let usage = await supervisor.usage()
        return await supervisor.snapshot().map { replica in
            InstanceStatus(
                replica, usage: usage[replica.replica], listener: replica.instance.flatMap { publisher.listener(of: $0) })
        }
    }

    func statistics() -> MeshStatistics {
        let exported = traces.exporter.counters
        let collected = traces.collector.counters
        let counters = traces.intake.counters
        let store = traces.store.status
        return MeshStatistics(
            spansReceived: collected.keeper.arrived, spansNotKept: collected.keeper.notKept + collected.keeper.undecided,
            spansHeld: collected.keeper.held, requestsOpen: collected.openSpans, spansStored: store.storedSpans,
            spansDroppedByInstances: collected.droppedAtSource,
            spansDroppedByStore: collected.keeper.lost + counters.droppedSpans + store.unreadableSpans,
            traceStoreBytes: UInt64(max(0, store.bytes)),
            instancesConnected: publisher.listeners.count, traceStoreError: store.failure?.reason, otlpAddress: traces.listener.address,
            spansExported: exported.sent, spansDroppedByExport: exported.dropped,
            traceProblems: exported.problems + [traces.listener.problem].compactMap(\.self))
    }

    func logs(_ query: LogQuery) async throws -> AsyncStream<LogLine> {
        let replicas = await supervisor.snapshot().filter { replica in
            query.wants(service: replica.service, version: replica.version, replica: replica.replica)
        }
        if replicas.isEmpty, !query.names.isEmpty {
            let name = query.names.sorted().joined(separator: ", ")
            let known = Set(await supervisor.snapshot().map(\.service)).sorted().joined(separator: ", ")
            throw Problem(
                title: "there is no '\(name)' in this mesh", status: 404, detail: known.isEmpty ? "nothing runs" : "there are: \(known)",
                hint: "mesh ps")
        }
        if query.lastCrash { return try logOfLastCrash(query, replicas) }
        guard let trace = query.trace else { return LogReader(sources: { await self.logSources(query) }).lines(query) }
        let detail = try await traces.show(trace, isDeskewed: false)
        return await traces.logs(of: detail, from: replicas.map(logSource))
    }

    /// The logs of all replicas of some services.
    func logSources(of services: Set<String>) async -> [LogSource] {
        await supervisor.snapshot().filter { services.contains($0.service) }.map(logSource)
    }

    private func logSources(_ query: LogQuery) async -> [LogSource] {
        await supervisor.snapshot().filter { query.wants(service: $0.service, version: $0.version, replica: $0.replica) }.map(logSource)
    }

    private func logSource(_ replica: ReplicaSnapshot) -> LogSource {
        LogSource(service: replica.service, replica: replica.replica, path: folder(of: replica).log)
    }

    private func folder(of replica: ReplicaSnapshot) -> InstanceFolder {
        InstanceFolder(stateFolder: stateFolder.path, runtimeFolder: runtimeFolder.path, replica: replica.replica)
    }

    /// What the incarnation said that ended last without being told to, and how it ended.
    private func logOfLastCrash(_ query: LogQuery, _ replicas: [ReplicaSnapshot]) throws -> AsyncStream<LogLine> {
        let crashes = replicas.compactMap { replica in
            ShimRecord.read(folder(of: replica)).exits.last { !$0.isClean }.map { (replica: replica, exit: $0) }
        }
        guard let (replica, exit) = crashes.max(by: { $0.exit.endedAt < $1.exit.endedAt }) else {
            throw Problem(title: "nothing has crashed", status: 404, detail: "of what is asked for", hint: "mesh ps")
        }
        let source = LogSource(
            service: replica.service, replica: replica.replica, path: folder(of: replica).log, incarnation: exit.instance.description)
        var once = query
        once.follow = false
        let end = LogLine(
            time: Timestamp(exit.endedAt), service: replica.service, instance: replica.replica, stream: .mesh, text: exit.ending)
        return LogReader(sources: { [source] }).lines(once, then: [end])
    }

    func gatewayURLs() -> [String] {
        let scheme = applied?.document.gateway?.tls == nil ? "http" : "https"
        return registry.endpoints(of: MeshDocument.gatewayName).flatMap(\.addresses).compactMap { address in
            guard case .tcp(let host, let port) = address else { return nil }
            let shown = ["0.0.0.0", "::"].contains(host) ? "127.0.0.1" : host
            return "\(scheme)://" + SocketAddress.tcp(host: shown, port: port).description
        }
    }
}

extension Registry.Entry {
    init(_ replica: ReplicaSnapshot) {
        let endpoint = Endpoint(
            instance: replica.instance ?? InstanceID(high: 0, low: 0), host: ProcessInfo.processInfo.hostName, addresses: replica.addresses,
            expectedIdentity: .none, version: replica.version)
        self.init(service: replica.service, replica: replica.replica, endpoint: endpoint)
    }
}

extension ReplicaEvent {
    /// What of it belongs into the daemon's log.
    fileprivate var line: String? {
        switch report {
        case .ready: "is ready"
        case .unready(let reason): "is not ready: \(reason)"
        case .exited(let exit): "ended: \(exit)"
        case .startFailed(let reason): "could not be started: \(reason)"
        case .waiting(_, crashLoop: true): "keeps failing; next try in \(snapshot.nextRestartIn?.seconds ?? 0) s"
        case .shimLost: "lost its shim; a new one takes over"
        case .launching, .running, .adopted, .draining, .waiting, .stopped: nil
        }
    }
}

extension InstanceStatus {
    init(_ replica: ReplicaSnapshot, usage: UsageHistory?, listener: SnapshotPublisher.Listener?) {
        // Why it is not as it should be, where that is not just how it ended; what it said last has a field of its own.
        let reason = replica.reason.flatMap { $0 == replica.lastExit?.description ? nil : $0 }
        self.init(
            service: replica.service, tier: replica.tier, instance: replica.replica, instanceID: replica.instance?.description,
            version: replica.version ?? replica.specification.build.map { String($0.prefix(4)) },
            state: InstanceState(rawValue: replica.state.rawValue) ?? .unready,
            ready: replica.state == .ready, pid: replica.processID.map(Int.init), address: replica.addresses.first?.description,
            restarts: replica.restarts, cpuPercent: usage.map { $0.cpuPercent ?? 0 }, rssBytes: usage?.last.map { Int($0.residentBytes) },
            startedAt: replica.startedAt.map(Timestamp.init), lastExit: reason ?? replica.lastExit?.ending,
            lastErrorLine: replica.lastErrorLine, nextRestartIn: replica.nextRestartIn?.seconds)
        revision = listener?.revision
        rules = listener.map { $0.isCurrent ? .current : $0.refusal == nil ? .old : .refused }
        refusal = listener.flatMap { $0.isCurrent ? nil : $0.refusal }
        if replica.processID != nil, let limits = replica.specification.limits {
            self.limits = LimitKeeping(limits, in: replica.group, machineCores: ProcessInfo.processInfo.activeProcessorCount)
        }
    }
}
