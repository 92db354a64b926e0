import Foundation
import MeshModel
import MeshTelemetry
import SwiftProtobuf
import Testing

@testable import MeshOTLP

private let origin = SpanOrigin(instance: InstanceID(high: 1, low: 2), service: "orders", tier: "domain", version: "v2")
private let anchor = TimeAnchor(instant: Instant(nanoseconds: 5_000_000_000), wall: UnixTime(nanoseconds: 1_700_000_000_000_000_000))

private func spans(_ batches: [SpanBatch]) throws -> [DecodedSpan] { try batches.flatMap { try $0.decoded().spans } }

private func sample(_ kind: MeshTelemetry.SpanKind = .attempt) throws -> DecodedSpan {
    let header = SpanHeader(
        kind: kind, traceID: TraceID(high: 3, low: 4), spanID: SpanID(5), parent: SpanID(6), start: Instant(nanoseconds: 5_000_000_100),
        end: Instant(nanoseconds: 5_000_002_100), status: .error)
    let record = SpanScratch().record(header) { span in
        span.name("inventory")
        span.add(.httpRequestMethod, "GET")
        span.add(.httpResponseStatusCode, 503)
        span.add(.retried, true)
        span.add("order.weights", .array([.double(0.5), .double(1.5)]))
        span.event("cache miss", after: .nanoseconds(500), [("key", .string("tea"))])
        span.link(TraceID(high: 7, low: 8), SpanID(9))
    }
    return try #require(try spans([SpanBatch(origin: origin, anchor: anchor, dropped: 0, count: 1, records: record)]).first)
}

@Suite("OTLP")
struct OTLPTests {
    @Test func aSpanIsTheSameAfterTheWayOutAndIn() throws {
        let span = try sample()
        let request = try OTLPExportTraceServiceRequest(OTLPExportTraceServiceRequest([span]).serialized(), form: .protobuf)
        let (batches, rejected, _) = request.batches(anchor: anchor)
        #expect(rejected == 0)
        let read = try #require(try spans(batches).first)
        #expect(read.traceID == span.traceID && read.spanID == span.spanID && read.parent == span.parent)
        #expect(read.origin == span.origin)
        #expect(read.start == span.start && read.duration == span.duration && read.status == span.status)
        #expect(read.name == span.name && read.events == span.events && read.links == span.links)
        for attribute in span.attributes { #expect(read.attributes.contains(attribute)) }
    }

    @Test(arguments: [
        (MeshTelemetry.SpanKind.gateway, OTLPSpan.SpanKind.server), (.server, .server), (.call, .client), (.attempt, .client),
        (.backoff, .internal), (.internal, .internal),
    ])
    func kindsAreOpenTelemetrys(kind: MeshTelemetry.SpanKind, expected: OTLPSpan.SpanKind) throws {
        let request = OTLPExportTraceServiceRequest([try sample(kind)])
        let resource = try #require(request.resourceSpans.first)
        let span = try #require(resource.scopeSpans.first?.spans.first)
        #expect(span.kind == expected)
        #expect(span.traceID.count == 16 && span.spanID.count == 8 && span.parentSpanID.count == 8)
        #expect(resource.resource.attributes.contains { $0.key == "service.name" && $0.value.stringValue == "orders" })
        #expect(span.status.code == .error)
    }

    /// The field numbers are OpenTelemetry's: bytes written by hand are read.
    @Test func readsTheWireFormat() throws {
        func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
        func fixed(_ number: UInt8, _ value: UInt64) -> [UInt8] { [number << 3 | 1] + withUnsafeBytes(of: value.littleEndian, Array.init) }
        let id = [UInt8](repeating: 0xab, count: 16)
        let attribute = field(9, field(1, Array("n".utf8)) + field(2, [0x18, 42]))
        let span =
            field(1, id) + field(2, Array(id[..<8])) + field(5, Array("poll".utf8)) + [6 << 3, 3] + fixed(7, 1_700_000_000_000_000_000)
            + fixed(8, 1_700_000_000_000_001_000) + attribute + field(15, [3 << 3, 2])
        let resource = field(1, field(1, field(1, Array("service.name".utf8)) + field(2, field(1, Array("probe".utf8)))))
        let body = field(1, resource + field(2, field(2, span)))
        let read = try #require(try spans(OTLPExportTraceServiceRequest(body, form: .protobuf).batches(anchor: anchor).batches).first)
        #expect(read.origin.service == "probe" && read.origin.tier == "outside")
        #expect(read.name == "poll" && read.duration == .nanoseconds(1000) && read.status == .error && read.parent == nil)
        #expect(read.start.nanoseconds == 1_700_000_000_000_000_000)
        #expect(read.attributes.contains(.init("n", .integer(42))))
        #expect(read.attributes.contains(.init("mesh.span_kind", .string("client"))))
    }

    @Test func readsJSONWithIdsInHexadecimal() throws {
        let body = """
            {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
              "scopeSpans": [{"scope": {"name": "lib"}, "spans": [{
                "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174", "parentSpanId": "eee19b7ec3c1b173",
                "name": "checkout", "kind": 2, "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000",
                "attributes": [{"key": "ok", "value": {"boolValue": true}}, {"key": "n", "value": {"intValue": "7"}}],
                "unknownFieldOfALaterVersion": 1}]}]}]}
            """
        let read = try #require(
            try spans(OTLPExportTraceServiceRequest(Array(body.utf8), form: .json).batches(anchor: anchor).batches).first)
        #expect(read.traceID.description == "5b8efff798038103d269b633813fc60c")
        #expect(read.spanID.description == "eee19b7ec3c1b174")
        #expect(read.parent?.description == "eee19b7ec3c1b173")
        #expect(read.kind == .server && read.duration == .seconds(1))
        #expect(read.attributes.contains(.init("ok", .bool(true))) && read.attributes.contains(.init("n", .integer(7))))
    }

    @Test func aSpanThatCannotBeIsRefusedAloneWithTheReason() throws {
        var request = OTLPExportTraceServiceRequest([try sample(), try sample()])
        request.resourceSpans[0].scopeSpans[0].spans[0].traceID = Data([1, 2, 3])
        let (batches, rejected, reason) = request.batches(anchor: anchor)
        #expect(batches.map(\.count) == [1])
        #expect(rejected == 1)
        #expect(reason?.contains("16 bytes") == true)
        let answer = OTLPExportTraceServiceResponse(rejected: rejected, reason: reason)
        #expect(try OTLPExportTraceServiceResponse(serializedBytes: answer.serialized(.protobuf)).partialSuccess.rejectedSpans == 1)
        #expect(String(decoding: OTLPExportTraceServiceResponse(rejected: 0, reason: nil).serialized(.json), as: UTF8.self) == "{}")
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func noiseIsAnErrorAndNeverACrash(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        var body = OTLPExportTraceServiceRequest([try sample()]).serialized()
        for _ in 0...random.next(below: 10) { body[random.next(below: body.count)] = UInt8(truncatingIfNeeded: random.next()) }
        for form in [OTLPForm.protobuf, .json] {
            if let request = try? OTLPExportTraceServiceRequest(body, form: form) {
                for batch in request.batches(anchor: anchor).batches { _ = try batch.decoded() }
            }
        }
    }

    /// `printf hello | gzip -n`.
    private static let hello: [UInt8] = [
        0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0, 0x86, 0xa6, 0x10, 0x36, 0x05, 0, 0, 0,
    ]

    @Test func inflatesWithinALimit() throws {
        #expect(try Inflation.gunzip(Self.hello, limit: 5) == Array("hello".utf8))
        #expect(throws: Inflation.Failure.tooLong(limit: 4)) { try Inflation.gunzip(Self.hello, limit: 4) }
        #expect(throws: Inflation.Failure.damaged) { try Inflation.gunzip(Array(Self.hello.dropLast(9)), limit: 100) }
        #expect(throws: Inflation.Failure.damaged) { try Inflation.gunzip(Array("hello".utf8), limit: 100) }
        #expect(throws: Inflation.Failure.damaged) { try Inflation.gunzip([], limit: 100) }
    }

    @Test(arguments: [
        ("application/x-protobuf", OTLPForm.protobuf), ("application/json; charset=utf-8", .json), ("Application/JSON", .json),
        ("text/plain", nil), ("", nil),
    ])
    func formsAreToldByTheContentType(type: String, form: OTLPForm?) { #expect(OTLPForm(contentType: type) == form) }
}
