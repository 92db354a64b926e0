import CCurl
import MeshModel

/// Ends a running request from another thread, at once.
///
/// Invariant: a handle is woken only while its request runs, so never after it was freed.
package final class CurlCancellation: Sendable {
    private struct State {
        var isCancelled = false
        var running: CurlHandle?
    }

    private let state = Guarded(State())

    package init() {}

    package var isCancelled: Bool { state.withLock { $0.isCancelled } }

    package func cancel() {
        state.withLock { state in
            state.isCancelled = true
            if let handle = state.running { curl_multi_wakeup(handle.multi) }
        }
    }

    func attach(_ handle: CurlHandle) { state.withLock { $0.running = handle } }
    func detach() { state.withLock { $0.running = nil } }
}
