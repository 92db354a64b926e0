internal import CMeshSystem
import Foundation
internal import Glibc
import MeshModel

/// The line from a process to the daemon's collector of spans: hands the memory over when it stands, and calls when a ring fills up.
///
/// Invariant: a thread of its own waits on it; `call` may come from any thread, and never waits for the daemon.
final class SpanLine: @unchecked Sendable {
    private static let firstRetry = Timespan.milliseconds(50)
    private static let longestRetry = Timespan.seconds(5)

    private struct State {
        var descriptor: Int32?
        var isRunning = false
        var isEnding = false
    }

    private let path: String
    private let greeting: [UInt8]
    private let memory: SharedMemory
    private let state = Guarded(State())
    /// Ends a wait.
    private let bell: Int32

    init(path: String, origin: SpanOrigin, memory: SharedMemory) {
        self.path = path
        self.memory = memory
        greeting = origin.encoded()
        bell = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    }

    deinit { close(bell) }

    func start() {
        let isFirst = state.withLock { state in
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard isFirst else { return }
        let thread = Thread { [self] in run() }
        thread.name = "mesh-telemetry"
        thread.start()
    }

    /// Asks the daemon to come and read.
    func call() {
        state.withLock { state in
            guard let descriptor = state.descriptor else { return }
            // Refused only when the daemon has many such calls to answer yet.
            withUnsafeBytes(of: UInt8(1)) { _ = mesh_packet_send(descriptor, $0.baseAddress!, 1, -1) }
        }
    }

    func end() {
        state.withLock { $0.isEnding = true }
        eventfd_write(bell, 1)
    }

    private var isEnding: Bool { state.withLock { $0.isEnding } }

    private func run() {
        var retry = Self.firstRetry
        while !isEnding {
            if let descriptor = connect() {
                retry = Self.firstRetry
                state.withLock { $0.descriptor = descriptor }
                waitForEnd(of: descriptor)
                state.withLock { $0.descriptor = nil }
                close(descriptor)
            }
            guard !isEnding else { return }
            wait(for: nil, atMost: retry)
            retry = min(retry * 2, Self.longestRetry)
        }
    }

    private func connect() -> Int32? {
        let descriptor = mesh_packet_connect(path)
        guard descriptor >= 0 else { return nil }
        let sent = greeting.withUnsafeBytes { mesh_packet_send(descriptor, $0.baseAddress!, $0.count, memory.descriptor) }
        guard sent == greeting.count else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    private func waitForEnd(of descriptor: Int32) {
        while !isEnding {
            wait(for: descriptor, atMost: nil)
            // The daemon says nothing on this line: it can only end.
            var byte: UInt8 = 0
            let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT))
            if count == 0 || count < 0 && errno != EAGAIN && errno != EINTR { return }
        }
    }

    private func wait(for descriptor: Int32?, atMost span: Timespan?) {
        var waits = [pollfd(fd: bell, events: Int16(POLLIN), revents: 0)]
        if let descriptor { waits.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
        _ = poll(&waits, nfds_t(waits.count), span.map { Int32($0.milliseconds) } ?? -1)
    }
}
