package import HTTPTypes
internal import MeshModel
package import NIOCore

/// A message body that a task sends: a response of a handler, or a request of `call`.
package enum OutboundBody: Sendable {
    case none
    case bytes(ByteBuffer)
    /// Written piece by piece; chunked where `length` is nil. The message ends when the closure returns and is broken off when it throws.
    case stream(length: Int?, @Sendable (BodyWriter) async throws -> Void)
}

/// Where the closure of a streamed body writes to.
package final class BodyWriter: Sendable {
    private struct State {
        /// Handed to the loop and not yet written by it.
        var pending = 0
        /// The connection does not take more.
        var isBlocked = false
        var failure: (any Error)?
        var waiting: CheckedContinuation<Void, any Error>?
        var trailers: HTTPFields?
    }

    private static let highWater = 64 << 10

    private let state = Guarded(State())
    private let loop: LoopEntrance
    private let send: @Sendable (ByteBuffer) -> Void

    /// `send` is called on the loop.
    init(loop: LoopEntrance, send: @escaping @Sendable (ByteBuffer) -> Void) {
        self.loop = loop
        self.send = send
    }

    /// Sends a piece; suspends while the connection does not take more.
    ///
    /// - Throws: what ended the exchange, when nobody reads the body any more.
    package func write(_ piece: ByteBuffer) async throws {
        let size = piece.readableBytes
        guard size > 0 else { return }
        let mayGoOn = try state.withLock { state -> Bool in
            if let failure = state.failure { throw failure }
            state.pending += size
            return state.pending < Self.highWater && !state.isBlocked
        }
        let isTaken = loop.execute { [self] in
            send(piece)
            wrote(size)
        }
        guard isTaken else { throw CancellationError() }
        guard !mayGoOn else { return }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let outcome = state.withLock { state -> Result<Void, any Error>? in
                    if let failure = state.failure { return .failure(failure) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.pending < Self.highWater, !state.isBlocked { return .success(()) }
                    state.waiting = continuation
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume(throwing: CancellationError())
        }
    }

    /// Trailer fields, sent with the end of a chunked body; set them before the closure returns.
    package func setTrailers(_ fields: HTTPFields) { state.withLock { $0.trailers = fields } }

    var trailers: HTTPFields? { state.withLock { $0.trailers } }

    private func wrote(_ size: Int) {
        wake { state in state.pending -= size }
    }

    /// On the loop: the connection's writability changed.
    func setBlocked(_ isBlocked: Bool) {
        wake { state in state.isBlocked = isBlocked }
    }

    /// On the loop: nobody takes the body any more.
    func fail(_ error: any Error) {
        let waiting = state.withLock { state in
            if state.failure == nil { state.failure = error }
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(throwing: error)
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiting = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            change(&state)
            guard state.pending < Self.highWater, !state.isBlocked else { return nil }
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }
}
