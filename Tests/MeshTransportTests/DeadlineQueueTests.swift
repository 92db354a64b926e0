import MeshModel
import Testing

@testable import MeshTransport

@Suite struct DeadlineQueueTests {
    private final class Timer: LoopTimed, @unchecked Sendable {}

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func timersFireInTheirOrderAndNotBefore() {
        var queue = DeadlineQueue()
        var random = RandomSource(seed: 7)
        var timers: [(timer: Timer, due: Instant)] = []
        for _ in 0..<500 {
            let timer = Timer()
            let due = at(Int64(random.next(below: 1000)))
            queue.set(timer, due: due)
            timers.append((timer, due))
        }
        var fired: [Instant] = []
        for now in stride(from: Int64(0), through: 1000, by: 10) {
            while let owner = queue.popDue(now: at(now)) {
                let due = timers.first { $0.timer === owner }!.due
                #expect(due <= at(now) && due > at(now - 10))
                fired.append(due)
            }
        }
        #expect(fired.count == 500)
        #expect(queue.next == nil)
    }

    @Test func movingATimerAwayLeavesItsEntryWhereItIs() {
        var queue = DeadlineQueue()
        let timer = Timer()
        queue.set(timer, due: at(10))
        queue.set(timer, due: at(50))
        #expect(queue.next == at(10))
        #expect(queue.popDue(now: at(20)) == nil)
        #expect(queue.next == at(50))
        #expect(queue.popDue(now: at(50)) === timer)
        #expect(queue.popDue(now: at(1000)) == nil)
    }

    @Test func movingATimerNearerIsSeenAtOnce() {
        var queue = DeadlineQueue()
        let timers = (0..<20).map { _ in Timer() }
        for (index, timer) in timers.enumerated() { queue.set(timer, due: at(100 + Int64(index))) }
        queue.set(timers[19], due: at(5))
        #expect(queue.next == at(5))
        #expect(queue.popDue(now: at(5)) === timers[19])
        #expect(queue.popDue(now: at(99)) == nil)
    }

    @Test func aRemovedTimerIsHeldNoLonger() {
        var queue = DeadlineQueue()
        weak var gone: Timer?
        do {
            let timer = Timer()
            gone = timer
            queue.set(timer, due: at(10))
            queue.set(timer, due: .distantFuture)
            queue.remove(timer)
        }
        #expect(gone == nil)
        #expect(queue.count == 0)
    }

    @Test func aTimerSwitchedOffDoesNotFire() {
        var queue = DeadlineQueue()
        let timer = Timer()
        queue.set(timer, due: at(10))
        queue.set(timer, due: .distantFuture)
        #expect(queue.popDue(now: at(100)) == nil)
        queue.set(timer, due: at(200))
        #expect(queue.popDue(now: at(200)) === timer)
    }
}
