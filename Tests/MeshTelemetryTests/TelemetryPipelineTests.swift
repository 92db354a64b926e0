import Foundation
import MeshModel
import Testing

@testable import MeshTelemetry

func sampleHeader(_ number: UInt64, trace: TraceID = TraceID(high: 1, low: 1), decision: KeepReason? = nil) -> SpanHeader {
    SpanHeader(
        kind: .internal, traceID: trace, spanID: SpanID(number), parent: SpanID(99), start: Instant(nanoseconds: 10),
        end: Instant(nanoseconds: 20), decision: decision)
}

@Suite("Telemetry pipeline")
struct TelemetryPipelineTests {
    @Test func carriesSpansOfEveryRecorder() throws {
        let pipeline = TelemetryPipeline(origin: sampleOrigin)
        let recorded = RecordedSpans(pipeline)
        pipeline.makeRecorder().record(sampleHeader(1)) { $0.name("loop one") }
        pipeline.makeRecorder().record(sampleHeader(2)) { $0.name("loop two") }
        pipeline.shared.record(sampleHeader(3)) { $0.name("a task") }
        #expect(Set(recorded.all.map(\.name)) == ["loop one", "loop two", "a task"])
        #expect(recorded.all.allSatisfy { $0.origin == sampleOrigin })
        #expect(recorded.all.count == 3)
    }

    @Test func theMemoryOfAllRingsIsBoundedAndUntouchedPagesTakeNone() throws {
        var settings = TelemetryPipeline.Settings()
        settings.loops = 4
        let pipeline = TelemetryPipeline(origin: sampleOrigin, settings: settings)
        let rings = 5
        #expect(pipeline.memorySize <= rings * (SpanRing.defaultCapacity + 64 << 10) + 4096)
        let recorder = pipeline.makeRecorder()
        for number in 1...100_000 as ClosedRange<UInt64> { recorder.record(sampleHeader(number)) { $0.name("full") } }
        #expect(pipeline.dropped > 0)
    }

    @Test func oneLoopTooManyRecordsNothing() {
        var settings = TelemetryPipeline.Settings()
        settings.loops = 1
        let pipeline = TelemetryPipeline(origin: sampleOrigin, settings: settings)
        #expect(pipeline.makeRecorder().isEnabled)
        #expect(!pipeline.makeRecorder().isEnabled)
    }

    @Test func aDisabledRecorderRecordsAndCountsNothing() {
        SpanRecorder.disabled.record(sampleHeader(1)) { _ in Issue.record("not to be called") }
        #expect(SpanRecorder.disabled.ring == nil)
    }
}
