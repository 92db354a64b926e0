import MeshModel
import MeshTelemetry
import Testing

@testable import MeshOTLP

@Suite("Export queue")
struct ExportQueueTests {
    private var random = RandomSource(seed: 1)

    private func batch(_ count: Int, bytes: Int = 100) -> SpanBatch {
        SpanBatch(
            origin: SpanOrigin(instance: InstanceID(high: 1, low: 1), service: "a", tier: "b"),
            anchor: TimeAnchor(instant: .zero, wall: UnixTime(nanoseconds: 0)), dropped: 0, count: count,
            records: [UInt8](repeating: 0, count: bytes))
    }

    private func at(_ seconds: Double) -> Instant { .zero + .seconds(seconds) }

    private func queue(_ change: (inout ExportQueue.Settings) -> Void = { _ in }) -> ExportQueue {
        var settings = ExportQueue.Settings()
        change(&settings)
        return ExportQueue(settings)
    }

    @Test func gathersForASecondAndSendsOneRequestAtATime() {
        var queue = queue()
        #expect(queue.wakeAt == nil)
        queue.arrived([batch(1)], now: at(0))
        queue.arrived([batch(2)], now: at(0.5))
        #expect(queue.wakeAt == at(1))
        #expect(queue.next(now: at(0.9)) == nil)
        #expect(queue.next(now: at(1))?.map(\.count) == [1, 2])
        queue.arrived([batch(3)], now: at(1.1))
        #expect(queue.next(now: at(9)) == nil)
        queue.sent(now: at(10))
        #expect(queue.counters.sent == 3 && queue.counters.waiting == 3)
        #expect(queue.next(now: at(11))?.map(\.count) == [3])
        queue.sent(now: at(12))
        #expect(queue.wakeAt == nil)
    }

    @Test func aFullBatchDoesNotWait() {
        var queue = queue { $0.batchBytes = 250 }
        queue.arrived([batch(1), batch(1), batch(1)], now: at(0))
        #expect(queue.next(now: at(0))?.count == 2)
    }

    @Test mutating func triesAgainEverLaterAndSendsTheSame() {
        var queue = queue()
        queue.arrived([batch(1)], now: at(0))
        #expect(queue.next(now: at(1)) != nil)
        queue.failed("refused", isFinal: false, now: at(1), random: &random)
        let first = queue.wakeAt
        #expect(first.map { $0 >= at(1.5) && $0 <= at(2) } == true)
        #expect(queue.next(now: at(1.4)) == nil)
        #expect(queue.next(now: at(2))?.map(\.count) == [1])
        for _ in 0..<20 {
            queue.failed("refused", isFinal: false, now: at(100), random: &random)
            _ = queue.next(now: at(200))
        }
        queue.failed("refused", isFinal: false, after: .seconds(500), now: at(300), random: &random)
        #expect(queue.wakeAt == at(800))
        #expect(queue.counters.failure == "refused" && queue.counters.failures == 22)
        #expect(queue.next(now: at(800)) != nil)
        queue.sent(now: at(801))
        #expect(queue.counters.failure == nil && queue.counters.sent == 1 && queue.counters.dropped == 0)
    }

    @Test mutating func whatACollectorNeverTakesIsCountedAndTheNextOnesFollow() {
        var queue = queue()
        queue.arrived([batch(4)], now: at(0))
        _ = queue.next(now: at(1))
        queue.arrived([batch(1)], now: at(1))
        queue.failed("it answered 400", isFinal: true, now: at(2), random: &random)
        #expect(queue.counters.dropped == 4)
        #expect(queue.next(now: at(3))?.map(\.count) == [1])
        queue.sent(rejected: 1, reason: "no", now: at(4))
        #expect(queue.counters.dropped == 5 && queue.counters.sent == 0)
    }

    @Test func overTheBoundTheOldestGiveWay() {
        var queue = queue { $0.limit = 250 }
        queue.arrived([batch(1), batch(2), batch(3)], now: at(0))
        #expect(queue.counters.dropped == 1)
        #expect(queue.next(now: at(1))?.map(\.count) == [2, 3])
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func everySpanIsSentOrWaitsOrIsCounted(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var queue = queue {
            $0.limit = 2_000
            $0.batchBytes = 500
        }
        var arrived: UInt64 = 0
        var isSending = false
        for step in 0..<500 {
            let now = at(Double(step) / 3)
            if random.next(below: 2) == 0 {
                let count = 1 + random.next(below: 9)
                arrived += UInt64(count)
                queue.arrived([batch(count, bytes: 50 + random.next(below: 700))], now: now)
            }
            if isSending {
                switch random.next(below: 5) {
                case 0: queue.failed("x", isFinal: false, now: now, random: &random)
                case 1: queue.failed("x", isFinal: true, now: now, random: &random)
                case 2: queue.sent(rejected: random.next(below: 3), reason: "x", now: now)
                default: queue.sent(now: now)
                }
                isSending = false
            } else {
                isSending = queue.next(now: now) != nil
            }
            let counters = queue.counters
            #expect(counters.sent + counters.dropped + counters.waiting == arrived)
        }
    }
}
