import Foundation
import Logging
import MeshAdminAPI
import MeshConfiguration
import MeshModel
import MeshSupervision
import MeshTelemetry

/// Bringing the mesh to what mesh.yaml says.
extension Daemon {
    /// Reads the file, starts what is missing, replaces what has changed, stops what is gone, and tells how it goes.
    ///
    /// Idempotent.
    func up(_ request: UpRequest) -> AsyncStream<UpEvent> {
        perform { daemon, tell in try await daemon.bringUp(request, tell: tell) }
    }

    /// Changes the mesh, and tells how it goes; a change that begins while another is under way waits for it.
    func perform(
        _ change: @escaping @Sendable (isolated Daemon, @escaping @Sendable (UpEvent) -> Void) async throws -> UpEvent.UpResult
    ) -> AsyncStream<UpEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: UpEvent.self)
        let previous = upTask
        upTask = Task {
            await previous?.value
            do {
                continuation.yield(.finished(try await change(self) { continuation.yield($0) }))
            } catch {
                let failure = describe(error)
                logger.error("the change failed: \(failure.reason)")
                continuation.yield(.failed(failure))
            }
            continuation.finish()
            endIfEmptySoon()
        }
        return stream
    }

    private func bringUp(_ request: UpRequest, tell: @escaping @Sendable (UpEvent) -> Void) async throws -> UpEvent.UpResult {
        let (next, findings) = try read(request.file, profile: request.profile, environment: request.environment, keeping: applied)
        tell(.check(.init(file: request.file, findings: findings.count)))
        tell(.control(.init(address: "127.0.0.1", socket: runtimeFolder.controlSocket)))
        if let notice = Self.notice(of: lost) { tell(.warning(notice)) }
        lost = []
        let result = try await bring(to: next, tell: tell)
        setWatching(request.watch ?? next.document.restartsOnChange)
        return result
    }

    /// After a crash of one of them it matters how it ended; after one of the machine, how many did.
    static func notice(of lost: [Supervisor.Adoption]) -> Notice? {
        guard !lost.isEmpty else { return nil }
        let most = 3
        let shown = lost.prefix(most).map { "\($0.replica) (\($0.exit?.description ?? "nobody saw how"))" }
        let more = lost.count > most ? " and \(lost.count - most) more" : ""
        return Notice(
            message: "ended while no daemon ran: " + shown.joined(separator: ", ") + more, hint: "mesh logs --last-crash")
    }

    /// What a mesh.yaml asks for; `mesh scale` holds until the next time that it is read.
    func read(
        _ file: String, profile: String?, environment: [String: String], keeping earlier: Applied?
    ) throws(UpFailure) -> (next: Applied, findings: [Finding]) {
        let recording = RecordingEnvironment(SystemConfigurationEnvironment(variables: environment))
        let (document, findings) = try document(file, profile: profile, in: recording)
        let adjustments = Deployment.Adjustments(generations: earlier?.adjustments.generations ?? [:])
        let source = Applied.Source(file: file, files: recording.files, environment: environment, profile: profile)
        return (applied(document, source, adjustments), findings)
    }

    func document(
        _ file: String, profile: String?, in environment: any ConfigurationEnvironment
    ) throws(UpFailure) -> (MeshDocument, [Finding]) {
        let (document, findings) = MeshDocument.load(path: file, profile: profile, environment: environment)
        guard let document else {
            throw UpFailure(
                reason: findings.first { $0.severity == .error }.map { "\($0.file):\($0.line):\($0.column): \($0.message)" }
                    ?? "\(file) can't be read",
                hint: "mesh check -f \(file)")
        }
        return (document, findings)
    }

    /// What is wanted, worked out.
    func applied(_ document: MeshDocument, _ source: Applied.Source, _ adjustments: Deployment.Adjustments) -> Applied {
        let (builds, variables, path) = (builds, variables, source.environment["PATH"])
        let document = document.stampingCertificates()
        let deployment = Deployment(
            document,
            in: .init(
                stateFolder: stateFolder.path, runtimeFolder: runtimeFolder.path, instanceSocket: runtimeFolder.instanceSocket,
                environment: source.environment,
                build: { builds.build(of: $0.executable, $0.arguments, folder: document.folder, path: path) },
                privateVariables: { variables.describe($0, except: $1) }, adjustments: adjustments))
        return Applied(document: document, deployment: deployment, source: source, adjustments: adjustments)
    }

    /// Brings the mesh, or these groups of it, to what is wanted; where one can't be brought there, all goes back to what was wanted before.
    func bring(
        to next: Applied, only labels: Set<String>? = nil, tell: @escaping @Sendable (UpEvent) -> Void
    ) async throws -> UpEvent.UpResult {
        let start = SystemClock.now()
        let before = await supervisor.snapshot()
        let previous = applied
        let wasRunning = before.contains { $0.processID != nil }
        try checkAddresses(next.deployment, before)
        phase = .starting
        let plan = DeploymentPlan(from: before, previous?.document, to: next, only: labels)
        for change in plan.changes { tell(.change(change)) }
        if !plan.changes.isEmpty { await instancesReturned() }
        _ = apply(next)
        do {
            try await agree()
            if labels == nil { await removeUnwanted(next.deployment, before) }
            for wave in next.deployment.waves {
                try Task.checkCancellation()
                let groups = wave.filter { labels?.contains($0.label) ?? true }
                if !groups.isEmpty { try await rollOut(groups, tiers: next.document.tiers, tell) }
            }
        } catch {
            var failure = describe(error)
            if previous != nil, wasRunning { failure.reason += "; what ran before goes on" }
            await goBack(to: previous, wasRunning: wasRunning, before: before)
            throw failure
        }
        phase = .ready
        remember(next)
        let ready = await supervisor.snapshot().filter { $0.state == .ready }.count
        return .init(
            processes: ready, seconds: (SystemClock.now() - start).seconds, urls: gatewayURLs(), changed: !plan.changes.isEmpty)
    }

    /// Tries every fixed address before anything is changed: one that another program has must not cost a mesh that runs.
    private func checkAddresses(_ deployment: Deployment, _ before: [ReplicaSnapshot]) throws(UpFailure) {
        func port(_ address: SocketAddress) -> Int? {
            guard case .tcp(_, let port) = address, port != 0 else { return nil }
            return port
        }
        let own = Set(before.flatMap(\.addresses).compactMap(port))
        for group in deployment.groups {
            let spec = group.spec(group.freeNames(1, taken: []).first ?? group.service)
            for listen in spec.listen where port(listen.address).map({ !own.contains($0) }) ?? false {
                do { _ = try ListeningSocket.bind(listen.address) } catch {
                    throw describe(RolloutFailure(group: group, reason: "\(error)", startError: .listen(error)))
                }
            }
        }
    }

    private func removeUnwanted(_ deployment: Deployment, _ before: [ReplicaSnapshot]) async {
        let unwanted = before.filter { replica in !deployment.groups.contains { $0.has(replica) } }
        await withTaskGroup(of: Void.self) { group in
            for replica in unwanted { group.addTask { await self.retire(replica.replica, drain: replica.specification.stopGrace) } }
        }
    }

    /// Rolls out groups side by side, and tells how far they are.
    private func rollOut(_ groups: [ReplicaGroup], tiers: [String], _ tell: @escaping @Sendable (UpEvent) -> Void) async throws {
        let progress = WaveProgress(groups, tiers: tiers)
        let reporting = Task {
            var last: [TierProgress] = []
            while !Task.isCancelled {
                let now = progress.tiers(await self.supervisor.snapshot(), urls: [])
                if now != last, !now.allSatisfy(\.isDone) {
                    for tier in now { tell(.tier(tier)) }
                    last = now
                }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
        defer { reporting.cancel() }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for group in groups { tasks.addTask { try await self.rollOut(group, tell: tell) } }
            try await tasks.waitForAll()
        }
        reporting.cancel()
        await reporting.value
        for tier in progress.tiers(await supervisor.snapshot(), urls: gatewayURLs()) { tell(.tier(tier)) }
    }

    private func describe(_ error: any Error) -> UpFailure {
        if let failure = error as? UpFailure { return failure }
        if error is CancellationError { return UpFailure(reason: "stopped while it was starting", hint: "mesh up") }
        guard let failure = error as? RolloutFailure else {
            return UpFailure(reason: "the daemon failed: \(error)", hint: "see \(stateFolder.daemonLog)")
        }
        let group = failure.group
        var hint = "mesh logs --service \(group.label)"
        var reason = failure.reason
        if let replica = failure.replica, reason.hasPrefix("\(replica): ") { reason = String(reason.dropFirst(replica.count + 2)) }
        if case .listen(let listening) = failure.startError, listening.isInUse, case .tcp(_, let port) = listening.address {
            reason = "can't listen: \(listening)"
            hint = "choose another port: PORT=\(port + 1) mesh up, or gateway.listen in mesh.yaml"
        }
        // What was never started has said nothing; its log speaks of earlier runs.
        var output: [String] = []
        if let replica = failure.replica, let instance = failure.instance, failure.startError == nil {
            let folder = InstanceFolder(stateFolder: stateFolder.path, runtimeFolder: runtimeFolder.path, replica: replica)
            output = LogFile(path: folder.log).lastLines(5, of: instance.description).map(\.text)
        }
        return UpFailure(tier: group.tier, service: group.label, instance: failure.replica, reason: reason, hint: hint, output: output)
    }

    /// After a failure: to what was wanted before, where that is known; otherwise what this attempt started is stopped again.
    private func goBack(to previous: Applied?, wasRunning: Bool, before: [ReplicaSnapshot]) async {
        guard phase != .stopping else { return }
        guard wasRunning else {
            await supervisor.stopAll(order: applied?.deployment.stopOrder ?? [])
            applied = previous
            phase = .idle
            return
        }
        guard let previous else {
            let names = Set(before.map(\.replica))
            for replica in await supervisor.snapshot() where !names.contains(replica.replica) { await supervisor.remove(replica.replica) }
            phase = .degraded
            return
        }
        _ = apply(previous)
        await removeUnwanted(previous.deployment, await supervisor.snapshot())
        phase = .ready
        for group in previous.deployment.groups {
            // Not of the task that may have been cancelled: what was begun is undone in any case.
            do { try await Task { try await rollOut(group, isReturn: true) }.value } catch {
                logger.error("\(group.label) could not go back: \(describe(error).reason)")
                phase = .degraded
            }
        }
    }
}

/// How far the services of one wave have come, by tier.
private struct WaveProgress: Sendable {
    private let start = SystemClock.now()
    private let groups: [ReplicaGroup]
    private let tierOrder: [String]

    init(_ groups: [ReplicaGroup], tiers: [String]) {
        tierOrder = tiers
        self.groups = groups
    }

    func tiers(_ replicas: [ReplicaSnapshot], urls: [String]) -> [TierProgress] {
        let seconds = (SystemClock.now() - start).seconds
        return tierOrder.reversed().compactMap { tier in
            var isDone = true
            let services = groups.filter { $0.tier == tier }.map { group in
                let ready = replicas.count {
                    group.has($0) && $0.state == .ready && $0.specification.mayGoOn(as: group.spec($0.replica))
                }
                isDone = isDone && ready >= group.enough
                return ServiceProgress(service: group.label, ready: min(ready, group.wanted), wanted: group.wanted)
            }
            guard !services.isEmpty else { return nil }
            let hasGateway = services.contains { $0.service == MeshDocument.gatewayName }
            return TierProgress(
                tier: tier, services: services, urls: hasGateway && isDone ? urls : [], isDone: isDone,
                // Rounded while it is counted, so that only a change of a count is news.
                seconds: isDone ? seconds : 0)
        }
    }
}
