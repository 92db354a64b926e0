import Foundation
import MeshModel
import MeshStore
import MeshTelemetry
import TestSupport
import Testing

@Suite("Trace export", .calculating)
struct TraceExportTests {
    /// Spans with everything that a span can have.
    private static func spans(_ seed: UInt64) -> [DecodedSpan] {
        var random = RandomSource(seed: seed)
        let words = ["", "a", "é\u{1F600}", "line\nbreak", "quote\"\\", "\u{1}", "mesh.kind?", String(repeating: "x", count: 300)]
        func word() -> String { words[random.next(below: words.count)] }
        func value(_ depth: Int = 0) -> AttributeValue {
            switch random.next(below: depth == 0 ? 6 : 5) {
            case 0: .string(word())
            case 1: .integer(Int64(bitPattern: random.next()))
            case 2: .double(Double(random.next(below: 1_000)))
            case 3: .double(random.next(below: 2) == 0 ? .infinity : 0.1)
            case 4: .bool(random.next(below: 2) == 0)
            default: .array((0..<random.next(below: 3)).map { _ in value(1) })
            }
        }
        let origins = (0..<3 as Range<UInt64>).map {
            SpanOrigin(
                instance: InstanceID(high: 0xabc, low: $0), service: "service-\($0)", tier: "domain", version: $0 == 1 ? "v2" : nil,
                clock: $0)
        }
        let trace = TraceID.random(&random)
        return (0..<1 + random.next(below: 20)).map { index in
            let start = UnixTime(nanoseconds: 1_795_262_400_000_000_000 + Int64(random.next(below: 1_000_000_000)))
            return DecodedSpan(
                traceID: trace, spanID: .random(&random), parent: index == 0 ? nil : .random(&random),
                origin: origins[random.next(below: 3)],
                kind: SpanKind.allCases[random.next(below: SpanKind.allCases.count)], name: word(), start: start,
                monotonicStart: Instant(nanoseconds: start.nanoseconds), duration: .nanoseconds(Int64(random.next(below: 1_000_000_000))),
                status: SpanStatus.allCases[random.next(below: 3)],
                attributes: (0..<random.next(below: 5)).map { .init("key.\($0)", value()) },
                events: (0..<random.next(below: 3)).map {
                    .init(name: word(), time: UnixTime(nanoseconds: start.nanoseconds + Int64($0)), attributes: [.init("k", value())])
                },
                links: random.next(below: 3) == 0 ? [.init(traceID: .random(&random), spanID: .random(&random))] : [],
                isTruncated: random.next(below: 5) == 0)
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func whatIsExportedIsImportedAsTheSameTrace(seed: UInt64) throws {
        let spans = Self.spans(seed)
        let back = try OTLPJSON.decode(TraceFormat.otlp.encode([spans]))
        #expect(Set(back) == Set(spans))
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func whatIsImportedIsShownAsItWas(seed: UInt64) throws {
        let folder = TemporaryFolder()
        let store = TraceStore(folder: folder.path + "/traces")
        let story = CriticalPathTests.random(seed)
        let bytes = TraceFormat.otlp.encode([story.spans])
        store.ingest(SpanImport.batches(try OTLPJSON.decode(bytes)), wall: Story.noon)
        let shown = try store.show("last")
        let there = story.analysis
        #expect(shown.analysis.path == there.path)
        #expect(shown.why == there.explanation(shown.comparison))
        #expect(
            store.spans(of: [shown.traceID]).first?.map { Self.essence($0) } == TraceTree(story.spans).nodes.map { Self.essence($0.span) })
    }

    private static func essence(_ span: DecodedSpan) -> String {
        "\(span.spanID) \(String(describing: span.parent)) \(span.origin.service) \(span.kind) \(span.name) \(span.start.nanoseconds) "
            + "\(span.duration.nanoseconds) \(span.status) \(span.attributes)"
    }

    @Test(arguments: TraceFormat.allCases)
    func isJSONWithAllSpans(format: TraceFormat) throws {
        for seed in 0..<20 as Range<UInt64> {
            let spans = Self.spans(seed)
            let value = try JSONSerialization.jsonObject(with: Data(format.encode([spans])))
            let count: Int
            switch format {
            case .otlp:
                let resources = (value as? [String: Any])?["resourceSpans"] as? [[String: Any]] ?? []
                count = resources.flatMap { ($0["scopeSpans"] as? [[String: Any]] ?? []).flatMap { $0["spans"] as? [Any] ?? [] } }.count
            case .jaeger:
                let data = (value as? [String: Any])?["data"] as? [[String: Any]] ?? []
                let found = data.first?["spans"] as? [[String: Any]] ?? []
                let processes = data.first?["processes"] as? [String: Any] ?? [:]
                #expect(found.allSatisfy { ($0["processID"] as? String).map { processes[$0] != nil } ?? false })
                count = found.count
            case .zipkin: count = (value as? [Any] ?? []).count
            case .chrome:
                let events = (value as? [String: Any])?["traceEvents"] as? [[String: Any]] ?? []
                count = events.filter { $0["ph"] as? String == "X" }.count
            }
            #expect(count == spans.count)
        }
    }

    /// As doubles, which is how viewers hold them: one that drops what crosses another would lose spans by a quarter of a microsecond.
    @Test func spansOfOneLaneNest() throws {
        for seed in 0..<50 as Range<UInt64> {
            var random = RandomSource(seed: seed)
            var spans = CriticalPathTests.random(seed).spans
            for index in spans.indices {
                spans[index].start = UnixTime(nanoseconds: spans[index].start.nanoseconds + Int64(random.next(below: 1_000)))
            }
            let value = try JSONSerialization.jsonObject(with: Data(TraceFormat.chrome.encode([spans])))
            let events = (value as? [String: Any])?["traceEvents"] as? [[String: Any]] ?? []
            let lanes = Dictionary(grouping: events.filter { $0["ph"] as? String == "X" }) { "\($0["pid"] ?? 0) \($0["tid"] ?? 0)" }
            for lane in lanes.values {
                let times = lane.map { event -> (Double, Double) in
                    let start = event["ts"] as? Double ?? 0
                    return (start, start + (event["dur"] as? Double ?? 0))
                }
                for left in times.indices {
                    for right in times.indices where left < right {
                        let (a, b) = (times[left], times[right])
                        let isApart = a.1 <= b.0 || b.1 <= a.0
                        let isNested = (a.0 <= b.0 && b.1 <= a.1) || (b.0 <= a.0 && a.1 <= b.1)
                        #expect(isApart || isNested, "\(a) and \(b)")
                    }
                }
            }
        }
    }

    @Test func saysWhatIsNoTrace() {
        #expect(throws: OTLPImportError.unreadable) { try OTLPJSON.decode(Array("{}".utf8)) }
        #expect(throws: OTLPImportError.badID("12")) {
            try OTLPJSON.decode(
                Array(
                    #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"12","spanId":"34","name":"x","startTimeUnixNano":"1","endTimeUnixNano":2}]}]}]}"#
                        .utf8))
        }
    }
}
