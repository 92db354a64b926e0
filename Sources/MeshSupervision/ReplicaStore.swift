internal import Foundation
package import MeshModel

/// What a daemon that comes back must know of a replica, on disk: kept in `replica.json` of its folder.
package struct StoredReplica: Hashable, Sendable, Codable {
    /// What the incarnation that lives was started from.
    package var running: ReplicaSpec
    package var wanted: ReplicaSpec
    package var isWanted: Bool
    /// As bound, in the order of `listen`.
    package var addresses: [SocketAddress]
    /// Nil where an older daemon wrote it.
    package var past: ReplicaMachine.Past?
    /// Nil where an older daemon wrote it.
    package var admission: Admission?

    package func save(to folder: InstanceFolder) throws(SystemError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let data = try? encoder.encode(self) else { throw SystemError("encoding \(folder.wanted)", code: EINVAL) }
        try Files.replace(folder.wanted, with: [UInt8](data))
    }

    /// Nil if there is none, or if it can't be read.
    package static func load(from folder: InstanceFolder) -> StoredReplica? {
        try? JSONDecoder().decode(StoredReplica.self, from: Data(Files.read(folder.wanted)))
    }
}
