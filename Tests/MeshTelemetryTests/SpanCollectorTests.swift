import Foundation
import Glibc
import MeshModel
import TestSupport
import Testing

@testable import MeshTelemetry

/// What a collector handed on.
private final class Handed: Sendable {
    private let batches = Guarded<[SpanBatch]>([])

    func take(_ new: [SpanBatch]) { batches.withLock { $0 += new } }

    var spans: [DecodedSpan] { batches.withLock { $0 }.flatMap { (try? $0.decoded().spans) ?? [] } }
}

@Suite("Span collector", .blocking)
struct SpanCollectorTests {
    private let handed = Handed()
    private let collector: SpanCollector
    private let folder = NSTemporaryDirectory() + "mesh-spans-\(UUID().uuidString.prefix(8))"

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var settings = SpanCollector.Settings()
        // Turns are asked for, or come because something happened.
        settings.interval = .seconds(3600)
        collector = SpanCollector(settings: settings, sink: handed.take)
    }

    private var path: String { folder + "/spans.sock" }

    private func end() {
        collector.shutdown()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Waits for a fact that another thread brings about.
    private func wait(for what: String, _ isSo: () -> Bool) {
        let deadline = ContinuousClock.now + .seconds(60)
        while !isSo() {
            guard ContinuousClock.now < deadline else {
                Issue.record("never came: \(what)")
                return
            }
            sched_yield()
        }
    }

    @Test func readsAProcessThatHandedOverItsMemory() throws {
        defer { end() }
        let pipeline = TelemetryPipeline(origin: sampleOrigin, daemon: path)
        pipeline.shared.record(sampleHeader(1)) { $0.name("before the daemon came") }
        pipeline.start()
        defer { pipeline.shutdown() }
        try collector.start(path: path)
        wait(for: "the first span") { handed.spans.map(\.name) == ["before the daemon came"] }
        pipeline.makeRecorder().record(sampleHeader(2)) { $0.name("later") }
        pipeline.flush()
        wait(for: "the second span") { handed.spans.count == 2 }
        #expect(handed.spans.allSatisfy { $0.origin == sampleOrigin })
        #expect(collector.counters.sources == 1)
        #expect(collector.counters.droppedAtSource == 0)
    }

    @Test func aRingThreeQuartersFullCallsTheCollector() throws {
        defer { end() }
        var settings = TelemetryPipeline.Settings()
        settings.ringCapacity = 4096
        let pipeline = TelemetryPipeline(origin: sampleOrigin, settings: settings, daemon: path)
        pipeline.start()
        defer { pipeline.shutdown() }
        try collector.start(path: path)
        wait(for: "the process") { collector.counters.sources == 1 }
        // 60 records of 52 bytes pass three quarters of 4096.
        for number in 1...60 as ClosedRange<UInt64> { pipeline.shared.record(sampleHeader(number)) { _ in } }
        wait(for: "a turn") { handed.spans.count == 60 }
    }

    @Test func theNextDaemonGoesOnWhereTheLastOneEnded() throws {
        defer { end() }
        let pipeline = TelemetryPipeline(origin: sampleOrigin, daemon: path)
        pipeline.start()
        defer { pipeline.shutdown() }
        pipeline.shared.record(sampleHeader(1)) { _ in }
        try collector.start(path: path)
        wait(for: "the first span") { handed.spans.count == 1 }
        collector.shutdown()
        pipeline.shared.record(sampleHeader(2)) { _ in }
        let later = Handed()
        let next = SpanCollector(sink: later.take)
        try next.start(path: path)
        defer { next.shutdown() }
        wait(for: "the second span") { later.spans.map(\.spanID.value) == [2] }
    }

    /// The memory of a process that is killed is read to its last span, and what it was in the middle of is told.
    @Test func aKilledProcessLeavesItsSpansAndWhatItWasDoing() throws {
        let pipeline = TelemetryPipeline(origin: sampleOrigin)
        let source = try pipeline.makeSource()
        collector.add(source, line: 7)
        let recorder = pipeline.makeRecorder()
        let trace = TraceID(high: 3, low: 4)
        let name = Array("POST /orders".utf8)
        let open = name.withUnsafeBytes {
            recorder.open(.server, trace, SpanID(5), parent: SpanID(6), start: Instant(nanoseconds: 100), name: $0)
        }
        let answered = name.withUnsafeBytes {
            recorder.open(.server, TraceID(high: 8, low: 8), SpanID(8), parent: nil, start: Instant(nanoseconds: 100), name: $0)
        }
        recorder.close(try #require(answered))
        #expect(open != nil)
        recorder.record(sampleHeader(9, trace: trace)) { $0.name("done before") }
        collector.ended(line: 7, now: Instant(nanoseconds: 1_100))
        collector.turn()
        let spans = handed.spans
        #expect(Set(spans.map(\.name)) == ["done before", "POST /orders"])
        let cut = try #require(spans.first { $0.kind == .server })
        #expect(cut.traceID == trace && cut.spanID == SpanID(5) && cut.parent == SpanID(6))
        #expect(cut.status == .error && cut.duration == .nanoseconds(1_000))
        #expect(cut.text(.errorType) == "process_ended")
        #expect(collector.counters.cutOff == 1)
        collector.shutdown()
    }

    @Test func onlyTracesThatTheirRootsKeepAreHandedOn() throws {
        let edge = TelemetryPipeline(origin: sampleOrigin)
        let inner = TelemetryPipeline(origin: SpanOrigin(instance: InstanceID(high: 5, low: 5), service: "ledger", tier: "enterprise"))
        collector.add(try edge.makeSource(), line: 7)
        collector.add(try inner.makeSource(), line: 8)
        collector.setKeeping(TraceKeeping(rest: 0.1))
        for number in 1...100 as ClosedRange<UInt64> {
            let trace = TraceID(high: 1, low: number)
            inner.shared.record(sampleHeader(number, trace: trace)) { $0.name("inner") }
            edge.shared.record(sampleHeader(1000 + number, trace: trace, decision: number % 10 == 0 ? .error : .notKept)) {
                $0.name("root")
            }
            if number % 7 == 0 { collector.turn() }
        }
        collector.turn()
        #expect(handed.spans.count == 20)
        #expect(Set(handed.spans.map(\.traceID.low)) == Set(stride(from: 10, through: 100, by: 10)))
        #expect(handed.spans.filter { $0.name == "root" }.allSatisfy { $0.text(.kept) == "error" })
        let counters = collector.counters.keeper
        #expect(counters.arrived == 200 && counters.kept == 20 && counters.notKept == 180 && counters.held == 0)
        collector.shutdown()
    }

    @Test func whatIsNoMemoryOfSpansIsRefusedAndCounted() throws {
        defer { end() }
        try collector.start(path: path)
        let descriptor = open("/dev/null", O_RDWR)
        defer { close(descriptor) }
        #expect(throws: SpanSegmentError.self) { try SpanSource(origin: sampleOrigin, mapping: dup(descriptor)) }
        let memory = try SharedMemory(name: "test", count: 100)
        #expect(throws: SpanSegmentError.self) { try SpanSource(origin: sampleOrigin, mapping: dup(memory.descriptor)) }
    }
}
