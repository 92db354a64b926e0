import Foundation
import Glibc
import MeshModel

/// Takes the signals that ask a program to end, on a thread of its own, where anything may be done about them.
///
/// Invariant: made before any other thread, since threads inherit the mask that keeps the signals from them.
final class SignalWatch: Sendable {
    private struct State {
        var received: [Int32] = []
        var handler: (@Sendable (Int32) -> Void)?
    }

    private let state = Guarded(State())
    private let arrived = DispatchSemaphore(value: 0)

    init() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        // A reader that went away must not end a program that has processes to look after.
        signal(SIGPIPE, SIG_IGN)
        let waited = signals
        Thread.detachNewThread { [self] in
            var waited = waited
            while true {
                var number: Int32 = 0
                guard sigwait(&waited, &number) == 0 else { continue }
                let handler = state.withLock { state in
                    state.received.append(number)
                    return state.handler
                }
                arrived.signal()
                handler?(number)
            }
        }
    }

    var count: Int { state.withLock { $0.received.count } }
    var last: Int32? { state.withLock { $0.received.last } }

    /// Calls `handler` on the watching thread for each signal from now on.
    func onSignal(_ handler: @escaping @Sendable (Int32) -> Void) { state.withLock { $0.handler = handler } }

    /// Waits for the next signal; false when none came in time.
    func wait(seconds: Double) -> Bool { arrived.wait(timeout: .now() + seconds) == .success }
}
