/// Which calls a replica gets while a rollout goes on.
///
/// It is kept on disk with the replica, so that a daemon that comes back in the middle tells callers what the one before told them.
package enum Admission: Hashable, Sendable, Codable {
    /// As many as any other.
    case all
    /// None yet, or none any more.
    case none
    /// This share goes to the replicas that have the same one.
    case share(Double)
}
