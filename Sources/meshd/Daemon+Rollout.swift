import Logging
import MeshAdminAPI
import MeshControlProtocol
import MeshModel
import MeshRegistry
import MeshSupervision

/// Carrying out rollouts: `Rollout` says what to do, here it is done.
extension Daemon {
    /// Why a group did not come to what is wanted.
    struct RolloutFailure: Error {
        var group: ReplicaGroup
        /// The replica that failed, where one did.
        var replica: String?
        /// The incarnation of it that did; the log has earlier ones too.
        var instance: InstanceID?
        var reason: String
        /// Why it could not even be tried.
        var startError: StartError?
    }

    /// What is remembered of a rollout under way beside what can be seen of its replicas.
    private struct Run {
        var rollout: Rollout
        var traffic = RolloutTraffic()
        var started: Set<String> = []
    }

    /// A service that hangs is noticed this often.
    private static let lookEvery = Timespan.seconds(1)
    private static let longestGathering = Timespan.milliseconds(50)
    /// For callers to say that they know of a change; one that does not answer must not hold up the others for ever, but what it sends
    /// to a replica that is gone is lost.
    private static let longestNotice = Timespan.seconds(3)

    /// Brings the replicas of one group to what is wanted of them, and waits until they are.
    ///
    /// - Parameter isReturn: what is wanted has served before: it need not be tried out, and what it replaces is not worth keeping.
    /// - Throws: `RolloutFailure`, with the old replicas serving as far as the policy allows; `CancellationError`.
    func rollOut(
        _ group: ReplicaGroup, isReturn: Bool = false, tell: @escaping @Sendable (UpEvent) -> Void = { _ in }
    ) async throws {
        let before = await supervisor.snapshot().filter(group.has)
        var policy = group.policy
        if isReturn { (policy.strategy, policy.maxSurge) = (.rolling, .count(group.wanted)) }
        var run = Run(rollout: Rollout(wanted: group.wanted, policy: policy, isNewVersion: !isReturn && isNewVersion(of: group, before)))
        // The old ones are not called any more when the new ones are: what they answered until then is what counts.
        if case .blueGreen = policy.strategy { run.traffic.begin(at: SystemClock.now()) }
        for replica in before where isCurrent(replica, in: group) { try await start(replica.replica, of: group) }
        while true {
            try Task.checkCancellation()
            let seen = await supervisor.changes
            let replicas = await supervisor.snapshot().filter(group.has)
            let (stage, uncompared) = (run.rollout.stage, run.rollout.uncompared)
            let decision = run.rollout.decide(replicas.map { describe($0, in: group, &run) }, SystemClock.now())
            if case .canary = policy.strategy { tellStage(run.rollout, since: stage, uncompared, of: group, tell) }
            switch decision {
            case .done:
                await endTrial(of: group, replicas)
                FaultPoint.rolloutDone.passed()
                return
            case .abort(let reason):
                let standBy = replicas.filter { !isCurrent($0, in: group) && rollouts.held.contains($0.replica) && $0.state == .ready }
                if !standBy.isEmpty { await release(standBy.map(\.replica), in: group) }
                await withdraw(replicas.filter { isCurrent($0, in: group) }, of: group)
                let failed = replicas.first { reason.hasPrefix($0.replica + ": ") }
                throw RolloutFailure(group: group, replica: failed?.replica, instance: failed?.instance, reason: reason)
            case .proceed(let steps, let wakeAt):
                for step in steps { try await carryOut(step, for: group, &run) }
                if steps.isEmpty {
                    await supervisor.changed(since: seen, by: min(wakeAt ?? .distantFuture, SystemClock.now() + Self.lookEvery))
                    // One look at many serves what happens to many in a moment.
                    try await SystemClock.sleep(
                        until: SystemClock.now() + min(Self.longestGathering, .microseconds(250) * Int64(replicas.count)))
                }
            }
        }
    }

    private func isCurrent(_ replica: ReplicaSnapshot, in group: ReplicaGroup) -> Bool {
        replica.specification.mayGoOn(as: group.spec(replica.replica))
    }

    /// Whether anything that lives is to be replaced by something else, and not only by another process.
    private func isNewVersion(of group: ReplicaGroup, _ replicas: [ReplicaSnapshot]) -> Bool {
        replicas.contains { $0.processID != nil && !$0.specification.isSameVersion(as: group.spec($0.replica)) }
    }

    private func describe(_ replica: ReplicaSnapshot, in group: ReplicaGroup, _ run: inout Run) -> Rollout.Replica {
        let isCurrent = isCurrent(replica, in: group)
        let condition: Rollout.Replica.Condition
        if rollouts.paused.contains(replica.replica), !isCurrent {
            condition = replica.state == .stopped ? .stopped : .stopping
        } else if rollouts.leaving.contains(replica.replica) || replica.state == .draining {
            condition = .leaving
        } else if replica.hasFailed || replica.state == .crashLoop || run.started.contains(replica.replica) && replica.restarts > 1 {
            condition = .failed(replica.reason ?? replica.lastExit.map { "\($0)" } ?? "it did not get ready")
        } else if let since = replica.readySince {
            condition = .ready(since: since)
        } else if replica.state == .stopped, !isCurrent {
            condition = .stopped
        } else {
            condition = replica.state == .starting ? .starting : .unready
        }
        let traffic = replica.instance.flatMap { instance in
            run.traffic.of(
                instance, isNew: isCurrent, told: self.traffic.inbound(of: instance), tells: publisher.connection(of: instance) != nil,
                now: SystemClock.now())
        }
        return Rollout.Replica(
            name: replica.replica, isCurrent: isCurrent, condition: condition, isHeld: rollouts.held.contains(replica.replica),
            traffic: traffic)
    }

    private func tellStage(
        _ rollout: Rollout, since stage: Rollout.Stage?, _ uncompared: Int, of group: ReplicaGroup,
        _ tell: @Sendable (UpEvent) -> Void
    ) {
        if rollout.uncompared > uncompared {
            tell(.warning(.init(message: "\(group.label): too few calls came to compare the new version with the old one; it goes on")))
        }
        guard let now = rollout.stage, now != stage else { return }
        tell(
            .stage(
                .init(
                    service: group.label, share: now.share, step: now.step, steps: now.steps,
                    seconds: max(0, (now.until - SystemClock.now()).seconds))))
    }

    // MARK: Steps

    private func carryOut(_ step: Rollout.Step, for group: ReplicaGroup, _ run: inout Run) async throws {
        switch step {
        case .start(let count, let held):
            let taken = Set(await supervisor.snapshot().map(\.replica)).union(rollouts.leaving)
            let names = group.freeNames(count, taken: taken)
            run.started.formUnion(names)
            if held { rollouts.held.formUnion(names) }
            for name in names { try await start(name, of: group, admission: held ? .none : .all) }
        case .release(let names):
            await release(names, in: group)
        case .hold(let names):
            await hold(names)
        case .share(let share?):
            let current = await supervisor.snapshot().filter { group.has($0) && isCurrent($0, in: group) }
            await supervisor.admit(current.filter { !rollouts.held.contains($0.replica) }.map(\.replica), to: .share(share))
            let canary = RolloutState.Canary(
                service: group.service, version: group.version, share: share, instances: Set(current.compactMap(\.instance)))
            if rollouts.setCanary(canary, of: group.label) { revise(andPublish: .sharePublished) }
            run.traffic.begin(at: SystemClock.now())
        case .share(nil):
            await endTrial(of: group, await supervisor.snapshot().filter(group.has))
        case .retire(let names):
            rollouts.leaving.formUnion(names)
            for name in names { Task { await retire(name, drain: group.policy.drain) } }
        case .stop(let names):
            rollouts.paused.formUnion(names)
            for name in names {
                await announce(endOf: name, drain: group.policy.drain)
                await supervisor.stop(name)
            }
        case .startAgain(let names):
            for name in names { try await start(name, of: group) }
            rollouts.paused.subtract(names)
        }
    }

    private func start(_ name: String, of group: ReplicaGroup, admission: Admission = .all) async throws {
        var spec = group.spec(name)
        spec.program = builds.otherPlace(of: spec.build, at: group.executable, path: spec.environment["PATH"])
        do {
            try await supervisor.start(spec, admission: admission)
        } catch {
            throw RolloutFailure(group: group, replica: name, reason: "\(error)", startError: error)
        }
    }

    /// From now on these get calls.
    private func release(_ names: [String], in group: ReplicaGroup) async {
        await supervisor.admit(names, to: rollouts.canaries[group.label].map { .share($0.share) } ?? .all)
        rollouts.held.subtract(names)
        var changed = false
        for name in names {
            guard let replica = await supervisor.snapshot(of: name), replica.state == .ready else { continue }
            changed = registry.becameReady(Registry.Entry(replica)) || changed
        }
        if changed { publish() }
        FaultPoint.releasePublished.passed()
    }

    /// From now on these get no calls more from those who have another to turn to.
    private func hold(_ names: [String]) async {
        await supervisor.admit(names, to: .none)
        rollouts.held.formUnion(names)
        var changed = false
        for name in names { changed = registry.startedDraining(replica: name) || changed }
        if changed { publish() }
        FaultPoint.holdPublished.passed()
    }

    /// All replicas get as many calls as any other, and what the next daemon would find says so.
    private func endTrial(of group: ReplicaGroup, _ replicas: [ReplicaSnapshot]) async {
        let shared = replicas.filter { if case .share = $0.admission { true } else { false } }
        if !shared.isEmpty { await supervisor.admit(shared.map(\.replica), to: .all) }
        if rollouts.setCanary(nil, of: group.label) { revise(andPublish: .sharePublished) }
    }

    /// What turned out to be no good gets no call more from anybody who has another to turn to.
    private func withdraw(_ replicas: [ReplicaSnapshot], of group: ReplicaGroup) async {
        await supervisor.admit(replicas.map(\.replica), to: .none)
        var changed = rollouts.setCanary(nil, of: group.label)
        if changed { revise() }
        for replica in replicas { changed = registry.startedDraining(replica: replica.replica) || changed }
        if changed { publish() }
    }

    private func revise(andPublish point: FaultPoint) {
        revise()
        publish()
        point.passed()
    }

    /// Takes one replica out: known to all callers as draining, then told to finish, then ended.
    func retire(_ name: String, drain: Timespan) async {
        rollouts.leaving.insert(name)
        await announce(endOf: name, drain: drain)
        await supervisor.remove(name)
        if registry.wentAway(replica: name) { publish() }
        rollouts.held.remove(name)
        rollouts.leaving.remove(name)
        rollouts.paused.remove(name)
    }

    /// All callers know of it as draining, those aside who have no other; then it is told to finish.
    private func announce(endOf name: String, drain: Timespan) async {
        await supervisor.drain(name)
        if registry.startedDraining(replica: name) {
            publish()
            FaultPoint.drainPublished.passed()
            await callersCaughtUp()
        }
        if let instance = await supervisor.snapshot(of: name)?.instance {
            publisher.connection(of: instance)?.send(.drain(Drain(within: drain)))
            FaultPoint.drainSent.passed()
        }
    }

    /// Waits until every instance has said that it knows what it was told last.
    private func callersCaughtUp() async {
        let deadline = SystemClock.now() + Self.longestNotice
        while !publisher.isCaughtUp, SystemClock.now() < deadline {
            try? await SystemClock.sleep(until: SystemClock.now() + .milliseconds(2))
        }
    }
}
