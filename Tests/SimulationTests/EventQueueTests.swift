import MeshModel
import MeshSimulation
import TestSupport
import Testing

@Suite("An event queue", .calculating)
struct EventQueueTests {
    @Test("answers by time, and of one instant in the order of scheduling", arguments: 1...10 as ClosedRange<UInt64>)
    func order(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var queue = EventQueue<Int>()
        var times: [Int: Instant] = [:]
        var last: (at: Instant, event: Int) = (.zero, -1)
        var next = 0
        var isOrdered = true
        while next < 2000 || !queue.isEmpty {
            if next < 2000, random.next(below: 3) > 0 {
                let at = queue.now + .milliseconds(Int64(random.next(below: 20)))
                times[next] = at
                queue.schedule(next, at: at)
                next += 1
            } else if let event = queue.next() {
                isOrdered = isOrdered && queue.now == times[event] && queue.now >= last.at && (queue.now > last.at || event > last.event)
                last = (queue.now, event)
            }
        }
        #expect(isOrdered && queue.next() == nil)
    }

    @Test("what is late happens now")
    func late() {
        var queue = EventQueue<String>(now: .zero + .seconds(5))
        queue.schedule("late", at: .zero)
        let event = queue.next()
        #expect(event == "late" && queue.now == .zero + .seconds(5))
    }
}
