import MeshModel

/// Something that happens once and that others wait for: the first configuration, the wish to shut down.
///
/// Invariant: `open` and `fail` count once, the first of them; everyone who waits, before or after it, learns the same.
final class Gate<Value: Sendable>: Sendable {
    private enum State {
        case closed([Int: CheckedContinuation<Value, any Error>])
        case done(Result<Value, any Error>)
    }

    private let state = Guarded((State.closed([:]), nextID: 0))

    func open(_ value: Value) { finish(.success(value)) }

    func fail(_ error: any Error) { finish(.failure(error)) }

    var isDone: Bool {
        state.withLock { if case .done = $0.0 { true } else { false } }
    }

    private func finish(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state -> [CheckedContinuation<Value, any Error>] in
            guard case .closed(let waiting) = state.0 else { return [] }
            state.0 = .done(result)
            return Array(waiting.values)
        }
        for continuation in waiting { continuation.resume(with: result) }
    }

    /// - Throws: what `fail` was told, or `CancellationError` when this task is cancelled first.
    func value() async throws -> Value {
        // Mostly it is open already: then nothing is allocated and nobody is suspended.
        let (done, id) = state.withLock { state -> (Result<Value, any Error>?, Int) in
            if case .done(let result) = state.0 { return (result, 0) }
            state.nextID += 1
            return (nil, state.nextID)
        }
        if let done { return try done.get() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state -> Result<Value, any Error>? in
                    switch state.0 {
                    case .done(let result): return result
                    case .closed(var waiting):
                        // Asked under the lock: whoever cancels later takes it after this, and finds the continuation.
                        guard !Task.isCancelled else { return .failure(CancellationError()) }
                        waiting[id] = continuation
                        state.0 = .closed(waiting)
                        return nil
                    }
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let continuation = state.withLock { state -> CheckedContinuation<Value, any Error>? in
                guard case .closed(var waiting) = state.0 else { return nil }
                let continuation = waiting.removeValue(forKey: id)
                state.0 = .closed(waiting)
                return continuation
            }
            continuation?.resume(throwing: CancellationError())
        }
    }
}
