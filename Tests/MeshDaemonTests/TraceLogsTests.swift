import Foundation
import MeshAdminAPI
import Testing

@testable import meshd

/// What was logged for a trace, as the log of an instance has it.
@Suite final class TraceLogsTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mesh-logs-\(UUID().uuidString)")
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"
    private static let noon = Timestamp(nanoseconds: 1_795_262_400_000_000_000)

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private static func at(_ milliseconds: Int64) -> Timestamp { Timestamp(nanoseconds: noon.nanoseconds + milliseconds * 1_000_000) }

    private func log(_ lines: [(Int64, String)]) throws -> LogSource {
        let path = folder.appendingPathComponent("log").path
        let text = lines.map { "\(Self.at($0.0).description) 41a0 out \($0.1)\n" }.joined()
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return LogSource(service: "orders", replica: "orders-1", path: path)
    }

    @Test(arguments: [
        (
            "warning orders.checkout: order 7 is undone later: timeout span_id=\(span) trace_id=\(trace)",
            "orders.checkout: order 7 is undone later: timeout", "warning"
        ),
        (
            "info orders: paid cents=790 span_id=\(span) trace_id=\(trace) who=\"a b\"", "orders: paid cents=790 who=\"a b\"", "info"
        ),
        (
            #"{"time":"2026-11-21T12:00:00.000Z","level":"info","label":"orders","message":"paid","cents":790,"span_id":"\#(span)","trace_id":"\#(trace)"}"#,
            "orders: paid cents=790", "info"
        ),
        ("2026 [INFO] told by python trace_id=\(trace) span_id=\"\(span)\"", "2026 [INFO] told by python span_id=\"\(span)\"", nil),
    ])
    func aLineIsShownWithoutItsIDs(_ line: String, _ text: String, _ level: String?) {
        let read = TracedLine(line, trace: Self.trace)
        #expect(read.text == text && read.level == level && read.spanID == Self.span)
    }

    @Test func aLineOfAStrangerIsTakenAsItIs() {
        #expect(TracedLine("{\"no\": \"log\"", trace: Self.trace) == TracedLine("{\"no\": \"log\"", trace: ""))
        #expect(TracedLine("paid", trace: Self.trace).text == "paid")
    }

    @Test func linesStandUnderTheirSpans() throws {
        let ids = "span_id=\(Self.span) trace_id=\(Self.trace)"
        let source = try log([
            (-60_000, "info orders: another day \(ids)"), (3, "info orders: reserved \(ids)"), (4, "info orders: of another trace"),
            (5, "trace_id=\(Self.trace) from a program that knows no spans"), (9_000, "info orders: far too late \(ids)"),
        ])
        func span(_ id: String, _ start: Int64) -> TraceSpan {
            TraceSpan(
                spanID: id, parentSpanID: nil, service: "orders", tier: "domain", instance: "", kind: .server, name: "POST /orders",
                startUnixNano: Self.at(start).nanoseconds, durationNS: 10_000_000)
        }
        var detail = TraceDetail(traceID: Self.trace, spans: [span("00f067aa0ba902b7", 0), span(Self.span, 1)])
        TraceLogs(sources: [source]).join(&detail)
        #expect(detail.spans[1].logs == [.init(timeUnixNano: Self.at(3).nanoseconds, level: "info", text: "orders: reserved")])
        #expect(detail.spans[0].logs?.map(\.text) == ["trace_id=\(Self.trace) from a program that knows no spans"])
    }

    /// Longer than what is read at once, so that the place is searched by the times.
    @Test func aLongLogIsSearchedByItsTimes() throws {
        let filler = String(repeating: "x", count: 300)
        let source = try log(
            (0..<30_000).map { number in
                (Int64(number) * 10, number % 1_000 == 7 ? "info orders: \(number) trace_id=\(Self.trace)" : "info orders: \(filler)")
            })
        let lines = TraceLogs(sources: [source]).lines(of: Self.trace, from: Self.at(150_000), to: Self.at(156_000))
        #expect(lines.map(\.text) == ["info orders: 15007 trace_id=\(Self.trace)", "info orders: 16007 trace_id=\(Self.trace)"])
        #expect(TraceLogs(sources: [source]).lines(of: Self.trace, from: Self.at(400_000), to: Self.at(500_000)).isEmpty)
        let gone = LogSource(service: "orders", replica: "orders-2", path: folder.path + "/none")
        #expect(TraceLogs(sources: [gone]).lines(of: Self.trace, from: Self.at(0), to: Self.at(1)).isEmpty)
    }
}
