import Logging
import MeshModel
import MeshTelemetry
import Testing

@testable import MeshSidecar

@Suite struct LoggingTests {
    /// Lines as they were written, in order.
    private final class Lines: Sendable {
        private let written = Guarded<[String]>([])

        var all: [String] { written.withLock { $0 } }

        func output() -> LogOutput {
            LogOutput(time: { UnixTime(nanoseconds: 0) }) { line in self.written.withLock { $0.append(line) } }
        }
    }

    private static func logger(_ ordinary: Lines, _ grave: Lines) -> Logger {
        Logger(label: "orders") { label in
            DividingLogHandler(
                ordinary: MeshLogHandler(label: label, output: ordinary.output()),
                grave: MeshLogHandler(label: label, output: grave.output()))
        }
    }

    @Test func `warnings and errors go one way, everything else another, and the level rules both`() {
        let (ordinary, grave) = (Lines(), Lines())
        var logger = Self.logger(ordinary, grave)
        logger[metadataKey: "order"] = "7"
        logger.debug("unheard")
        logger.info("one")
        logger.warning("two")
        logger.error("three")
        logger.logLevel = .error
        logger.info("unheard")
        logger.warning("unheard")
        #expect(ordinary.all == ["1970-01-01T00:00:00.000Z info orders: one order=7"])
        #expect(
            grave.all == [
                "1970-01-01T00:00:00.000Z warning orders: two order=7", "1970-01-01T00:00:00.000Z error orders: three order=7",
            ])
    }

    @Test func `a line in a request carries its trace`() async {
        let (ordinary, grave) = (Lines(), Lines())
        let logger = Self.logger(ordinary, grave)
        let trace = TraceContext(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), flags: 1)
        await RequestContext(trace: trace).run { logger.info("inside") }
        #expect(
            ordinary.all == [
                "1970-01-01T00:00:00.000Z info orders: inside span_id=0000000000000003 trace_id=00000000000000010000000000000002"
            ])
    }
}
