import Foundation
import MeshModel
import Synchronization
import Testing

@testable import MeshTelemetry

@Suite("Span ring")
struct SpanRingTests {
    /// A record of `length` bytes whose body repeats `mark`.
    private func record(_ length: Int, _ mark: UInt8) -> [UInt8] {
        [UInt8(length & 0xff), UInt8(length >> 8)] + [UInt8](repeating: mark, count: length - 2)
    }

    @Test func handsOutWholeRecordsInOrder() throws {
        let ring = try SpanRing(capacity: 4096)
        var reader = SpanRingReader(ring)
        for mark in 1...3 as ClosedRange<UInt8> {
            #expect(record(60, mark).withUnsafeBytes { ring.write($0) } == .written)
        }
        var bytes: [UInt8] = []
        #expect(reader.drain(into: &bytes) == 3)
        #expect(bytes == record(60, 1) + record(60, 2) + record(60, 3))
        #expect(reader.drain(into: &bytes) == 0)
        #expect(bytes.count == 180)
    }

    @Test func wrapsAroundWithoutTearing() throws {
        let ring = try SpanRing(capacity: 4096)
        var reader = SpanRingReader(ring)
        for round in 0..<300 {
            let sent = record(60 + round % 700, UInt8(round & 0xff))
            _ = sent.withUnsafeBytes { ring.write($0) }
            var bytes: [UInt8] = []
            #expect(reader.drain(into: &bytes) == 1)
            #expect(bytes == sent)
        }
    }

    @Test func dropsAndCountsWhatFindsNoRoom() throws {
        let ring = try SpanRing(capacity: 4096)
        var reader = SpanRingReader(ring)
        let outcomes = (0..<7).map { _ in record(1000, 1).withUnsafeBytes { ring.write($0) } }
        #expect(outcomes == [.written, .written, .written, .writtenAndFilling, .dropped, .dropped, .dropped])
        #expect(ring.dropped == 3)
        #expect(reader.newDrops() == 3)
        #expect(reader.newDrops() == 0)
        var bytes: [UInt8] = []
        #expect(reader.drain(into: &bytes) == 4)
        #expect(record(1000, 1).withUnsafeBytes { ring.write($0) } == .written)
    }

    @Test func whatIsNoRecordIsPassedOver() throws {
        let ring = try SpanRing(capacity: 4096)
        var reader = SpanRingReader(ring)
        _ = record(60, 1).withUnsafeBytes { ring.write($0) }
        // A length that no record has, as only a writer gone wrong leaves it.
        _ = [UInt8](repeating: 0xff, count: 80).withUnsafeBytes { ring.write($0) }
        var bytes: [UInt8] = []
        #expect(reader.drain(into: &bytes) == 1)
        #expect(bytes == record(60, 1))
        #expect(reader.damagedBytes == 80)
        _ = record(60, 2).withUnsafeBytes { ring.write($0) }
        #expect(reader.drain(into: &bytes) == 1)
    }

    @Test(arguments: [-1, 4097, Int.max, Int.min])
    func aTailThatCannotBeEndsTheReading(tail: Int) throws {
        let ring = try SpanRing(capacity: 4096)
        var reader = SpanRingReader(ring)
        ring.segment.control(0).tail.pointee.store(tail, ordering: .releasing)
        var bytes: [UInt8] = []
        #expect(reader.drain(into: &bytes) == 0)
        #expect(reader.isBroken)
        ring.segment.control(0).tail.pointee.store(60, ordering: .releasing)
        #expect(reader.drain(into: &bytes) == 0)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func noMemoryMakesAReaderCrash(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        let ring = try SpanRing(capacity: 4096, openSpans: 8)
        for offset in stride(from: 0, to: ring.segment.memory.count - SpanSegment.page, by: 8) where random.next(below: 3) == 0 {
            ring.segment.memory.base.storeBytes(of: random.next(), toByteOffset: SpanSegment.page + offset, as: UInt64.self)
        }
        ring.segment.control(0).head.pointee.store(random.next(below: 5000), ordering: .relaxed)
        ring.segment.control(0).tail.pointee.store(random.next(below: 9000), ordering: .relaxed)
        let source = SpanSource(origin: sampleOrigin, segment: ring.segment)
        var bytes: [UInt8] = []
        let count = source.drain(into: &bytes)
        let batch = SpanBatch(origin: sampleOrigin, anchor: sampleAnchor, dropped: 0, count: count, records: bytes)
        _ = try? batch.decoded()
        _ = source.recordOpenSpans(end: Instant(nanoseconds: 1), into: &bytes)
    }

    @Test func losesNothingUncountedBetweenTwoThreads() throws {
        let ring = try SpanRing(capacity: 4096)
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
        var reader = SpanRingReader(ring)
        producer.start()
        var received = 0
        var lastID: UInt64 = 0
        var intact = true
        while true {
            let last = done.load(ordering: .acquiring)
            var bytes: [UInt8] = []
            let count = reader.drain(into: &bytes)
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
        #expect(reader.damagedBytes == 0)
    }
}
