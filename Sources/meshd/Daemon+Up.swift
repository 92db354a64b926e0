import Foundation
import Logging
import MeshAdminAPI
import MeshConfiguration
import MeshModel
import MeshSupervision
import MeshTelemetry

/// Bringing the mesh to what mesh.yaml says.
extension Daemon {
    /// Reads the file, starts what is missing, restarts what has changed, stops what is gone, and tells how it goes.
    ///
    /// Idempotent. One that begins while another is under way waits for it.
    func up(_ request: UpRequest) -> AsyncStream<UpEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: UpEvent.self)
        let previous = upTask
        upTask = Task {
            await previous?.value
            do {
                continuation.yield(.finished(try await bringUp(request) { continuation.yield($0) }))
            } catch let failure as UpFailure {
                logger.error("up failed: \(failure.reason)")
                continuation.yield(.failed(failure))
            } catch {
                continuation.yield(.failed(UpFailure(reason: "the daemon failed: \(error)", hint: "see \(stateFolder.daemonLog)")))
            }
            continuation.finish()
            endIfEmptySoon()
        }
        return stream
    }

    private func bringUp(_ request: UpRequest, tell: @escaping @Sendable (UpEvent) -> Void) async throws -> UpEvent.UpResult {
        let start = SystemClock.now()
        let (document, findings) = MeshDocument.load(
            path: request.file, environment: SystemConfigurationEnvironment(variables: request.environment))
        guard let document else {
            throw UpFailure(
                reason: findings.first { $0.severity == .error }.map { "\($0.file):\($0.line):\($0.column): \($0.message)" }
                    ?? "\(request.file) can't be read",
                hint: "mesh check -f \(request.file)")
        }
        tell(.check(.init(file: request.file, findings: findings.count)))
        tell(.control(.init(address: "127.0.0.1", socket: runtimeFolder.controlSocket)))

        let deployment = Deployment(
            document,
            in: .init(
                stateFolder: stateFolder.path, runtimeFolder: runtimeFolder.path, instanceSocket: runtimeFolder.instanceSocket,
                environment: request.environment))
        let before = await supervisor.snapshot()
        let wasRunning = before.contains { $0.processID != nil }
        try checkAddresses(deployment, before)
        phase = .starting
        let updated = apply(Applied(document: document, deployment: deployment, file: request.file))
        for service in updated.sorted() {
            tell(.change(.init(service: service, action: .update, reason: "other rules for its calls or routes, without a restart")))
        }

        var started: [String] = []
        var changed = !updated.isEmpty
        do {
            changed = try await removeUnwanted(deployment, before, tell) || changed
            for wave in deployment.waves {
                try Task.checkCancellation()
                changed = try await startWave(wave, before, document, &started, tell) || changed
            }
        } catch {
            await rollBack(started, wasRunning: wasRunning)
            guard error is CancellationError else { throw error }
            throw UpFailure(reason: "stopped while it was starting", hint: "mesh up")
        }
        phase = .ready
        let ready = await supervisor.snapshot().filter { $0.state == .ready }.count
        return .init(processes: ready, seconds: (SystemClock.now() - start).seconds, urls: gatewayURLs(), changed: changed)
    }

    /// Tries every fixed address before anything is changed: one that another program has must not cost a mesh that runs.
    private func checkAddresses(_ deployment: Deployment, _ before: [ReplicaSnapshot]) throws(UpFailure) {
        func port(_ address: SocketAddress) -> Int? {
            guard case .tcp(_, let port) = address, port != 0 else { return nil }
            return port
        }
        let own = Set(before.flatMap(\.addresses).compactMap(port))
        for spec in deployment.replicas {
            for listen in spec.listen where port(listen.address).map({ !own.contains($0) }) ?? false {
                do { _ = try ListeningSocket.bind(listen.address) } catch { throw failure(of: spec, reason: "\(error)", .listen(error)) }
            }
        }
    }

    private func removeUnwanted(
        _ deployment: Deployment, _ before: [ReplicaSnapshot], _ tell: @Sendable (UpEvent) -> Void
    ) async throws -> Bool {
        let wanted = Set(deployment.replicas.map(\.replica))
        let unwanted = before.filter { !wanted.contains($0.replica) }
        for replica in unwanted {
            tell(.change(.init(service: replica.service, action: .stop, reason: "\(replica.replica) is no longer in mesh.yaml")))
            await supervisor.drain(replica.replica)
        }
        await withTaskGroup(of: Void.self) { group in
            for replica in unwanted { group.addTask { await self.supervisor.remove(replica.replica) } }
        }
        return !unwanted.isEmpty
    }

    /// Starts the replicas of one wave and waits until all are ready; true if any of them was not as it is wanted.
    private func startWave(
        _ wave: [ReplicaSpec], _ before: [ReplicaSnapshot], _ document: MeshDocument, _ started: inout [String],
        _ tell: @escaping @Sendable (UpEvent) -> Void
    ) async throws -> Bool {
        var changed = false
        let progress = WaveProgress(wave, tiers: document.tiers)
        var outdated: [ReplicaSpec] = []
        for spec in wave {
            let old = before.first { $0.replica == spec.replica }
            do {
                try await supervisor.start(spec)
            } catch {
                throw failure(of: spec, reason: "\(error)", error)
            }
            if old?.processID == nil {
                started.append(spec.replica)
                changed = true
            } else if await supervisor.snapshot(of: spec.replica)?.isOutdated == true {
                tell(.change(.init(service: spec.service, action: .restart, reason: "\(spec.replica) runs with what was said before")))
                outdated.append(spec)
                changed = true
            }
        }
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
        await restartInTurn(outdated)
        for snapshot in await supervisor.settled(wave.map(\.replica)) where snapshot.state != .ready {
            let spec = wave.first { $0.replica == snapshot.replica }
            throw failure(
                of: spec ?? wave[0], reason: snapshot.reason ?? snapshot.lastExit.map { "\($0)" } ?? "it did not get ready",
                saidBy: snapshot.instance)
        }
        reporting.cancel()
        await reporting.value
        for tier in progress.tiers(await supervisor.snapshot(), urls: gatewayURLs()) { tell(.tier(tier)) }
        return changed
    }

    /// Restarts replicas, of each service one after the other, so that the others answer meanwhile.
    ///
    /// Ends with the first of a service that does not come up: the others go on with what was said before.
    private func restartInTurn(_ outdated: [ReplicaSpec]) async {
        let supervisor = supervisor
        await withTaskGroup(of: Void.self) { group in
            for replicas in Dictionary(grouping: outdated, by: \.service).values {
                group.addTask {
                    for spec in replicas {
                        await supervisor.restart(spec.replica)
                        guard await supervisor.settled([spec.replica]).allSatisfy({ $0.state == .ready }) else { return }
                    }
                }
            }
        }
    }

    /// - Parameter instance: the incarnation that failed, if it came so far; the log has earlier ones too.
    private func failure(of spec: ReplicaSpec, reason: String, _ error: StartError? = nil, saidBy instance: InstanceID? = nil) -> UpFailure
    {
        var hint = "mesh logs --service \(spec.service)"
        var reason = reason
        if case .listen(let listening) = error, listening.isInUse, case .tcp(_, let port) = listening.address {
            reason = "can't listen: \(listening)"
            hint = "choose another port: PORT=\(port + 1) mesh up, or gateway.listen in mesh.yaml"
        }
        let folder = InstanceFolder(stateFolder: stateFolder.path, runtimeFolder: runtimeFolder.path, replica: spec.replica)
        return UpFailure(
            tier: spec.tier, service: spec.service, instance: spec.replica, reason: reason, hint: hint,
            output: instance.map { LogFile(path: folder.log).lastLines(5, of: $0.description).map(\.text) } ?? [])
    }

    /// What this `up` started is stopped again; what ran before goes on.
    private func rollBack(_ started: [String], wasRunning: Bool) async {
        let services = applied?.deployment.stopOrder ?? []
        if wasRunning {
            for replica in started { await supervisor.remove(replica) }
            phase = .degraded
        } else {
            await supervisor.stopAll(order: services)
            phase = .idle
        }
    }
}

/// How far the services of one wave have come, by tier.
private struct WaveProgress: Sendable {
    private let start = SystemClock.now()
    private let wanted: [(tier: String, service: String, replicas: Set<String>)]
    private let tierOrder: [String]

    init(_ wave: [ReplicaSpec], tiers: [String]) {
        tierOrder = tiers
        var wanted: [(tier: String, service: String, replicas: Set<String>)] = []
        for spec in wave {
            if let index = wanted.firstIndex(where: { $0.service == spec.service }) {
                wanted[index].replicas.insert(spec.replica)
            } else {
                wanted.append((spec.tier, spec.service, [spec.replica]))
            }
        }
        self.wanted = wanted
    }

    func tiers(_ replicas: [ReplicaSnapshot], urls: [String]) -> [TierProgress] {
        let ready = Set(replicas.filter { $0.state == .ready }.map(\.replica))
        let seconds = (SystemClock.now() - start).seconds
        return tierOrder.reversed().compactMap { tier in
            let services = wanted.filter { $0.tier == tier }.map {
                ServiceProgress(service: $0.service, ready: $0.replicas.intersection(ready).count, wanted: $0.replicas.count)
            }
            guard !services.isEmpty else { return nil }
            let isDone = services.allSatisfy { $0.ready == $0.wanted }
            let hasGateway = services.contains { $0.service == MeshDocument.gatewayName }
            return TierProgress(
                tier: tier, services: services, urls: hasGateway && isDone ? urls : [], isDone: isDone,
                // Rounded while it is counted, so that only a change of a count is news.
                seconds: isDone ? seconds : 0)
        }
    }
}
