import Foundation
import MeshModel
package import MeshTelemetry

/// Traces as OTLP's JSON (opentelemetry-proto, `ExportTraceServiceRequest`): ids in hexadecimal, 64-bit integers as text.
///
/// Invariant: what is written is read back as the same spans; only the monotonic start, which means nothing elsewhere, is lost.
package enum OTLPJSON {
    // MARK: Writing

    package static func encode(_ spans: [DecodedSpan]) -> [UInt8] {
        let resources = ByProcess(spans).processes.map { origin, spans in
            JSONText.object([
                ("resource", .object([("attributes", .array(attributes(resource(origin))))])),
                (
                    "scopeSpans",
                    .array([.object([("scope", .object([("name", .string("mesh"))])), ("spans", .array(spans.map(span)))])])
                ),
            ])
        }
        return JSONText.object([("resourceSpans", .array(resources))]).bytes
    }

    private static func resource(_ origin: SpanOrigin) -> [(String, AttributeValue)] {
        var attributes: [(String, AttributeValue)] = [
            ("service.name", .string(origin.service)), ("service.instance.id", .string(origin.instance.description)),
        ]
        if let version = origin.version { attributes.append(("service.version", .string(version))) }
        attributes.append(("mesh.tier", .string(origin.tier)))
        attributes.append(("mesh.clock", .string(Hexadecimal.string(origin.clock))))
        return attributes
    }

    private static func span(_ span: DecodedSpan) -> JSONText {
        let kinds = ["internal": 1, "server": 2, "client": 3]
        var members: [(String, JSONText)] = [
            ("traceId", .string(span.traceID.description)), ("spanId", .string(span.spanID.description)),
        ]
        if let parent = span.parent { members.append(("parentSpanId", .string(parent.description))) }
        members += [
            ("name", .string(span.name)), ("kind", .integer(Int64(kinds[span.direction] ?? 1))),
            ("startTimeUnixNano", .string("\(span.start.nanoseconds)")), ("endTimeUnixNano", .string("\(span.end.nanoseconds)")),
            (
                "attributes",
                .array(attributes(span.meshTags.filter { $0.0 == "mesh.kind" } + span.attributes.map { ($0.name, $0.value) }))
            ),
        ]
        if span.isTruncated { members.append(("droppedAttributesCount", .integer(1))) }
        if !span.events.isEmpty {
            let events = span.events.map { event in
                JSONText.object([
                    ("timeUnixNano", .string("\(event.time.nanoseconds)")), ("name", .string(event.name)),
                    ("attributes", .array(attributes(event.attributes.map { ($0.name, $0.value) }))),
                ])
            }
            members.append(("events", .array(events)))
        }
        if !span.links.isEmpty {
            let links = span.links.map { link in
                JSONText.object([("traceId", .string(link.traceID.description)), ("spanId", .string(link.spanID.description))])
            }
            members.append(("links", .array(links)))
        }
        members.append(("status", .object([("code", .integer(Int64(span.status.rawValue)))])))
        return .object(members)
    }

    private static func attributes(_ attributes: [(String, AttributeValue)]) -> [JSONText] {
        attributes.map { name, value in .object([("key", .string(name)), ("value", self.value(value))]) }
    }

    private static func value(_ value: AttributeValue) -> JSONText {
        switch value {
        case .string(let text): .object([("stringValue", .string(text))])
        case .integer(let number): .object([("intValue", .string("\(number)"))])
        case .double(let number): .object([("doubleValue", .double(number))])
        case .bool(let bool): .object([("boolValue", .bool(bool))])
        case .array(let elements): .object([("arrayValue", .object([("values", .array(elements.map(self.value)))]))])
        }
    }

    // MARK: Reading

    package static func decode(_ bytes: [UInt8]) throws(OTLPImportError) -> [DecodedSpan] {
        let request: Request
        do {
            let decoder = JSONDecoder()
            decoder.nonConformingFloatDecodingStrategy = .convertFromString(
                positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
            request = try decoder.decode(Request.self, from: Data(bytes))
        } catch {
            throw .unreadable
        }
        var spans: [DecodedSpan] = []
        for resource in request.resourceSpans {
            let origin = origin(resource.resource?.attributes ?? [])
            for scope in resource.scopeSpans {
                for span in scope.spans ?? [] { spans.append(try decode(span, origin)) }
            }
        }
        return spans
    }

    private static func origin(_ attributes: [KeyValue]) -> SpanOrigin {
        func text(_ key: String) -> String? { attributes.first { $0.key == key }?.value.stringValue }
        let service = text("service.name") ?? "unknown_service"
        // An instance that has no uuid of ours is told apart by what it calls itself.
        let instance = text("service.instance.id") ?? service
        let fingerprint = Array(instance.utf8).withUnsafeBytes { Fingerprint.of($0) }
        return SpanOrigin(
            instance: InstanceID(instance) ?? InstanceID(high: fingerprint, low: 0), service: service,
            tier: text("mesh.tier") ?? "outside", version: text("service.version"),
            clock: text("mesh.clock").flatMap { UInt64($0, radix: 16) } ?? 0)
    }

    private static let kinds = Dictionary(uniqueKeysWithValues: SpanKind.allCases.map { ($0 == .gateway ? "gateway" : $0.name, $0) })

    private static func decode(_ span: Span, _ origin: SpanOrigin) throws(OTLPImportError) -> DecodedSpan {
        guard let trace = TraceID(span.traceId.lowercased()) else { throw .badID(span.traceId) }
        guard let id = SpanID(digits: span.spanId) else { throw .badID(span.spanId) }
        guard let start = Int64(span.startTimeUnixNano.text), let end = Int64(span.endTimeUnixNano.text) else {
            throw .badTime(span.spanId)
        }
        var attributes = (span.attributes ?? []).map { DecodedSpan.Attribute($0.key, $0.value.attribute) }
        var kind: SpanKind = span.kind == 2 ? .server : .internal
        if let index = attributes.firstIndex(where: { $0.name == "mesh.kind" }), let ours = Self.kinds[attributes[index].value.description]
        {
            kind = ours
            attributes.remove(at: index)
        }
        return DecodedSpan(
            traceID: trace, spanID: id, parent: span.parentSpanId.flatMap { SpanID(digits: $0) }, origin: origin, kind: kind,
            name: span.name,
            start: UnixTime(nanoseconds: start), monotonicStart: Instant(nanoseconds: start),
            duration: .nanoseconds(max(0, end &- start)), status: SpanStatus(rawValue: UInt8(clamping: span.status?.code ?? 0)) ?? .unset,
            attributes: attributes,
            events: (span.events ?? []).map { event in
                .init(
                    name: event.name ?? "", time: UnixTime(nanoseconds: Int64(event.timeUnixNano.text) ?? start),
                    attributes: (event.attributes ?? []).map { .init($0.key, $0.value.attribute) })
            },
            links: (span.links ?? []).compactMap { link in
                guard let trace = TraceID(link.traceId.lowercased()), let id = SpanID(digits: link.spanId) else { return nil }
                return .init(traceID: trace, spanID: id)
            }, isTruncated: (span.droppedAttributesCount ?? 0) > 0)
    }

    private struct Request: Decodable { var resourceSpans: [ResourceSpans] }
    private struct ResourceSpans: Decodable {
        var resource: Resource?
        var scopeSpans: [ScopeSpans]
    }
    private struct Resource: Decodable { var attributes: [KeyValue]? }
    private struct ScopeSpans: Decodable { var spans: [Span]? }
    private struct KeyValue: Decodable {
        var key: String
        var value: Value
    }
    private struct Status: Decodable { var code: Int? }
    private struct Event: Decodable {
        var timeUnixNano: Long
        var name: String?
        var attributes: [KeyValue]?
    }
    private struct Link: Decodable {
        var traceId: String
        var spanId: String
    }
    private struct Span: Decodable {
        var traceId: String
        var spanId: String
        var parentSpanId: String?
        var name: String
        var kind: Int?
        var startTimeUnixNano: Long
        var endTimeUnixNano: Long
        var attributes: [KeyValue]?
        var droppedAttributesCount: Int?
        var events: [Event]?
        var links: [Link]?
        var status: Status?
    }

    /// A 64-bit integer: text by the specification, a number by many programs.
    private struct Long: Decodable {
        var text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            text = try (try? container.decode(String.self)) ?? "\(container.decode(UInt64.self))"
        }
    }

    private struct Value: Decodable {
        var stringValue: String?
        var intValue: Long?
        var doubleValue: Double?
        var boolValue: Bool?
        var arrayValue: Values?

        struct Values: Decodable { var values: [Value]? }

        var attribute: AttributeValue {
            if let stringValue { return .string(stringValue) }
            if let intValue { return .integer(Int64(intValue.text) ?? 0) }
            if let doubleValue { return .double(doubleValue) }
            if let boolValue { return .bool(boolValue) }
            return .array((arrayValue?.values ?? []).map(\.attribute))
        }
    }
}

/// Why a file is no trace in OTLP's JSON.
package enum OTLPImportError: Error, Hashable, CustomStringConvertible {
    case unreadable
    case badID(String)
    case badTime(String)

    package var description: String {
        switch self {
        case .unreadable: "this is no OTLP JSON: it should begin with {\"resourceSpans\": ...}; write one with 'mesh traces export ID'"
        case .badID(let text): "'\(text)' is no id: 32 (trace) or 16 (span) hexadecimal digits, not all zero"
        case .badTime(let span): "span \(span) has no readable startTimeUnixNano and endTimeUnixNano"
        }
    }
}

extension SpanID {
    /// 16 hexadecimal digits, not all zero.
    fileprivate init?(digits: String) {
        guard digits.utf8.count == 16, let value = UInt64(digits, radix: 16), value != 0 else { return nil }
        self.init(value)
    }
}
