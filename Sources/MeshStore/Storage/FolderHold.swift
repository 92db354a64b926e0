import Foundation
internal import Glibc

/// The right to write traces into a folder, which only one process has at a time; given back with the value, or by the kernel when
/// the process ends.
final class FolderHold {
    enum Failure: Error, Hashable, CustomStringConvertible {
        case taken(folder: String)
        case full
        case unwritable

        var description: String {
            switch self {
            case .taken(let folder): "\(folder) is written to by another mesh: give each its own traces.store.path"
            case .full: "the disk is full: free some space, or lower traces.store.max"
            case .unwritable: "the traces folder cannot be written: check its permissions and its file system"
            }
        }
    }

    private let descriptor: Int32

    /// Makes the folder where there is none.
    init(_ folder: String) throws(Failure) {
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let opened = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw errno == ENOSPC || errno == EDQUOT ? Failure.full : Failure.unwritable }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(opened)
            throw .taken(folder: folder)
        }
        descriptor = opened
    }

    deinit { Glibc.close(descriptor) }
}
