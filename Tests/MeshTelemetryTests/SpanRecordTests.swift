import MeshModel
import MeshTelemetry
import Testing

/// What a recorder wrote, drained and decoded again.
private func roundTrip(
    _ header: SpanHeader, origin: SpanOrigin = sampleOrigin, anchor: TimeAnchor = sampleAnchor, _ items: (inout SpanWriter) -> Void
) throws -> DecodedSpan {
    let ring = try SpanRing(capacity: 16384)
    SpanRecorder(ring: ring).record(header, items)
    var reader = SpanRingReader(ring)
    var bytes: [UInt8] = []
    let count = reader.drain(into: &bytes)
    let batch = SpanBatch(origin: origin, anchor: anchor, dropped: 0, count: count, records: bytes)
    let (spans, unreadable) = try SpanBatch(decoding: batch.encoded()).decoded()
    #expect(unreadable == 0)
    return try #require(spans.first)
}

let sampleOrigin = SpanOrigin(instance: InstanceID(high: 1, low: 2), service: "orders", tier: "domain")
let sampleAnchor = TimeAnchor(instant: Instant(nanoseconds: 1_000), wall: UnixTime(nanoseconds: 1_700_000_000_000_000_000))

private func header(_ kind: SpanKind = .server, parent: SpanID? = SpanID(7), status: SpanStatus = .unset) -> SpanHeader {
    SpanHeader(
        kind: kind, traceID: TraceID(high: 11, low: 12), spanID: SpanID(13), parent: parent, start: Instant(nanoseconds: 5_000),
        end: Instant(nanoseconds: 9_500), status: status
    )
}

@Suite("Span records")
struct SpanRecordTests {
    @Test func carriesEveryFixedField() throws {
        let span = try roundTrip(header(.attempt, status: .error)) { $0.name("GET /stock") }
        #expect(span.kind == .attempt)
        #expect(span.status == .error)
        #expect(span.traceID == TraceID(high: 11, low: 12))
        #expect(span.spanID == SpanID(13))
        #expect(span.parent == SpanID(7))
        #expect(span.name == "GET /stock")
        #expect(span.duration == .nanoseconds(4_500))
        #expect(span.start.nanoseconds == 1_700_000_000_000_000_000 + 4_000)
        #expect(span.monotonicStart.nanoseconds == 5_000)
        #expect(span.origin == sampleOrigin)
        #expect(!span.isTruncated)
    }

    @Test func aRootHasNoParent() throws {
        #expect(try roundTrip(header(parent: nil)) { _ in }.parent == nil)
    }

    @Test func namesAttributesAsOpenTelemetryDoes() throws {
        let endpoint = InstanceID(high: 0x0011_2233_4455_4677, low: 0x8899_aabb_ccdd_eeff)
        let span = try roundTrip(header()) { span in
            span.add(.httpRequestMethod, "POST")
            span.add(.httpResponseStatusCode, UInt16(503))
            span.add(.destination, String("inventory"))
            span.add(.retried, true)
            span.add(.upstreamTimeout)
            span.add(.endpoint, endpoint)
            span.add(.remainingMilliseconds, -3)
        }
        #expect(
            span.attributes == [
                .init("http.request.method", .string("POST")),
                .init("http.response.status_code", .integer(503)),
                .init("mesh.destination", .string("inventory")),
                .init("mesh.retried", .bool(true)),
                .init("mesh.flag", .string("UT")),
                .init("mesh.endpoint", .string("00112233-4455-4677-8899-aabbccddeeff")),
                .init("mesh.remaining_ms", .integer(-3)),
                // Said by the kind of span.
                .init("url.scheme", .string("http")),
            ])
        #expect(endpoint.description == span.text(.endpoint))
    }

    @Test func namesAServerSpanByMethodAndRoute() throws {
        let span = try roundTrip(header()) { span in
            "POST".utf8.withContiguousStorageIfAvailable { method in
                "/orders/**".utf8.withContiguousStorageIfAvailable { route in
                    span.name(method: UnsafeRawBufferPointer(method), route: UnsafeRawBufferPointer(route))
                }
            }
        }
        #expect(span.name == "POST /orders/**")
    }

    @Test func keepsEventsAndLinks() throws {
        let span = try roundTrip(header(.internal)) { span in
            span.add("order.id", .integer(42))
            span.event("reserved", after: .microseconds(2), [("sku", .string("tea")), ("left", .integer(3))])
            span.link(TraceID(high: 1, low: 2), SpanID(3))
            span.add("late", .bool(false))
        }
        #expect(span.attributes == [.init("order.id", .integer(42)), .init("late", .bool(false))])
        let event = try #require(span.events.first)
        #expect(event.name == "reserved")
        #expect(event.time.nanoseconds - span.start.nanoseconds == 2_000)
        #expect(event.attributes == [.init("sku", .string("tea")), .init("left", .integer(3))])
        #expect(span.links == [.init(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3))])
    }

    @Test func cutsLongStringsBetweenCharactersAndSaysSo() throws {
        let long = String(repeating: "ä", count: 2_000)
        let span = try roundTrip(header()) { $0.add(.urlPath, long) }
        let kept = try #require(span.text(.urlPath))
        #expect(kept.utf8.count == 1024)
        #expect(long.hasPrefix(kept))
        #expect(span.isTruncated)
    }

    @Test func leavesOutWhatDoesNotFitAndSaysSo() throws {
        let span = try roundTrip(header()) { span in
            span.name("big")
            for index in 0..<20 { span.add("key\(index)", .string(String(repeating: "x", count: 900))) }
        }
        #expect(span.name == "big")
        #expect(span.isTruncated)
        #expect(span.attributes.count == 8)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func roundTripsOverSeeds(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        let kind = SpanKind.allCases[random.next(below: SpanKind.allCases.count)]
        let status = SpanStatus.allCases[random.next(below: 3)]
        let start = Instant(nanoseconds: Int64(random.next(below: 1 << 50)))
        let head = SpanHeader(
            kind: kind, traceID: .random(&random), spanID: .random(&random), parent: random.next(below: 2) == 0 ? nil : .random(&random),
            start: start, end: start + .nanoseconds(Int64(random.next(below: 1 << 40))), status: status
        )
        var expected: [DecodedSpan.Attribute] = []
        for index in 0..<random.next(below: 12) {
            expected.append(.init("k\(index)", AttributeValue.random(&random, depth: 1)))
        }
        let span = try roundTrip(head) { span in
            for attribute in expected { span.add(attribute.name, attribute.value) }
        }
        // Whoever reads a failed span of a request finds the kind of its error, whether or not it was recorded.
        if status == .error, kind != .internal { expected.append(.init("error.type", .string("_OTHER"))) }
        #expect(span.attributes == expected)
        #expect(span.kind == kind)
        #expect(span.status == status)
        #expect(span.traceID == head.traceID)
        #expect(span.spanID == head.spanID)
        #expect(span.parent == head.parent)
        #expect(span.duration == head.end - head.start)
        #expect(span.monotonicStart == head.start)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func garbageIsAnErrorAndNeverACrash(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        let ring = try SpanRing(capacity: 65536)
        let recorder = SpanRecorder(ring: ring)
        for _ in 0..<3 {
            recorder.record(header()) { span in
                span.name("x")
                span.add("a", .random(&random, depth: 1))
                span.event("e", after: .nanoseconds(5), [("b", .bool(true))])
            }
        }
        var records: [UInt8] = []
        var reader = SpanRingReader(ring)
        let count = reader.drain(into: &records)
        var bytes = SpanBatch(origin: sampleOrigin, anchor: sampleAnchor, dropped: 0, count: count, records: records).encoded()
        // Cut it short, turn bytes, or make all of it noise.
        switch random.next(below: 3) {
        case 0: bytes.removeLast(1 + random.next(below: bytes.count))
        case 1: for _ in 0...random.next(below: 8) { bytes[random.next(below: bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
        default: bytes = (0..<random.next(below: 400)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
        do throws(SpanDecodingError) {
            _ = try SpanBatch(decoding: bytes).decoded()
        } catch {
            #expect(!error.description.isEmpty)
        }
    }

    @Test func aCutBatchIsTruncated() {
        let bytes = SpanBatch(origin: sampleOrigin, anchor: sampleAnchor, dropped: 0, count: 0, records: []).encoded()
        for length in 0..<bytes.count {
            #expect(throws: SpanDecodingError.self) { try SpanBatch(decoding: Array(bytes[..<length])) }
        }
        #expect(throws: SpanDecodingError.wrongCount(stated: 0, found: 1)) {
            try SpanBatch(decoding: bytes + [52, 0] + [UInt8](repeating: 0, count: 50))
        }
    }

    @Test func aRecordOfALaterVersionIsLeftOutAndCounted() throws {
        let later = [UInt8]([60, 0, 9, 0]) + [UInt8](repeating: 0xff, count: 56)
        let batch = SpanBatch(origin: sampleOrigin, anchor: sampleAnchor, dropped: 0, count: 1, records: later)
        let (spans, unreadable) = try SpanBatch(decoding: batch.encoded()).decoded()
        #expect(spans.isEmpty)
        #expect(unreadable == 1)
    }

    @Test func keysAreNamedOnceEach() {
        #expect(Set(AttributeKey.allCases.map(\.name)).count == AttributeKey.allCases.count)
        #expect(AttributeKey.allCases.allSatisfy { $0.rawValue >= 16 })
    }
}

extension AttributeValue {
    static func random(_ random: inout RandomSource, depth: Int) -> AttributeValue {
        switch random.next(below: depth > 0 ? 5 : 4) {
        case 0: .string(String(repeating: "é", count: random.next(below: 40)))
        case 1: .integer(Int64(bitPattern: random.next() >> UInt64(random.next(below: 64))))
        case 2: .double(random.nextUnit() * 1e9)
        case 3: .bool(random.next(below: 2) == 0)
        default: .array((0..<random.next(below: 6)).map { _ in .random(&random, depth: depth - 1) })
        }
    }
}
