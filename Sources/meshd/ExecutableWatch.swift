import MeshModel

/// Decides when a file that is being watched has become another one, and is whole.
///
/// Invariant: a file is told of only when it has stayed the same for `settlesAfter`, and nobody has it open for writing.
struct ExecutableWatch: Sendable {
    static let settlesAfter = Timespan.seconds(1)

    /// What tells one state of a file from another.
    struct Sight: Hashable, Sendable {
        var device: UInt64
        var inode: UInt64
        var size: Int64
        /// Nanoseconds since 1970.
        var changedAt: Int64
        var isBeingWritten = false

        /// The same, but for whether somebody writes.
        fileprivate func isSame(as other: Sight) -> Bool {
            (device, inode, size, changedAt) == (other.device, other.inode, other.size, other.changedAt)
        }
    }

    private struct File: Sendable {
        /// What was told last, or seen first.
        var known: Sight
        /// What it is turning into, and since when.
        var pending: (sight: Sight, since: Instant)?
    }

    private var files: [String: File] = [:]

    /// - Parameter sights: all files that are watched; one that is missing just now, as between two links, is nil.
    /// - Returns: those that have become another one since they were told of last, sorted.
    mutating func saw(_ sights: [String: Sight?], _ now: Instant) -> [String] {
        var changed: [String] = []
        files = files.filter { sights.keys.contains($0.key) }
        for (path, sight) in sights {
            guard let sight else {
                files[path]?.pending = nil
                continue
            }
            guard var file = files[path] else {
                files[path] = File(known: sight)
                continue
            }
            if file.known.isSame(as: sight) {
                file.pending = nil
            } else if let pending = file.pending, pending.sight.isSame(as: sight) {
                if !sight.isBeingWritten, now - pending.since >= Self.settlesAfter {
                    file = File(known: sight)
                    changed.append(path)
                }
            } else {
                file.pending = (sight, now)
            }
            files[path] = file
        }
        return changed.sorted()
    }
}
