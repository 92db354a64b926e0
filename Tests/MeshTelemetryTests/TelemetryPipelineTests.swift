import MeshModel
import MeshTelemetry
import Testing

/// A sink that takes what it is told to take.
final class ScriptedSink: Sendable {
    private let state = Guarded((accepts: true, batches: [SpanBatch]()))

    var accepts: Bool {
        get { state.withLock { $0.accepts } }
        set { state.withLock { $0.accepts = newValue } }
    }

    var batches: [SpanBatch] { state.withLock { $0.batches } }

    var spans: [DecodedSpan] { batches.flatMap { (try? $0.decoded().spans) ?? [] } }

    func take(_ batch: SpanBatch) -> Bool {
        state.withLock { state in
            if state.accepts { state.batches.append(batch) }
            return state.accepts
        }
    }
}

func sampleHeader(_ number: UInt64) -> SpanHeader {
    SpanHeader(
        kind: .internal, traceID: TraceID(high: 1, low: 1), spanID: SpanID(number), parent: nil, start: Instant(nanoseconds: 10),
        end: Instant(nanoseconds: 20)
    )
}

@Suite("Telemetry pipeline")
struct TelemetryPipelineTests {
    private func settings(_ change: (inout TelemetryPipeline.Settings) -> Void = { _ in }) -> TelemetryPipeline.Settings {
        var settings = TelemetryPipeline.Settings()
        change(&settings)
        return settings
    }

    @Test func carriesSpansOfEveryRecorder() {
        let sink = ScriptedSink()
        let pipeline = TelemetryPipeline(origin: sampleOrigin, sink: sink.take)
        pipeline.makeRecorder().record(sampleHeader(1)) { $0.name("loop one") }
        pipeline.makeRecorder().record(sampleHeader(2)) { $0.name("loop two") }
        pipeline.shared.record(sampleHeader(3)) { $0.name("a task") }
        pipeline.turn(anchor: sampleAnchor)
        #expect(Set(sink.spans.map(\.name)) == ["loop one", "loop two", "a task"])
        #expect(sink.batches.allSatisfy { $0.origin == sampleOrigin && $0.anchor == sampleAnchor && $0.dropped == 0 })
        pipeline.turn()
        #expect(sink.spans.count == 3)
    }

    @Test func splitsBatchesAtTheLimit() {
        let sink = ScriptedSink()
        let pipeline = TelemetryPipeline(origin: sampleOrigin, settings: settings { $0.batchLimit = 120 }, sink: sink.take)
        for number in 1...5 as ClosedRange<UInt64> { pipeline.shared.record(sampleHeader(number)) { _ in } }
        pipeline.turn()
        #expect(sink.batches.map(\.count) == [2, 2, 1])
    }

    @Test func offersAgainWhatWasRefused() {
        let sink = ScriptedSink()
        let pipeline = TelemetryPipeline(origin: sampleOrigin, sink: sink.take)
        sink.accepts = false
        for number in 1...3 as ClosedRange<UInt64> {
            pipeline.shared.record(sampleHeader(number)) { _ in }
            pipeline.turn()
        }
        #expect(sink.spans.isEmpty)
        sink.accepts = true
        pipeline.turn()
        #expect(sink.spans.map(\.spanID.value) == [1, 2, 3])
        #expect(pipeline.dropped == 0)
    }

    @Test func losesTheOldestOfABacklogThatIsFullAndSaysHowMany() {
        let sink = ScriptedSink()
        // A record without items has 52 bytes: three fit.
        let pipeline = TelemetryPipeline(origin: sampleOrigin, settings: settings { $0.backlogLimit = 160 }, sink: sink.take)
        sink.accepts = false
        for number in 1...5 as ClosedRange<UInt64> {
            pipeline.shared.record(sampleHeader(number)) { _ in }
            pipeline.turn()
        }
        #expect(pipeline.dropped == 2)
        sink.accepts = true
        pipeline.shared.record(sampleHeader(6)) { _ in }
        pipeline.turn()
        #expect(sink.spans.map(\.spanID.value) == [4, 5, 6])
        #expect(pipeline.dropped == 3)
    }

    @Test func tellsTheDaemonOfDropsInTheRing() {
        let sink = ScriptedSink()
        let pipeline = TelemetryPipeline(origin: sampleOrigin, settings: settings { $0.ringCapacity = 256 }, sink: sink.take)
        let recorder = pipeline.makeRecorder()
        for number in 1...10 as ClosedRange<UInt64> { recorder.record(sampleHeader(number)) { _ in } }
        pipeline.turn()
        #expect(sink.spans.count == 4)
        #expect(sink.batches.last?.dropped == 6)
        #expect(pipeline.dropped == 6)
    }

    @Test func drainsOnceMoreAtTheEndAndCountsWhatNobodyTook() {
        let sink = ScriptedSink()
        let pipeline = TelemetryPipeline(origin: sampleOrigin, settings: settings { $0.interval = .seconds(3600) }, sink: sink.take)
        pipeline.start()
        pipeline.shared.record(sampleHeader(1)) { _ in }
        pipeline.shutdown()
        #expect(sink.spans.count == 1)

        let deaf = TelemetryPipeline(origin: sampleOrigin, sink: { _ in false })
        deaf.shared.record(sampleHeader(1)) { _ in }
        deaf.shutdown()
        #expect(deaf.dropped == 1)
    }

    @Test(.timeLimit(.minutes(10)))
    func aRingThreeQuartersFullWakesTheThread() async {
        let sink = ScriptedSink()
        let pipeline = TelemetryPipeline(
            origin: sampleOrigin,
            settings: settings {
                $0.interval = .seconds(3600)
                $0.ringCapacity = 4096
            }, sink: sink.take)
        pipeline.start()
        // 60 records of 52 bytes pass three quarters of 4096.
        for number in 1...60 as ClosedRange<UInt64> { pipeline.shared.record(sampleHeader(number)) { _ in } }
        while sink.spans.isEmpty { await Task.yield() }
        pipeline.shutdown()
        #expect(sink.spans.count == 60)
    }

    @Test func aDisabledRecorderRecordsAndCountsNothing() {
        SpanRecorder.disabled.record(sampleHeader(1)) { _ in Issue.record("not to be called") }
        #expect(SpanRecorder.disabled.ring.dropped == 0)
    }
}
