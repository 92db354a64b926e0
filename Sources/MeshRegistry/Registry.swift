package import MeshModel

/// Who is where, as one mesh knows it.
///
/// Invariants: an endpoint is listed only while its instance is ready or draining, or is being replaced behind a socket that stays; one replica has at most one instance;
/// `revision` grows with every change that a caller can see, and with no other.
package struct Registry: Sendable {
    /// One ready instance and the place that it fills.
    package struct Entry: Hashable, Sendable {
        package var service: String
        /// The name of the place: `inventory-2`. A new process in it is another instance.
        package var replica: String
        package var endpoint: Endpoint

        package init(service: String, replica: String, endpoint: Endpoint) {
            self.service = service
            self.replica = replica
            self.endpoint = endpoint
        }
    }

    package private(set) var revision: UInt64
    private var entries: [String: Entry] = [:]

    /// - Parameter revision: where to go on from, so that a daemon that comes back never hands out a lower one.
    package init(after revision: UInt64 = 0) {
        self.revision = revision
    }

    /// An instance became ready, or what is known of it changed; true when callers have to be told.
    package mutating func becameReady(_ entry: Entry) -> Bool {
        guard entries[entry.replica] != entry else { return false }
        entries[entry.replica] = entry
        revision += 1
        return true
    }

    /// The instance ends soon: it keeps the calls that it has and gets no new ones, unless nobody else could take them.
    package mutating func startedDraining(replica: String) -> Bool {
        guard let entry = entries[replica], !entry.endpoint.draining, hasPeer(entry) else { return false }
        entries[replica]?.endpoint.draining = true
        revision += 1
        return true
    }

    /// The instance ended; one that is started again at once, and has no peer, stays listed: its socket takes calls meanwhile.
    package mutating func ended(replica: String, isStartedAgain: Bool) -> Bool {
        guard let entry = entries[replica] else { return false }
        if isStartedAgain, !hasPeer(entry) { return false }
        return wentAway(replica: replica)
    }

    /// The replica has no ready instance any more; `instance` guards against news of an earlier process of the same replica.
    package mutating func wentAway(replica: String, instance: InstanceID? = nil) -> Bool {
        guard let entry = entries[replica], instance == nil || entry.endpoint.instance == instance else { return false }
        entries[replica] = nil
        revision += 1
        return true
    }

    /// Something else that callers see has changed, such as a policy.
    package mutating func policyChanged() { revision += 1 }

    /// In the order of the replicas' names, so that equal registries give equal snapshots.
    package func endpoints(of service: String) -> [Endpoint] {
        entries.values.filter { $0.service == service }.sorted { $0.replica < $1.replica }.map(\.endpoint)
    }

    /// Another that takes calls.
    private func hasPeer(_ entry: Entry) -> Bool {
        entries.values.contains { $0.service == entry.service && $0.replica != entry.replica && !$0.endpoint.draining }
    }

    package func entry(replica: String) -> Entry? { entries[replica] }
}
