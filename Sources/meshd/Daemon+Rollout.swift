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

    /// A canary is judged, and a service that hangs is noticed, this often.
    private static let lookEvery = Timespan.seconds(1)
    /// For callers to say that they know of a change; one that does not answer must not hold up the others.
    private static let longestNotice = Timespan.seconds(1)

    /// Brings the replicas of one group to what is wanted of them, and waits until they are.
    ///
    /// - Parameter isReturn: what is wanted has served before: it need not be tried out, and what it replaces is not worth keeping.
    /// - Throws: `RolloutFailure`, with the old replicas serving as far as the policy allows; `CancellationError`.
    func rollOut(_ group: ReplicaGroup, isReturn: Bool = false) async throws {
        var policy = group.policy
        if isReturn { (policy.strategy, policy.maxSurge) = (.rolling, .count(group.wanted)) }
        var rollout = Rollout(wanted: group.wanted, policy: policy)
        var started: Set<String> = []
        for replica in await supervisor.snapshot() where group.has(replica) && isCurrent(replica, in: group) {
            try await start(replica.replica, of: group)
        }
        while true {
            try Task.checkCancellation()
            let seen = await supervisor.changes
            let replicas = await supervisor.snapshot().filter(group.has)
            switch rollout.decide(replicas.map { describe($0, in: group, started: started) }, SystemClock.now()) {
            case .done: return
            case .abort(let reason):
                rollouts.canaries[group.service] = nil
                let failed = replicas.first { reason.hasPrefix($0.replica + ": ") }
                throw RolloutFailure(group: group, replica: failed?.replica, instance: failed?.instance, reason: reason)
            case .proceed(let steps, let wakeAt):
                for step in steps { try await carryOut(step, for: group, &started) }
                if steps.isEmpty {
                    await supervisor.changed(since: seen, by: min(wakeAt ?? .distantFuture, SystemClock.now() + Self.lookEvery))
                }
            }
        }
    }

    private func isCurrent(_ replica: ReplicaSnapshot, in group: ReplicaGroup) -> Bool {
        replica.specification.mayGoOn(as: group.spec(replica.replica))
    }

    private func describe(_ replica: ReplicaSnapshot, in group: ReplicaGroup, started: Set<String>) -> Rollout.Replica {
        let condition: Rollout.Replica.Condition
        if rollouts.leaving.contains(replica.replica) || replica.state == .draining {
            condition = .leaving
        } else if replica.hasFailed || replica.state == .crashLoop || started.contains(replica.replica) && replica.restarts > 1 {
            condition = .failed(replica.reason ?? replica.lastExit.map { "\($0)" } ?? "it did not get ready")
        } else if let since = replica.readySince {
            condition = .ready(since: since)
        } else {
            condition = replica.state == .starting ? .starting : .unready
        }
        return Rollout.Replica(
            name: replica.replica, isCurrent: isCurrent(replica, in: group), condition: condition,
            isHeld: rollouts.held.contains(replica.replica))
    }

    private func carryOut(_ step: Rollout.Step, for group: ReplicaGroup, _ started: inout Set<String>) async throws {
        switch step {
        case .start(let count, let held):
            let taken = Set(await supervisor.snapshot().map(\.replica)).union(rollouts.leaving)
            let names = group.freeNames(count, taken: taken)
            started.formUnion(names)
            if held { rollouts.held.formUnion(names) }
            for name in names { try await start(name, of: group) }
        case .release(let names):
            rollouts.held.subtract(names)
            var changed = false
            for name in names {
                guard let replica = await supervisor.snapshot(of: name), replica.state == .ready else { continue }
                changed = registry.becameReady(Registry.Entry(replica)) || changed
            }
            if changed { publish() }
        case .share(let share):
            let current = await supervisor.snapshot().filter { group.has($0) && isCurrent($0, in: group) }
            rollouts.canaries[group.service] = share.map { .init(share: $0, instances: Set(current.compactMap(\.instance))) }
            registry.policyChanged()
            publish()
        case .retire(let names):
            rollouts.leaving.formUnion(names)
            for name in names { Task { await retire(name, drain: group.policy.drain) } }
        }
    }

    private func start(_ name: String, of group: ReplicaGroup) async throws {
        var spec = group.spec(name)
        spec.program = builds.otherPlace(of: spec.build, at: group.executable, path: spec.environment["PATH"])
        do {
            try await supervisor.start(spec)
        } catch {
            throw RolloutFailure(group: group, replica: name, reason: "\(error)", startError: error)
        }
    }

    /// Takes one replica out: known to all callers as draining, then told to finish, then ended.
    func retire(_ name: String, drain: Timespan) async {
        rollouts.leaving.insert(name)
        await supervisor.drain(name)
        if registry.startedDraining(replica: name) {
            publish()
            await callersCaughtUp()
        }
        if let instance = await supervisor.snapshot(of: name)?.instance {
            publisher.connection(of: instance)?.send(.drain(Drain(within: drain)))
        }
        await supervisor.remove(name)
        if registry.wentAway(replica: name) { publish() }
        rollouts.held.remove(name)
        rollouts.leaving.remove(name)
    }

    /// Waits until every instance has said that it knows what it was told last.
    private func callersCaughtUp() async {
        let deadline = SystemClock.now() + Self.longestNotice
        while !publisher.isCaughtUp, SystemClock.now() < deadline {
            try? await SystemClock.sleep(until: SystemClock.now() + .milliseconds(2))
        }
    }
}
