import Foundation
import MeshModel
import MeshTelemetry
import Synchronization
import Testing

@Suite("Span ring")
struct SpanRingTests {
    /// A record of `length` bytes whose body repeats `mark`.
    private func record(_ length: Int, _ mark: UInt8) -> [UInt8] {
        [UInt8(length & 0xff), UInt8(length >> 8)] + [UInt8](repeating: mark, count: length - 2)
    }

    @Test func handsOutWholeRecordsInOrder() {
        let ring = SpanRing(capacity: 256)
        for mark in 1...3 as ClosedRange<UInt8> {
            #expect(record(60, mark).withUnsafeBytes { ring.write($0) } == .written)
        }
        var bytes: [UInt8] = []
        #expect(ring.drain(into: &bytes, limit: 130) == 2)
        #expect(bytes == record(60, 1) + record(60, 2))
        #expect(ring.drain(into: &bytes, limit: 1) == 1)
        #expect(ring.drain(into: &bytes, limit: .max) == 0)
        #expect(bytes.count == 180)
    }

    @Test func wrapsAroundWithoutTearing() {
        let ring = SpanRing(capacity: 256)
        for round in 0..<100 {
            let sent = record(50 + round % 70, UInt8(round))
            _ = sent.withUnsafeBytes { ring.write($0) }
            var bytes: [UInt8] = []
            #expect(ring.drain(into: &bytes, limit: .max) == 1)
            #expect(bytes == sent)
        }
    }

    @Test func dropsAndCountsWhatFindsNoRoom() {
        let ring = SpanRing(capacity: 256)
        var outcomes: [SpanRing.WriteOutcome] = []
        for _ in 0..<7 { outcomes.append(record(60, 1).withUnsafeBytes { ring.write($0) }) }
        #expect(outcomes == [.written, .written, .written, .writtenAndFilling, .dropped, .dropped, .dropped])
        #expect(ring.dropped == 3)
        var bytes: [UInt8] = []
        #expect(ring.drain(into: &bytes, limit: .max) == 4)
        #expect(record(60, 1).withUnsafeBytes { ring.write($0) } == .written)
    }

    @Test func losesNothingUncountedBetweenTwoThreads() {
        let ring = SpanRing(capacity: 4096)
        let total = 50_000
        let done = Atomic<Bool>(false)
        let producer = Thread {
            let recorder = SpanRecorder(ring: ring)
            for number in 0..<total {
                let head = SpanHeader(
                    kind: .internal, traceID: TraceID(high: 1, low: 1), spanID: SpanID(UInt64(number) + 1), parent: nil,
                    start: Instant(nanoseconds: Int64(number)), end: Instant(nanoseconds: Int64(number) * 2)
                )
                recorder.record(head) { $0.add(.attempt, number) }
            }
            done.store(true, ordering: .releasing)
        }
        producer.start()
        var received = 0
        var lastID: UInt64 = 0
        var intact = true
        while true {
            let last = done.load(ordering: .acquiring)
            var bytes: [UInt8] = []
            let count = ring.drain(into: &bytes, limit: 1024)
            received += count
            let batch = SpanBatch(origin: sampleOrigin, anchor: sampleAnchor, dropped: 0, count: count, records: bytes)
            for span in (try? batch.decoded().spans) ?? [] {
                let number = Int64(span.spanID.value) - 1
                if span.spanID.value <= lastID || span.integer(.attempt) != number || span.duration.nanoseconds != number { intact = false }
                lastID = span.spanID.value
            }
            if last, count == 0 { break }
        }
        #expect(intact)
        #expect(received + Int(ring.dropped) == total)
        #expect(received > 0)
    }
}
