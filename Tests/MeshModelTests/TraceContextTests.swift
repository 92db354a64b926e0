import MeshModel
import Testing

@Suite("A trace context")
struct TraceContextTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let span = "00f067aa0ba902b7"

    private func read(_ text: String) -> TraceContext? {
        Array(text.utf8).withUnsafeBytes { TraceContext(traceparent: $0) }
    }

    @Test("reads its fields")
    func fields() throws {
        let context = try #require(read("00-\(Self.trace)-\(Self.span)-01"))
        #expect(context.traceID.description == Self.trace && context.spanID.description == Self.span && context.flags == 1)
        #expect(context.traceparent == "00-\(Self.trace)-\(Self.span)-01")
    }

    /// The cases of W3C Trace Context, 3.2 and its test suite.
    @Test(
        "takes what the recommendation takes, and ignores the rest",
        arguments: [
            ("00-\(trace)-\(span)-01", true),
            ("00-\(trace)-\(span)-00", true),
            ("00-\(trace)-\(span)-ff", true),
            ("00-\(trace)-\(span)-01-more", false),
            ("00-\(trace)-\(span)-01-", false),
            ("00-\(trace)-\(span)-1", false),
            ("00-\(trace)-\(span)-0G", false),
            ("00-\(trace)-\(span)-", false),
            ("01-\(trace)-\(span)-01", true),
            ("cc-\(trace)-\(span)-01-what-the-future-brings", true),
            ("cc-\(trace)-\(span)-01.what", false),
            ("ff-\(trace)-\(span)-01", false),
            ("0-\(trace)-\(span)-01", false),
            ("0G-\(trace)-\(span)-01", false),
            ("00-00000000000000000000000000000000-\(span)-01", false),
            ("00-\(trace)-0000000000000000-01", false),
            ("00-\(trace.uppercased())-\(span)-01", false),
            ("00-\(trace)-\(span.uppercased())-01", false),
            ("00_\(trace)-\(span)-01", false),
            ("00-\(trace)_\(span)-01", false),
            ("00-\(trace)-\(span)_01", false),
            ("00-\(trace) -\(span)-01", false),
            (" 00-\(trace)-\(span)-01", false),
            ("", false),
            ("-", false),
        ])
    func edges(row: (text: String, isRead: Bool)) { #expect((read(row.text) != nil) == row.isRead) }

    @Test("writes 55 bytes in place")
    func writes() {
        var random = RandomSource(seed: 1)
        for flags: UInt8 in [0, 1, 3, 0xff] {
            let context = TraceContext(traceID: .random(&random), spanID: .random(&random), flags: flags)
            #expect(context.traceparent.utf8.count == TraceContext.headerLength)
            #expect(read(context.traceparent) == context)
        }
    }
}
