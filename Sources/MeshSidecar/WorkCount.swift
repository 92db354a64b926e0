import MeshModel

/// How much detached work is going on, so that a service does not end before it is done.
final class WorkCount: Sendable {
    private struct State {
        var running = 0
        var waiting: [Gate<Void>] = []
    }

    private let state = Guarded(State())

    var running: Int { state.withLock { $0.running } }

    func began() { state.withLock { $0.running += 1 } }

    func ended() {
        let waiting = state.withLock { state -> [Gate<Void>] in
            state.running -= 1
            guard state.running == 0 else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for gate in waiting { gate.open(()) }
    }

    /// Returns when nothing is going on, or after `limit`; whether all was done.
    func finished(within limit: Duration) async -> Bool {
        let gate = Gate<Void>()
        let isIdle = state.withLock { state in
            if state.running > 0 { state.waiting.append(gate) }
            return state.running == 0
        }
        if isIdle { return true }
        return await withTaskGroup { group in
            group.addTask { (try? await gate.value()) != nil }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            let isDone = await group.next() ?? false
            group.cancelAll()
            return isDone
        }
    }
}
