internal import Foundation
internal import MeshModel
package import MeshTelemetry

extension OTLPExportTraceServiceRequest {
    /// Spans as OpenTelemetry's collectors take them: grouped by the process that recorded them.
    package init(_ spans: [DecodedSpan]) {
        self.init()
        for (origin, spans) in Dictionary(grouping: spans, by: \.origin).sorted(by: { $0.value[0].start < $1.value[0].start }) {
            var scope = OTLPScopeSpans()
            scope.scope.name = "mesh"
            scope.spans = spans.map(OTLPSpan.init)
            var resource = OTLPResourceSpans()
            resource.resource.attributes = [
                OTLPKeyValue("service.name", .string(origin.service)),
                OTLPKeyValue("service.instance.id", .string(origin.instance.description)),
            ]
            if let version = origin.version { resource.resource.attributes.append(OTLPKeyValue("service.version", .string(version))) }
            if !origin.tier.isEmpty { resource.resource.attributes.append(OTLPKeyValue("mesh.tier", .string(origin.tier))) }
            resource.scopeSpans = [scope]
            resourceSpans.append(resource)
        }
    }

    /// The spans that it brings, as batches of their processes.
    ///
    /// - Parameter anchor: of this host, by which the senders' wall times are put among our instants.
    /// - Returns: with how many spans were refused, and why the last of them was.
    package func batches(anchor: TimeAnchor) -> (batches: [SpanBatch], rejected: Int, reason: String?) {
        var batches: [SpanBatch] = []
        var rejected = 0
        var reason: String?
        for resource in resourceSpans {
            let origin = SpanOrigin(resource.resource)
            let encoder = RecordEncoder()
            for span in resource.scopeSpans.flatMap(\.spans) {
                do { try encoder.append(span, anchor: anchor) } catch {
                    rejected += 1
                    reason = "\(error)"
                }
            }
            guard encoder.count > 0 else { continue }
            batches.append(SpanBatch(origin: origin, anchor: anchor, dropped: 0, count: encoder.count, records: encoder.records))
        }
        return (batches, rejected, reason)
    }
}

/// Why a span was refused.
enum OTLPSpanError: Error, CustomStringConvertible {
    case traceID
    case spanID
    case times

    var description: String {
        switch self {
        case .traceID: "a trace id must have 16 bytes, not all zero"
        case .spanID: "a span id must have 8 bytes, not all zero"
        case .times: "a span must not end before it starts"
        }
    }
}

// MARK: - Out

extension OTLPSpan {
    init(_ span: DecodedSpan) {
        self.init()
        traceID = Self.bytes(span.traceID.high, span.traceID.low)
        spanID = Self.bytes(span.spanID.value)
        if let parent = span.parent { parentSpanID = Self.bytes(parent.value) }
        name = span.name
        kind = Self.kind(of: span)
        startTimeUnixNano = UInt64(max(0, span.start.nanoseconds))
        endTimeUnixNano = startTimeUnixNano + UInt64(max(0, span.duration.nanoseconds))
        attributes = span.attributes.filter { $0.name != Self.roleAttribute }.map { OTLPKeyValue($0.name, $0.value) }
        if span.kind != .internal { attributes.append(OTLPKeyValue("mesh.kind", .string(span.kind.name))) }
        events = span.events.map { event in
            var result = OTLPSpan.Event()
            result.name = event.name
            result.timeUnixNano = UInt64(max(0, event.time.nanoseconds))
            result.attributes = event.attributes.map { OTLPKeyValue($0.name, $0.value) }
            return result
        }
        links = span.links.map { link in
            var result = OTLPSpan.Link()
            result.traceID = Self.bytes(link.traceID.high, link.traceID.low)
            result.spanID = Self.bytes(link.spanID.value)
            return result
        }
        switch span.status {
        case .unset: break
        case .ok: status.code = .ok
        case .error: status.code = .error
        }
        flags = UInt32(TraceContext.sampledFlag | TraceContext.randomFlag)
    }

    /// The attribute by which a span that is not of the mesh itself keeps its role.
    static let roleAttribute = "mesh.span_kind"

    private static func kind(of span: DecodedSpan) -> SpanKind {
        switch span.kind {
        case .gateway, .server: return .server
        case .call, .attempt: return .client
        case .backoff, .queue, .rejection: return .internal
        case .internal:
            guard case .string(let role)? = span.attributes.first(where: { $0.name == roleAttribute })?.value else { return .internal }
            return switch role {
            case "server": .server
            case "client": .client
            case "producer": .producer
            case "consumer": .consumer
            default: .internal
            }
        }
    }

    private static func bytes(_ words: UInt64...) -> Data {
        words.reduce(into: Data()) { data, word in withUnsafeBytes(of: word.bigEndian) { data.append(contentsOf: $0) } }
    }
}

extension OTLPKeyValue {
    init(_ key: String, _ value: MeshTelemetry.AttributeValue) {
        self.init()
        self.key = key
        self.value = OTLPAnyValue(value)
    }
}

extension OTLPAnyValue {
    init(_ value: MeshTelemetry.AttributeValue) {
        self.init()
        switch value {
        case .string(let text): stringValue = text
        case .integer(let number): intValue = number
        case .double(let number): doubleValue = number
        case .bool(let bool): boolValue = bool
        case .array(let elements): arrayValue.values = elements.map(OTLPAnyValue.init)
        }
    }

    /// Lists within lists, maps and bytes become text: records hold flat values.
    var attribute: MeshTelemetry.AttributeValue {
        switch value {
        case .stringValue(let text): .string(text)
        case .boolValue(let bool): .bool(bool)
        case .intValue(let number): .integer(number)
        case .doubleValue(let number): .double(number)
        case .arrayValue(let array): .array(array.values.map(\.attribute))
        case .kvlistValue(let list): .string("{" + list.values.map { "\($0.key): \($0.value.attribute)" }.joined(separator: ", ") + "}")
        case .bytesValue(let bytes): .string(bytes.base64EncodedString())
        case nil: .string("")
        }
    }
}

// MARK: - In

extension SpanOrigin {
    /// The process that a resource speaks of; one without an instance id is told by its service alone.
    init(_ resource: OTLPResource) {
        func text(_ key: String) -> String? {
            guard case .string(let text)? = resource.attributes.first(where: { $0.key == key })?.value.attribute, !text.isEmpty else {
                return nil
            }
            return text
        }
        let service = text("service.name") ?? "unknown_service"
        let name = text("service.instance.id") ?? service
        let instance = InstanceID(name) ?? InstanceID(stableFor: name)
        self.init(instance: instance, service: service, tier: text("mesh.tier") ?? "outside", version: text("service.version"))
    }
}

/// Writes spans as records.
private final class RecordEncoder {
    private(set) var records: [UInt8] = []
    private(set) var count = 0
    private let scratch = SpanScratch()

    func append(_ span: OTLPSpan, anchor: TimeAnchor) throws(OTLPSpanError) {
        guard let trace = Self.words(span.traceID, 2), trace[0] | trace[1] != 0 else { throw .traceID }
        guard let id = Self.words(span.spanID, 1), id[0] != 0 else { throw .spanID }
        guard span.endTimeUnixNano >= span.startTimeUnixNano else { throw .times }
        let parent = Self.words(span.parentSpanID, 1).flatMap { $0[0] == 0 ? nil : SpanID($0[0]) }
        let start = UnixTime(nanoseconds: Int64(clamping: span.startTimeUnixNano))
        let end = UnixTime(nanoseconds: Int64(clamping: span.endTimeUnixNano))
        let header = SpanHeader(
            kind: span.kind == .server ? .server : .internal, traceID: TraceID(high: trace[0], low: trace[1]), spanID: SpanID(id[0]),
            parent: parent, start: anchor.instant(at: start), end: anchor.instant(at: end), status: SpanStatus(span.status.code))
        records += scratch.record(header) { record in
            record.name(span.name)
            if let role = span.kind.role { record.add(OTLPSpan.roleAttribute, .string(role)) }
            for attribute in span.attributes { record.add(attribute.key, attribute.value.attribute) }
            if !span.status.message.isEmpty { record.add("mesh.status_message", .string(span.status.message)) }
            for event in span.events {
                record.event(
                    event.name, after: .nanoseconds(Int64(clamping: event.timeUnixNano) - start.nanoseconds),
                    event.attributes.map { ($0.key, $0.value.attribute) })
            }
            for link in span.links {
                if let trace = Self.words(link.traceID, 2), let id = Self.words(link.spanID, 1) {
                    record.link(TraceID(high: trace[0], low: trace[1]), SpanID(id[0]))
                }
            }
        }
        count += 1
    }

    private static func words(_ data: Data, _ count: Int) -> [UInt64]? {
        guard data.count == count * 8 else { return nil }
        let bytes = Array(data)
        return (0..<count).map { word in bytes[(word * 8)..<(word * 8 + 8)].reduce(0) { $0 << 8 | UInt64($1) } }
    }
}

extension SpanStatus {
    fileprivate init(_ code: OTLPStatus.StatusCode) {
        switch code {
        case .ok: self = .ok
        case .error: self = .error
        case .unset, .UNRECOGNIZED: self = .unset
        }
    }
}

extension OTLPSpan.SpanKind {
    /// Where the kind of a record does not say it.
    fileprivate var role: String? {
        switch self {
        case .client: "client"
        case .producer: "producer"
        case .consumer: "consumer"
        case .server, .internal, .unspecified, .UNRECOGNIZED: nil
        }
    }
}
