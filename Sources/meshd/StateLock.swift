import Foundation

/// The ownership of a state folder: a lock that ends with its process, however that ends.
///
/// Invariant: one daemon at a time works on a state folder.
final class StateLock: Sendable {
    private let descriptor: Int32

    enum Failure: Error {
        /// Another daemon has it.
        case taken
        case unusable(reason: String)
    }

    /// Takes the lock, waiting up to `patience` for a daemon that is just ending.
    init(path: String, patience: Duration = .seconds(2)) throws(Failure) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .unusable(reason: "\(path): \(String(cString: strerror(errno)))") }
        let end = ContinuousClock.now + patience
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK, ContinuousClock.now < end else {
                close(descriptor)
                throw .taken
            }
            usleep(20_000)
        }
    }

    deinit { close(descriptor) }
}
