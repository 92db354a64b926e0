import CMeshSystem
import Glibc

/// Waits for the end of a process, which need not be a child of this one.
///
/// A zombie has ended: its parent may take seconds to reap it. Pinned by a pidfd, so that a reused number is not waited for.
final class ProcessWatch: Sendable {
    let process: pid_t
    private let descriptor: Int32

    /// Nil where there is no such process any more.
    init?(_ process: pid_t) {
        guard process > 0 else { return nil }
        descriptor = mesh_pidfd_open(process)
        guard descriptor >= 0 else { return nil }
        self.process = process
    }

    deinit { close(descriptor) }

    /// False when it has not ended after so many seconds.
    func waitForEnd(within seconds: Double) -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            let left = (deadline - ContinuousClock.now) / .milliseconds(1)
            var query = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let found = poll(&query, 1, Int32(max(0, left.rounded(.up))))
            if found > 0 { return true }
            if found == 0 || errno != EINTR { return false }
        }
    }
}
