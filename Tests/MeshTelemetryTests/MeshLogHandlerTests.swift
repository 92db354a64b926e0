import Foundation
import Logging
import MeshModel
import MeshTelemetry
import Testing

@Suite("Log handler")
struct MeshLogHandlerTests {
    private final class Lines: Sendable {
        let lines = Guarded<[String]>([])
        func logger(_ format: LogFormat) -> Logger {
            let output = LogOutput(time: { UnixTime(nanoseconds: 1_700_000_000_123_456_789) }) { line in
                self.lines.withLock { $0.append(line) }
            }
            return Logger(label: "orders", factory: { MeshLogHandler(label: $0, format: format, output: output) })
        }
        var all: [String] { lines.withLock { $0 } }
    }

    @Test func writesOneLineOfText() {
        let lines = Lines()
        lines.logger(.text).info("order confirmed", metadata: ["id": "42", "who": "a b"])
        #expect(lines.all == [#"2023-11-14T22:13:20.123Z info orders: order confirmed id=42 who="a b""#])
    }

    @Test func leavesTheTimeToWhoReads() {
        let lines = Lines()
        let output = LogOutput(time: { UnixTime(nanoseconds: 0) }) { line in lines.lines.withLock { $0.append(line) } }
        for format in LogFormat.allCases {
            Logger(label: "orders", factory: { MeshLogHandler(label: $0, format: format, output: output, isTimed: false) }).info("hello")
        }
        #expect(
            lines.all == ["info orders: hello", #"{"time":"1970-01-01T00:00:00.000Z","level":"info","label":"orders","message":"hello"}"#])
    }

    @Test func escapesWhatCouldForgeALine() {
        let lines = Lines()
        lines.logger(.text).error("a\nb\u{1b}[31m\u{9b}\u{7f}", metadata: ["k": "x\r\ny", "e": ""])
        #expect(
            lines.all == [#"2023-11-14T22:13:20.123Z error orders: a\nb\u{1b}[31m\u{9b}\u{7f} e="" k=x\r\ny"#])
    }

    @Test func carriesTheTraceOfTheRequest() async {
        let lines = Lines()
        let logger = lines.logger(.text)
        let trace = TraceContext(traceID: TraceID(high: 5, low: 6), spanID: SpanID(7), flags: 1)
        await RequestContext(trace: trace).run { logger.info("here") }
        logger.info("outside")
        #expect(
            lines.all == [
                "2023-11-14T22:13:20.123Z info orders: here span_id=0000000000000007 trace_id=00000000000000050000000000000006",
                "2023-11-14T22:13:20.123Z info orders: outside",
            ])
    }

    @Test func writesJSONThatOthersRead() throws {
        let lines = Lines()
        lines.logger(.json).warning(
            "quote \" slash \\ bell \u{7} line\n", metadata: ["list": ["a", ["k": "v"]], "level": "mine", "é": "ü\u{2028}"])
        let line = try #require(lines.all.first)
        #expect(!line.contains("\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["message"] as? String == "quote \" slash \\ bell \u{7} line\n")
        #expect(object["level"] as? String == "warning")
        #expect(object["é"] as? String == "ü\u{2028}")
        #expect((object["list"] as? [Any])?.count == 2)
    }

    @Test func holdsBackWhatIsBelowItsLevel() {
        let lines = Lines()
        lines.logger(.text).debug("quiet")
        #expect(lines.all.isEmpty)
    }
}
