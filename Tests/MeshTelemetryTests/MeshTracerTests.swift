import Logging
import MeshModel
import MeshTelemetry
import Testing
import Tracing

private struct Fields: Injector, Extractor {
    typealias Carrier = [String: String]
    func inject(_ value: String, forKey key: String, into carrier: inout Carrier) { carrier[key] = value }
    func extract(key: String, from carrier: Carrier) -> String? { carrier[key] }
}

private struct OutOfStock: Error, CustomStringConvertible {
    var description: String { "no tea left" }
}

@Suite("Tracer")
struct MeshTracerTests {
    private let recorded: RecordedSpans
    private let tracer: MeshTracer
    private let request = TraceContext(traceID: TraceID(high: 5, low: 6), spanID: SpanID(7), flags: 3)

    init() {
        let pipeline = TelemetryPipeline(origin: sampleOrigin)
        recorded = RecordedSpans(pipeline)
        tracer = MeshTracer(recorder: pipeline.shared, random: RandomSource(seed: 1))
    }

    private var spans: [String: DecodedSpan] {
        Dictionary(uniqueKeysWithValues: recorded.all.map { ($0.name, $0) })
    }

    @Test func nestsUnderTheRequest() async throws {
        await RequestContext(trace: request).run {
            tracer.withSpan("outer") { _ in
                tracer.withSpan("inner") { span in
                    span.attributes["order.id"] = 42
                    #expect(TraceContext.current?.spanID == span.context.trace?.spanID)
                }
            }
            #expect(TraceContext.current == request)
        }
        let outer = try #require(spans["outer"])
        let inner = try #require(spans["inner"])
        #expect(outer.traceID == request.traceID)
        #expect(outer.parent == request.spanID)
        #expect(inner.parent == outer.spanID)
        #expect(inner.attributes == [.init("order.id", .integer(42))])
        #expect(inner.kind == .internal)
        #expect(inner.start >= outer.start)
        #expect(inner.end <= outer.end)
    }

    @Test func aContextWithinAnotherIsTheParent() async throws {
        let detached = TraceContext(traceID: TraceID(high: 8, low: 9), spanID: SpanID(10), flags: 3)
        await RequestContext(trace: request).run {
            await tracer.withSpan("outer") { _ in
                await RequestContext(trace: detached).run {
                    tracer.withSpan("compensation") { _ in }
                }
            }
        }
        #expect(spans["compensation"]?.parent == detached.spanID)
        #expect(spans["compensation"]?.traceID == detached.traceID)
    }

    @Test func aSpanWithoutRequestBeginsATrace() throws {
        tracer.withSpan("job") { _ in }
        let job = try #require(spans["job"])
        #expect(job.parent == nil)
        #expect(job.traceID.high | job.traceID.low != 0)
    }

    @Test func anErrorIsAStatusAndAnEvent() throws {
        #expect(throws: OutOfStock.self) { try tracer.withSpan("reserve") { _ in throw OutOfStock() } }
        let span = try #require(spans["reserve"])
        #expect(span.status == .error)
        let event = try #require(span.events.first)
        #expect(event.name == "exception")
        #expect(event.attributes.contains(.init("exception.message", .string("no tea left"))))
    }

    @Test func isRecordedOnce() {
        let span = tracer.startSpan("twice")
        span.end()
        span.operationName = "later"
        span.end()
        #expect(!span.isRecording)
        #expect(spans.keys.sorted() == ["twice"])
    }

    @Test func keepsLinksAndTheTimesItIsTold() throws {
        let start = DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: 1_700_000_000_000_000_000)
        let end = DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: 1_700_000_000_250_000_000)
        var other = ServiceContext.topLevel
        other.trace = request
        let span = tracer.startSpan("import", ofKind: .consumer, at: start)
        span.addLink(SpanLink(context: other, attributes: [:]))
        span.end(at: end)
        let decoded = try #require(spans["import"])
        #expect(decoded.links == [.init(traceID: request.traceID, spanID: request.spanID)])
        #expect(abs(decoded.duration.nanoseconds - 250_000_000) < 5_000_000)
        #expect(decoded.attributes == [.init("mesh.kept", .string("all")), .init("mesh.span_kind", .string("consumer"))])
    }

    @Test func injectsAndExtractsTraceparent() {
        var context = ServiceContext.topLevel
        context.trace = request
        var carrier: [String: String] = [:]
        tracer.inject(context, into: &carrier, using: Fields())
        #expect(carrier == ["traceparent": "00-00000000000000050000000000000006-0000000000000007-03"])
        var read = ServiceContext.topLevel
        tracer.extract(carrier, into: &read, using: Fields())
        #expect(read.trace == request)
        var untouched = ServiceContext.topLevel
        tracer.extract(["traceparent": "00-junk"], into: &untouched, using: Fields())
        #expect(untouched.trace == nil)
    }
}
