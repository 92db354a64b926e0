internal import CMeshSystem
internal import Glibc
package import MeshModel

/// One process, pinned: its number may be reused, this never means another.
package final class ProcessHandle: Sendable {
    package let processID: Int32
    private let descriptor: Int32

    /// Nil if no such process runs, or if the one with that number started at another time (in clock ticks since boot).
    package init?(processID: Int32, startTime: Int64) {
        descriptor = mesh_pidfd_open_checked(processID, startTime)
        self.processID = processID
        if descriptor < 0 { return nil }
    }

    /// Pins a child of this process that nobody has reaped.
    package init?(child processID: Int32) {
        descriptor = mesh_pidfd_open(processID)
        self.processID = processID
        if descriptor < 0 { return nil }
    }

    deinit {
        Reactor.shared.forget(descriptor)
        close(descriptor)
    }

    package func signal(_ number: Int32) { _ = mesh_pidfd_send_signal(descriptor, number) }
    /// Signals the process group that this process leads.
    package func signalGroup(_ number: Int32) { _ = mesh_pidfd_signal_group(descriptor, processID, number) }

    /// Waits for its end, and reaps it if it is our child; nil if it still runs at the deadline.
    ///
    /// One waiter at a time.
    package func ended(by deadline: Instant = .distantFuture) async -> End? {
        guard await Reactor.shared.wait(descriptor, for: .readable, until: deadline) == .ready else { return nil }
        var status: Int32 = 0
        guard mesh_reap(descriptor, &status) == 1 else { return .unknown }
        return status & 0x7f == 0 ? .code(status >> 8 & 0xff) : .signal(status & 0x7f)
    }

    package enum End: Hashable, Sendable {
        case code(Int32)
        case signal(Int32)
        case unknown
    }

    package static func startTime(of processID: Int32) -> Int64? {
        let time = mesh_process_start_time(processID)
        return time < 0 ? nil : time
    }

    package static let boot: String = {
        var text = [CChar](repeating: 0, count: 37)
        guard mesh_boot_id(&text) == 0 else { return "" }
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }()
}
