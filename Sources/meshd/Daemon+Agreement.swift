import MeshAdminAPI
import MeshModel
import MeshSupervision

/// Other rules hold for all instances, or for none: whoever refuses them, or does not answer, brings the old ones back everywhere.
extension Daemon {
    /// For every ready instance to say that it follows what it was told; a busy one needs a fraction of it.
    static let longestAgreement = Timespan.seconds(3)
    /// How long after its start a daemon waits for the instances of the one before it to come back: their longest pause between two
    /// tries, and one for the way.
    static let longestReturn = Timespan.seconds(6)
    private static let lookEvery = Timespan.milliseconds(5)

    /// Waits until every instance that an earlier daemon left is connected, so that what is said next reaches all. One that never
    /// speaks to a daemon is waited for once.
    func instancesReturned() async {
        while !returning.isEmpty, SystemClock.now() < returnsUntil {
            try? await SystemClock.sleep(until: SystemClock.now() + Self.lookEvery)
        }
        returning = []
    }

    /// Waits until every instance that is ready now follows the rules that it was told last; one that ends meanwhile is not waited for.
    ///
    /// - Throws: `UpFailure` about the first that refused them, or did not answer in time.
    func agree() async throws(UpFailure) {
        guard !publisher.behind.isEmpty else { return }
        let deadline = SystemClock.now() + Self.longestAgreement
        var ready: [InstanceID: ReplicaSnapshot] = [:]
        for replica in await supervisor.snapshot() where replica.state == .ready {
            ready[replica.instance ?? .init(high: 0, low: 0)] = replica
        }
        while true {
            let behind = publisher.behind.filter { ready[$0.instance] != nil }
            guard let first = behind.first else { return }
            if let refusing = behind.first(where: { $0.refusal != nil }) {
                throw dissent(of: ready[refusing.instance]!, "refuses the new rules: \(refusing.refusal ?? "")")
            }
            if SystemClock.now() >= deadline {
                throw dissent(
                    of: ready[first.instance]!, "has not answered to the new rules within \(Int64(Self.longestAgreement.seconds)) s")
            }
            try? await SystemClock.sleep(until: SystemClock.now() + Self.lookEvery)
        }
    }

    private func dissent(of replica: ReplicaSnapshot, _ reason: String) -> UpFailure {
        UpFailure(
            tier: replica.tier, service: replica.service, instance: replica.replica,
            reason: "\(reason); the old ones hold for all", hint: "mesh logs --service \(replica.service)")
    }
}
