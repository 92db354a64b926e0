internal import MeshModel
package import NIOCore

/// A message body on its way from an event loop to a task, in pieces, with back-pressure.
///
/// One iterator only. Dropping it before the end tells the loop that nobody reads any more.
package struct BodyStream: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer

    let consumer: BodyConsumer

    init(_ storage: BodyStreamStorage) { consumer = BodyConsumer(storage) }

    /// The one of every request without a body.
    static let empty = BodyStream()

    /// A body that is all there; mostly for tests.
    package init(_ buffers: ByteBuffer...) {
        let storage = BodyStreamStorage(wanted: {}, abandoned: {})
        for buffer in buffers { _ = storage.push(buffer) }
        storage.finish()
        self.init(storage)
    }

    package func makeAsyncIterator() -> Iterator { Iterator(consumer: consumer) }

    package struct Iterator: AsyncIteratorProtocol {
        let consumer: BodyConsumer

        package mutating func next() async throws -> ByteBuffer? { try await consumer.storage.next() }

        package mutating func next(isolation actor: isolated (any Actor)?) async throws -> ByteBuffer? {
            try await consumer.storage.next()
        }
    }

    /// The whole body in one buffer.
    ///
    /// - Throws: `BodyTooLarge` above `limit` bytes, and what the stream throws.
    package func collect(upTo limit: Int) async throws -> ByteBuffer {
        var whole = ByteBuffer()
        for try await var piece in self {
            guard whole.readableBytes + piece.readableBytes <= limit else { throw BodyTooLarge(limit: limit) }
            if whole.readableBytes == 0 { whole = piece } else { whole.writeBuffer(&piece) }
        }
        return whole
    }
}

package struct BodyTooLarge: Error {
    package var limit: Int
}

/// Its end of life is the reader's.
final class BodyConsumer: Sendable {
    let storage: BodyStreamStorage
    init(_ storage: BodyStreamStorage) { self.storage = storage }
    deinit { storage.abandon() }
}

/// The queue between the loop that produces and the task that consumes.
///
/// Invariant: after `push` said false, `wanted` is called once when the reader has taken what was there.
final class BodyStreamStorage: Sendable {
    private enum Ending {
        case open
        case finished
        case failed(any Error)
    }

    private struct State {
        var pieces = CircularBuffer<ByteBuffer>()
        var bytes = 0
        var ending = Ending.open
        var waiting: CheckedContinuation<ByteBuffer?, any Error>?
        /// Until the reader asks for the first time, nothing needs to come.
        var isProducerPaused = true
        var isAbandoned = false
    }

    /// Bytes above which the producer is asked to stop.
    static let highWater = 64 << 10

    private let state = Guarded(State())
    private let wanted: @Sendable () -> Void
    private let abandoned: @Sendable () -> Void

    /// Both are called on any thread.
    init(wanted: @escaping @Sendable () -> Void, abandoned: @escaping @Sendable () -> Void) {
        self.wanted = wanted
        self.abandoned = abandoned
    }

    /// Hands over a piece; false asks the producer to stop until `wanted`.
    func push(_ piece: ByteBuffer) -> Bool {
        let (waiting, goOn) = state.withLock { state -> (CheckedContinuation<ByteBuffer?, any Error>?, Bool) in
            guard case .open = state.ending, !state.isAbandoned else { return (nil, true) }
            if let waiting = state.waiting {
                state.waiting = nil
                return (waiting, true)
            }
            state.pieces.append(piece)
            state.bytes += piece.readableBytes
            state.isProducerPaused = state.bytes >= Self.highWater
            return (nil, !state.isProducerPaused)
        }
        waiting?.resume(returning: piece)
        return goOn
    }

    func finish() {
        let waiting = state.withLock { state -> CheckedContinuation<ByteBuffer?, any Error>? in
            guard case .open = state.ending else { return nil }
            state.ending = .finished
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: nil)
    }

    /// What was pushed before is still read.
    func fail(_ error: any Error) {
        let waiting = state.withLock { state -> CheckedContinuation<ByteBuffer?, any Error>? in
            guard case .open = state.ending else { return nil }
            state.ending = .failed(error)
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(throwing: error)
    }

    func abandon() {
        let tell = state.withLock { state -> Bool in
            guard !state.isAbandoned else { return false }
            state.isAbandoned = true
            state.pieces.removeAll()
            if case .open = state.ending { return true }
            return false
        }
        if tell { abandoned() }
    }

    func next() async throws -> ByteBuffer? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enum Outcome {
                    case piece(ByteBuffer, resume: Bool)
                    case end
                    case failure(any Error)
                    case wait(resume: Bool)
                }
                let outcome = state.withLock { state -> Outcome in
                    if let piece = state.pieces.popFirst() {
                        state.bytes -= piece.readableBytes
                        let resume = state.isProducerPaused && state.pieces.isEmpty
                        if resume { state.isProducerPaused = false }
                        return .piece(piece, resume: resume)
                    }
                    switch state.ending {
                    case .finished: return .end
                    case .failed(let error): return .failure(error)
                    case .open:
                        // Asked under the lock: whoever cancels later takes it after this, and finds the continuation.
                        guard !Task.isCancelled else { return .failure(CancellationError()) }
                        precondition(state.waiting == nil, "a body has one reader")
                        state.waiting = continuation
                        defer { state.isProducerPaused = false }
                        return .wait(resume: state.isProducerPaused)
                    }
                }
                switch outcome {
                case .piece(let piece, let resume):
                    if resume { wanted() }
                    continuation.resume(returning: piece)
                case .end: continuation.resume(returning: nil)
                case .failure(let error): continuation.resume(throwing: error)
                case .wait(let resume): if resume { wanted() }
                }
            }
        } onCancel: {
            let waiting = state.withLock { state -> CheckedContinuation<ByteBuffer?, any Error>? in
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume(throwing: CancellationError())
        }
    }
}
