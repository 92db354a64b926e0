package import MeshModel

/// How long and how much is kept: `traces.store` of mesh.yaml.
package struct Retention: Hashable, Sendable {
    /// `for`
    package var age: Timespan
    /// `max`, in bytes.
    package var bytes: Int64

    package init(age: Timespan = .seconds(86_400), bytes: Int64 = 1_000_000_000) {
        self.age = age
        self.bytes = bytes
    }

    /// What one file holds at most, so that dropping files keeps to the bound without losing much at once.
    var partitionBytes: Int64 { max(1 << 20, bytes / 8) }
    static let partitionAge = Timespan.seconds(3_600)

    struct Stored: Hashable {
        var name: PartitionName
        var bytes: Int64
    }

    /// Whether writing should go on in a new file.
    func isFull(created: Int64, bytes: Int64, now: UnixTime) -> Bool {
        let seconds = now.nanoseconds / 1_000_000_000
        let hour = Self.partitionAge.nanoseconds / 1_000_000_000
        // A clock that was set back by hours must not keep a file open for ever.
        return bytes >= partitionBytes || seconds / hour > created / hour || seconds < created - hour
    }

    /// The files to drop, oldest first; never the newest, which is being written.
    ///
    /// A file's traces end where the next file begins.
    func expired(_ stored: [Stored], now: UnixTime) -> [PartitionName] {
        let ordered = stored.sorted { $0.name < $1.name }
        var total = ordered.reduce(0) { $0 + $1.bytes }
        var dropped: [PartitionName] = []
        let oldest = now.nanoseconds / 1_000_000_000 - age.nanoseconds / 1_000_000_000
        for (file, next) in zip(ordered, ordered.dropFirst()) {
            guard next.name.created < oldest || total > bytes else { break }
            dropped.append(file.name)
            total -= file.bytes
        }
        return dropped
    }
}
