internal import Dispatch
internal import MeshExchange
internal import MeshModel
internal import MeshTelemetry

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The file, or standard output, that a gateway's access log goes to.
///
/// Invariant: no request waits for a disk or a reader. Lines are written by a thread of their own; what it can't keep up with is dropped
/// as whole lines, and the log says how many. Every configuration opens its file anew, so that one that was moved away is let go.
final class AccessLog: Sendable {
    /// Bytes that wait to be written, at most.
    static let most = 4 << 20

    let format: AccessLogConfiguration.Format
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private let state = Guarded(State())
    /// Held while something is being written, so that lines stay in their order.
    private let writing = Guarded(())

    private struct State {
        var pending: [UInt8] = []
        /// Lines that were dropped since the last that was taken.
        var lost = 0
        /// A thread is on its way to take what is pending.
        var isAwaited = false
    }

    /// - Throws: where the file can't be opened.
    init(_ configuration: AccessLogConfiguration) throws(AccessLogUnusable) {
        format = configuration.format
        guard let file = configuration.file else {
            descriptor = STDOUT_FILENO
            ownsDescriptor = false
            return
        }
        descriptor = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        ownsDescriptor = true
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            throw AccessLogUnusable(
                description:
                    "the access log '\(file)' can't be opened (\(reason)): gateway.access_log names a file in a folder that is there")
        }
    }

    deinit { if ownsDescriptor { Glibc.close(descriptor) } }

    /// Takes whole lines; they are written soon.
    func append(_ lines: some Collection<UInt8>, count: Int) {
        let wakes = state.withLock { state in
            guard state.pending.count + lines.count <= Self.most else {
                state.lost += count
                return false
            }
            state.pending += lines
            defer { state.isAwaited = true }
            return !state.isAwaited
        }
        if wakes { DispatchQueue.global(qos: .utility).async { self.flush() } }
    }

    /// Writes what is pending, on this thread.
    func flush() {
        writing.withLock { _ in
            while true {
                let (bytes, lost) = state.withLock { state in
                    defer {
                        state.pending = []
                        state.lost = 0
                        state.isAwaited = false
                    }
                    return (state.pending, state.lost)
                }
                guard !bytes.isEmpty || lost > 0 else { return }
                // A full disk, or a reader that is gone: there is nowhere left to say so.
                WholeWrite.write(bytes, to: descriptor)
                if lost > 0 { WholeWrite.write(Array(AccessLogLines.lost(lost, format: format).utf8), to: descriptor) }
            }
        }
    }
}

/// Why an access log can't be written, and what to do about it.
package struct AccessLogUnusable: Error, CustomStringConvertible {
    package let description: String
}

/// What one loop has for the access log, handed over in portions so that requests of different loops never meet at a lock.
final class AccessLogBuffer: LoopTimed, @unchecked Sendable {
    /// A portion, in bytes.
    static let portion = 32 << 10
    /// How long a line may wait for others.
    static let patience = Timespan.milliseconds(100)

    private let log: AccessLog
    private unowned let loop: TransportLoop
    private var lines: AccessLogLines

    init(_ log: AccessLog, loop: TransportLoop) {
        self.log = log
        lines = AccessLogLines(log.format)
        self.loop = loop
        super.init()
    }

    /// One line for a request that came from outside, when its answer is over.
    func write(_ call: ForwardedCall, status: Int?, flag: ResponseFlag?, end: Instant) {
        if lines.count == 0 { loop.setTimer(self, due: loop.now + Self.patience) }
        lines.append(call, status: status, flag: flag, end: end)
        if lines.bytes.count >= Self.portion { flush() }
    }

    func flush() {
        guard lines.count > 0 else { return }
        loop.removeTimer(self)
        log.append(lines.bytes, count: lines.count)
        lines.removeAll()
    }

    override func timerFired(now: Instant) { flush() }
}
