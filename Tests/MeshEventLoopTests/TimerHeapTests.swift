import NIOCore
import Testing

@testable import MeshEventLoop

@Suite struct TimerHeapTests {
    @Test(arguments: 0..<50 as Range<UInt64>) func timersFireInTheOrderOfTheirTimes(seed: UInt64) {
        var random = SeededGenerator(seed)
        var heap = TimerHeap()
        var fired: [Int] = []
        var expected: [(due: UInt64, index: Int)] = []
        var timers: [LoopTimer] = []
        for index in 0..<200 {
            let due = UInt64.random(in: 1...50, using: &random)
            let timer = LoopTimer(due: .uptimeNanoseconds(due)) {
                fired.append(index)
            } failed: { _ in
            }
            timers.append(timer)
            expected.append((due, index))
            heap.insert(timer)
        }
        let cancelled = Set((0..<60).map { _ in Int.random(in: 0..<200, using: &random) })
        for index in cancelled { heap.cancel(timers[index]) }
        while let next = heap.next {
            #expect(heap.popDue(now: next - .nanoseconds(1)) == nil)
            heap.popDue(now: next)?.fire()
        }
        let left = expected.filter { !cancelled.contains($0.index) }.sorted { ($0.due, $0.index) < ($1.due, $1.index) }
        #expect(fired == left.map(\.index))
        #expect(heap.isEmpty)
    }

    @Test func aTimerThatIsCancelledOnItsWayIsNotSet() {
        var heap = TimerHeap()
        let timer = LoopTimer(due: .now()) {
        } failed: { _ in
        }
        heap.cancel(timer)
        heap.insert(timer)
        #expect(heap.isEmpty)
    }
}

/// The same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
