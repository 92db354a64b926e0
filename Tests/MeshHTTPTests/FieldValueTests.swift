import MeshHTTP
import MeshModel
import Testing

@Suite struct FieldValueTests {
    func read<Value>(_ value: String, _ body: (UnsafeRawBufferPointer) -> Value) -> Value { GuardedBytes.with(bytes(value), body) }

    @Test(
        arguments: [
            ("0", 0), ("007", 7), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil), ("", nil), ("-1", nil), ("+1", nil),
            ("1 ", nil), ("1a", nil),
            ("99999999999999999999999", nil),
        ] as [(String, UInt64?)])
    func decimalsAreRead(_ value: String, _ number: UInt64?) {
        #expect(read(value) { FieldValue.decimal($0) } == number)
    }

    @Test(
        arguments: [
            ("1H", .seconds(3600)), ("2M", .seconds(120)), ("3S", .seconds(3)), ("4m", .milliseconds(4)), ("5u", .microseconds(5)),
            ("6n", .nanoseconds(6)),
            ("99999999H", .seconds(86_400)), ("100000000m", nil), ("1", nil), ("m", nil), ("", nil), ("1s", nil), ("-1m", nil),
            ("1 m", nil), ("1.5S", nil),
        ] as [(String, Timespan?)])
    func gRPCTimeoutsAreRead(_ value: String, _ span: Timespan?) {
        #expect(read(value) { FieldValue.grpcTimeout($0) } == span)
    }

    @Test(
        arguments: [
            (Timespan.zero, "0u"), (.nanoseconds(-5), "0u"), (.milliseconds(998), "998000u"), (.seconds(99), "99000000u"),
            (.seconds(100), "100000m"),
            (.seconds(99_999), "99999000m"), (.seconds(100_000), "100000S"), (.nanoseconds(1_999), "1u"),
        ] as [(Timespan, String)])
    func gRPCTimeoutsAreWritten(_ span: Timespan, _ value: String) {
        var sink: [UInt8] = []
        FieldValue.appendGRPCTimeout(span, into: &sink)
        #expect(text(sink) == value)
        if span.nanoseconds % 1000 == 0, span >= .zero, span <= .seconds(86_400) {
            #expect(read(value) { FieldValue.grpcTimeout($0) } == span)
        }
    }

    @Test func meshTimeoutsAreRead() {
        #expect(read("998") { FieldValue.meshTimeout($0) } == .milliseconds(998))
        #expect(read("0") { FieldValue.meshTimeout($0) } == .zero)
        #expect(read("99999999999999") { FieldValue.meshTimeout($0) } == .seconds(86_400))
        #expect(read("-1") { FieldValue.meshTimeout($0) } == nil)
    }

    @Test(arguments: [("5", GRPCRetryPushback.after(.milliseconds(5))), ("0", .after(.zero)), ("-1", .never), ("x", .never), ("", .never)])
    func pushbacksAreRead(_ value: String, _ pushback: GRPCRetryPushback) {
        #expect(read(value) { FieldValue.grpcRetryPushback($0) } == pushback)
    }

    static let now = UnixTime(nanoseconds: 784_111_777 * 1_000_000_000)

    @Test(
        arguments: [
            ("120", Timespan.seconds(120)), ("0", .zero), ("999999999", .seconds(86_400)), ("Sun, 06 Nov 1994 08:49:47 GMT", .seconds(10)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", .zero), ("Sat, 05 Nov 1994 08:49:37 GMT", .zero),
            ("Sun, 06 Nov 2094 08:49:37 GMT", .seconds(86_400)),
            ("Sun, 06 Nov 9994 08:49:37 GMT", .seconds(86_400)), ("soon", nil), ("-1", nil), ("1.5", nil), ("", nil),
        ] as [(String, Timespan?)])
    func retryAfterIsRead(_ value: String, _ span: Timespan?) {
        #expect(read(value) { FieldValue.retryAfter($0, now: Self.now) } == span)
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    ])
    func theThreeFormsOfADateAreRead(_ value: String) {
        #expect(read(value) { HTTPDate.parse($0) } == Self.now)
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun Nov 06 08:49:37 199", "Sun Nov", "Sunday, 06-Nov-1994 08:49:37 GMT", ",", "Sun,", "",
    ])
    func whatIsNoDateIsNotRead(_ value: String) {
        #expect(read(value) { HTTPDate.parse($0) } == nil)
    }

    @Test(
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"), (1_795_251_600, "Sat, 21 Nov 2026 09:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        ] as [(Int64, String)])
    func datesAreWritten(_ seconds: Int64, _ value: String) {
        var sink: [UInt8] = []
        HTTPDate.append(UnixTime(nanoseconds: seconds * 1_000_000_000), into: &sink)
        #expect(text(sink) == value)
        #expect(read(value) { HTTPDate.parse($0) } == UnixTime(nanoseconds: seconds * 1_000_000_000))
    }

    @Test func writtenDatesAreReadBack() {
        var random = RandomSource(seed: 3)
        for _ in 0..<2000 {
            let seconds = Int64(random.next(below: 9_000_000_000))
            var sink: [UInt8] = []
            HTTPDate.append(UnixTime(nanoseconds: seconds * 1_000_000_000), into: &sink)
            #expect(sink.withUnsafeBytes { HTTPDate.parse($0) } == UnixTime(nanoseconds: seconds * 1_000_000_000))
        }
    }

    @Test func listsAreTakenApart() {
        read("a, b ,,\t c\t,") { value in
            var list = ListElements(value)
            var elements: [String] = []
            while let element = list.next() { elements.append(text(element)) }
            #expect(elements == ["a", "b", "c"])
        }
    }
}
