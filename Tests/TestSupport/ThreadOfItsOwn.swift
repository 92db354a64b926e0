import Foundation
package import Testing

/// Runs the tests of a suite on a thread of their own beside the few threads that all tasks of the process share.
///
/// Invariant: what calculates for long or blocks is not on the shared threads, where every other test's tasks, timers and
/// connections would queue behind it. Tests that wait without suspending have servers and clients of their own: only so many run at
/// once that each is served in time, since the testing library begins all tests of the process together.
package struct ThreadOfItsOwn: TestTrait, SuiteTrait, TestScoping {
    fileprivate let executor: ThreadExecutor
    fileprivate var isCounted = false

    package var isRecursive: Bool { true }

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        guard isCounted else {
            try await withTaskExecutorPreference(executor) { try await function() }
            return
        }
        await Turns.ofBlocking.take()
        do {
            try await withTaskExecutorPreference(executor) { try await function() }
            await Turns.ofBlocking.giveBack()
        } catch {
            await Turns.ofBlocking.giveBack()
            throw error
        }
    }

    fileprivate static let forCalculation = ThreadOfItsOwn(executor: ThreadExecutor("calculating", niceness: 10))
}

extension Trait where Self == ThreadOfItsOwn {
    /// For tests that calculate for long: one thread for all of them, which comes after everything else.
    package static var calculating: Self { .forCalculation }

    /// For a suite whose tests wait without suspending: a thread for each.
    package static var blocking: Self { ThreadOfItsOwn(executor: ThreadExecutor("blocking", niceness: 0), isCounted: true) }
}

/// So many at once, the others in the order in which they came.
private actor Turns {
    static let ofBlocking = Turns(12)

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func take() async {
        guard free == 0 else {
            free -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}

/// One thread that runs the jobs it gets, in their order.
private final class ThreadExecutor: TaskExecutor {
    private let condition = NSCondition()
    private nonisolated(unsafe) var jobs: [UnownedJob] = []

    init(_ name: String, niceness: Int32) {
        let thread = Thread { [self] in
            // On Linux a thread has a niceness of its own, and 0 stands for the one that asks.
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
            while true { take().runSynchronously(on: asUnownedTaskExecutor()) }
        }
        thread.name = name
        thread.start()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        condition.withLock { jobs.append(job) }
        condition.signal()
    }

    private func take() -> UnownedJob {
        condition.withLock {
            while jobs.isEmpty { condition.wait() }
            return jobs.removeFirst()
        }
    }
}
