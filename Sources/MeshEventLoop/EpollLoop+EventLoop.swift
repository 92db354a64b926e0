package import Dispatch
package import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

// What NIO's futures, pipelines and handlers ask of an event loop.

extension EpollLoop: NIOSerialEventLoopExecutor {
    package func execute(_ task: @escaping @Sendable () -> Void) {
        if !deliver(LoopTask(task)) { Self.workWasLost() }
    }

    package func _executeIsolatedUnsafeUnchecked(_ task: @escaping () -> Void) {
        assertInEventLoop()
        _ = deliver(LoopTask(task))
    }

    @discardableResult
    package func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        let timer = LoopTimer(due: deadline) {
            do {
                promise.assumeIsolated().succeed(try task())
            } catch {
                promise.fail(error)
            }
        } failed: {
            promise.fail($0)
        }
        let held = OnLoop(timer)
        if inEventLoop {
            set(timer)
        } else if !deliver(LoopTask { [unowned self] in set(held.timer) }) {
            promise.fail(EventLoopError.shutdown)
        }
        return Scheduled(promise: promise) { [weak self] in
            guard let self else { return }
            if inEventLoop {
                cancel(held.timer)
            } else {
                _ = deliver(LoopTask { [unowned self] in cancel(held.timer) })
            }
        }
    }

    @discardableResult
    package func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        scheduleTask(deadline: .now() + delay, task)
    }

    /// A loop ends with its group.
    package func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(EventLoopError.unsupportedOperation) }
    }

    /// Work for a loop that has ended is a fault of who hands it over: it will wait for ever. With `SWIFTNIO_STRICT=1`, as in the tests, the
    /// process ends; else it says so.
    private static func workWasLost() {
        let text = "work for an event loop that has ended is lost"
        precondition(!isStrict, text)
        _ = "\(text)\n".withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }

    private static let isStrict =
        getenv("SWIFTNIO_STRICT").map { ["1", "true", "y", "yes", "on"].contains(String(cString: $0).lowercased()) } ?? false

    #if DEBUG
        package func _promiseCreated(futureIdentifier: _NIOEventLoopFutureIdentifier, file: StaticString, line: UInt) {
            promises.created(futureIdentifier, file: file, line: line)
        }

        package func _promiseCompleted(futureIdentifier: _NIOEventLoopFutureIdentifier) -> (file: StaticString, line: UInt)? {
            promises.completed(futureIdentifier)
        }
    #endif
}

/// A timer on its way to its loop.
private struct OnLoop: @unchecked Sendable {
    let timer: LoopTimer

    init(_ timer: LoopTimer) { self.timer = timer }
}

#if DEBUG
    internal import MeshModel

    /// Where each promise was made, so that NIO can say which one was forgotten.
    final class PromiseBook: Sendable {
        private let places = Guarded<[_NIOEventLoopFutureIdentifier: (file: StaticString, line: UInt)]>([:])

        func created(_ promise: _NIOEventLoopFutureIdentifier, file: StaticString, line: UInt) {
            places.withLock { $0[promise] = (file, line) }
        }

        func completed(_ promise: _NIOEventLoopFutureIdentifier) -> (file: StaticString, line: UInt)? {
            places.withLock { $0.removeValue(forKey: promise) }
        }
    }
#endif
