internal import CMeshSystem
internal import Glibc
internal import MeshLimits
internal import MeshModel

/// The first and the last that a daemon does.
extension Supervisor {
    package struct Adoption: Hashable, Sendable {
        package var replica: String
        /// Nil if the slot could not be taken in.
        package var snapshot: ReplicaSnapshot?
        /// It was to run, and nothing of it lives: it ended while no daemon looked.
        package var isLost = false
        /// How what is lost ended; nil where nobody saw it, as when the machine went down.
        package var exit: ExitReport?
        package var problem: String?
    }

    /// Takes in every replica of the state folder: what lives goes on under its shim, or under a new one if that was lost.
    ///
    /// What is wanted and died meanwhile is started again if `startsDead`; otherwise (for `mesh down`) it stays stopped.
    package func adopt(startsDead: Bool) async -> [Adoption] {
        var adoptions: [Adoption] = []
        for replica in Files.names(in: configuration.stateFolder + "/instances") {
            let folder = folder(replica)
            guard slots[replica] == nil, InstanceFolder.problem(withReplicaName: replica) == nil,
                let stored = StoredReplica.load(from: folder)
            else { continue }
            let slot = Slot(spec: stored.wanted, stored: stored, folder: folder, launchTimeout: configuration.launchTimeout)
            var adoption = Adoption(replica: replica)
            do {
                try folder.make()
                try await open(slot, wanted: stored.isWanted)
                if !slot.machine.mayLive {
                    adoption.isLost = stored.isWanted
                    adoption.exit = stored.isWanted ? ShimRecord.read(folder).end : nil
                    apply(slot.machine.foundDead(adoption.exit, SystemClock.now(), wanted: stored.isWanted && startsDead), to: slot)
                }
                adoption.snapshot = snapshot(of: replica)
            } catch {
                adoption.problem = "\(error)"
            }
            adoptions.append(adoption)
        }
        configuration.groups.division?.removeDeserted()
        return adoptions
    }

    /// Ends a replica and its shim, and removes the slot: neither process nor socket is left. Its log and record stay.
    ///
    /// `atOnce`: without the grace.
    package func remove(_ replica: String, atOnce: Bool = false) async {
        await wait(until: .distantFuture) { $0[replica]?.isBusy != true }
        guard let slot = slots[replica] else { return }
        if atOnce { slot.machine.adoptPolicies(probes: slot.spec.probes, restart: slot.spec.restart, stopGrace: .zero) }
        apply(slot.machine.stopRequested(SystemClock.now()), to: slot)
        // One that is in its grace already isn't told to stop again.
        if atOnce { slot.client?.send(.signal(SIGKILL)) }
        FaultPoint.stopSent.passed()
        // The shim kills after the grace, the machine two seconds later.
        let deadline = SystemClock.now() + slot.spec.stopGrace + .seconds(Int64(6))
        let stopped = await wait(until: deadline) { $0[replica].map { $0 !== slot || !$0.machine.mayLive } ?? true }
        guard isCurrent(slot), !slot.isBusy else { return }
        slot.isBusy = true
        if let client = slot.client {
            slot.client = nil
            client.send(.exit)
            await client.end(by: SystemClock.now() + .seconds(Int64(3)))
        }
        slot.letGo()
        if !stopped { await endByForce(slot) }
        FaultPoint.shimEnded.passed()
        if let instance = slot.instance, let division = configuration.groups.division {
            // Its shim has done so, unless it was lost.
            division.removeTree(division.group(replica: replica, instance: "\(instance)"))
        }
        for path in [
            slot.folder.shimSocket, slot.folder.serviceSocket, slot.folder.standardOutput, slot.folder.standardError, slot.folder.wanted,
            slot.folder.specification,
        ] {
            Files.remove(path)
        }
        for case .unix(let path) in slot.addresses { Files.remove(path) }
        FaultPoint.replicaRemoved.passed()
        slots[replica] = nil
        slot.isBusy = false
        tellWatchers()
    }

    /// Whatever carries the incarnation's id in its environment.
    private func endByForce(_ slot: Slot) async {
        guard let instance = slot.instance else { return }
        let deadline = SystemClock.now() + .seconds(Int64(3))
        while mesh_signal_marked("MESH_INSTANCE=\(instance)", SIGKILL) > 0, SystemClock.now() < deadline {
            try? await SystemClock.sleep(until: SystemClock.now() + .milliseconds(5))
        }
    }

    /// Ends everything, wave after wave, callers first (`StartPlan.stopOrder`); what is in no wave ends last.
    ///
    /// Bounded by the graces of the waves. `progress` hears of every replica that is gone.
    package func stopAll(order: [[String]], atOnce: Bool = false, progress: @Sendable (String) -> Void = { _ in }) async {
        for wave in order + [Array(Set(slots.values.map(\.spec.service)))] {
            let replicas = slots.values.filter { wave.contains($0.spec.service) }.map(\.spec.replica).sorted()
            await withTaskGroup(of: String.self) { group in
                for replica in replicas {
                    group.addTask {
                        await self.remove(replica, atOnce: atOnce)
                        return replica
                    }
                }
                for await replica in group { progress(replica) }
            }
        }
    }
}
