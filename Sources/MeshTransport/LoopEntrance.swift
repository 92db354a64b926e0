internal import NIOCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The way onto an event loop for tasks and other threads, which is closed before the loop ends.
///
/// Handlers, bodies and calls may be held by user code for longer than the loop lives, and NIO takes nothing for a loop that has ended.
/// Invariant: what was taken runs, and once `close` has returned nothing more is taken.
final class LoopEntrance: Sendable {
    private let eventLoop: any EventLoop
    /// The lowest bit: closed. Above it: how many are handing something over just now.
    private let state = Atomic<Int>(0)

    init(to eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Runs `work` on the loop, soon; false where the loop has ended, and nobody waits for it any more.
    @discardableResult
    func execute(_ work: @escaping @Sendable () -> Void) -> Bool {
        let isOpen = state.wrappingAdd(2, ordering: .acquiring).oldValue & 1 == 0
        if isOpen { eventLoop.execute(work) }
        state.wrappingSubtract(2, ordering: .releasing)
        return isOpen
    }

    /// Waits for those who are handing something over, which takes them no longer than a system call.
    func close() {
        state.bitwiseOr(1, ordering: .acquiringAndReleasing)
        while state.load(ordering: .acquiring) > 1 { sched_yield() }
    }
}
