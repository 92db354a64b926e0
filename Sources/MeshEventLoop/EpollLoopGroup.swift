package import Dispatch
internal import MeshModel
package import NIOCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The event loops of a process's data plane, one thread each.
package final class EpollLoopGroup: EventLoopGroup {
    package let loops: [EpollLoop]
    private let turn = Atomic<Int>(0)
    /// Empty once somebody has begun to end them.
    private let threads: Guarded<[pthread_t]>

    /// Whether the user allows io_uring: not with `MESH_IO_URING=off`.
    package static var mayHoldSends: Bool { getenv("MESH_IO_URING").map { strcmp($0, "off") != 0 } ?? true }

    /// - Parameter holdsSends: uses io_uring where the kernel allows it.
    package init(threads count: Int, holdsSends: Bool = mayHoldSends) {
        precondition(count > 0, "a group without a loop runs nothing")
        // A peer that has gone is told by an error. Sockets are written to so that no signal comes, but files and pipes are not.
        signal(SIGPIPE, SIG_IGN)
        loops = (0..<count).map { EpollLoop(index: $0, holdsSends: holdsSends) }
        threads = Guarded(loops.map(Self.start))
    }

    private static func start(_ loop: EpollLoop) -> pthread_t {
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<EpollLoop>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(loop).toOpaque())
        precondition(code == 0, "no thread left for an event loop: raise `ulimit -u`")
        return thread
    }

    package func next() -> any EventLoop { loops[abs(turn.wrappingAdd(1, ordering: .relaxed).oldValue % loops.count)] }

    package func makeIterator() -> EventLoopIterator { EventLoopIterator(loops) }

    /// Closes all sockets, fails all timers, runs what is left, and waits for the threads; then tells `callback` on `queue`.
    package func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        let ending = threads.withLock { threads in
            let ending = threads
            threads = []
            return ending
        }
        if !ending.isEmpty {
            for loop in loops { loop.askToEnd() }
        }
        queue.async {
            for thread in ending { pthread_join(thread, nil) }
            callback(nil)
        }
    }
}
