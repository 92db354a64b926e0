import MeshModel
import Testing

@Suite struct GuardedTests {
    /// Under the thread sanitizer this also fails when the hand-over is no longer announced.
    @Test func manyThreadsCountWithoutLoss() async {
        final class Counter: Sendable { let count = Guarded(0) }
        let counter = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<1000 { counter.count.withLock { $0 += 1 } } } }
        }
        #expect(counter.count.withLock { $0 } == 8000)
    }
}
