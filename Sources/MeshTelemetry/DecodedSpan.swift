package import MeshModel

/// One span as the daemon knows it: everything that `traces show --json` says of it.
package struct DecodedSpan: Hashable, Sendable {
    package struct Attribute: Hashable, Sendable {
        package var name: String
        package var value: AttributeValue

        package init(_ name: String, _ value: AttributeValue) {
            self.name = name
            self.value = value
        }
    }

    package struct Event: Hashable, Sendable {
        package var name: String
        package var time: UnixTime
        package var attributes: [Attribute]

        package init(name: String, time: UnixTime, attributes: [Attribute]) {
            self.name = name
            self.time = time
            self.attributes = attributes
        }
    }

    package struct Link: Hashable, Sendable {
        package var traceID: TraceID
        package var spanID: SpanID

        package init(traceID: TraceID, spanID: SpanID) {
            self.traceID = traceID
            self.spanID = spanID
        }
    }

    package var traceID: TraceID
    package var spanID: SpanID
    package var parent: SpanID?
    package var origin: SpanOrigin
    package var kind: SpanKind
    package var name: String
    package var start: UnixTime
    /// The start on the host's monotonic clock, by which spans of one host are ordered.
    package var monotonicStart: Instant
    package var duration: Timespan
    package var status: SpanStatus
    package var attributes: [Attribute]
    package var events: [Event]
    package var links: [Link]
    /// Whether something found no room in the record.
    package var isTruncated: Bool

    package var end: UnixTime { UnixTime(nanoseconds: start.nanoseconds &+ duration.nanoseconds) }

    package init(
        traceID: TraceID, spanID: SpanID, parent: SpanID?, origin: SpanOrigin, kind: SpanKind, name: String, start: UnixTime,
        monotonicStart: Instant, duration: Timespan, status: SpanStatus, attributes: [Attribute] = [], events: [Event] = [],
        links: [Link] = [], isTruncated: Bool = false
    ) {
        self.traceID = traceID
        self.spanID = spanID
        self.parent = parent
        self.origin = origin
        self.kind = kind
        self.name = name
        self.start = start
        self.monotonicStart = monotonicStart
        self.duration = duration
        self.status = status
        self.attributes = attributes
        self.events = events
        self.links = links
        self.isTruncated = isTruncated
    }

    package init(_ view: SpanView, origin: SpanOrigin, anchor: TimeAnchor) throws(SpanDecodingError) {
        guard view.version == RecordLayout.version else { throw .unknownVersion(view.version) }
        guard let kind = view.kind else { throw .malformed("an unknown kind of span") }
        self.kind = kind
        traceID = view.traceID
        spanID = view.spanID
        parent = view.parent
        self.origin = origin
        monotonicStart = view.start
        let start = anchor.wall(at: view.start)
        self.start = start
        duration = view.duration
        status = view.status
        isTruncated = view.isTruncated
        var name: String?
        var attributes: [Attribute] = []
        var events: [Event] = []
        var links: [Link] = []
        var belongingToEvent = 0
        func keep(_ attribute: Attribute) {
            if belongingToEvent > 0 {
                belongingToEvent -= 1
                events[events.count - 1].attributes.append(attribute)
            } else {
                attributes.append(attribute)
            }
        }
        try view.forEachItem { item in
            switch item {
            case .name(let text): name = text.value.description
            case .attribute(let key, let raw): keep(Attribute(key.name, raw.value))
            case .custom(let key, let raw): keep(Attribute(String(decoding: key, as: UTF8.self), raw.value))
            case .unknown(let number, let raw): keep(Attribute("mesh.key_\(number)", raw.value))
            case .event(let offset, let title, let count):
                let time = UnixTime(nanoseconds: start.nanoseconds &+ offset.nanoseconds)
                events.append(Event(name: title.value.description, time: time, attributes: []))
                belongingToEvent = count
            case .link(let trace, let span): links.append(Link(traceID: trace, spanID: span))
            }
        }
        self.name = name ?? kind.name
        self.attributes = attributes
        self.events = events
        self.links = links
        deriveAttributes()
    }

    /// What OpenTelemetry's HTTP conventions ask for and the rest of the record says already.
    package mutating func deriveAttributes() {
        func add(_ key: AttributeKey, _ value: AttributeValue) {
            if self[key] == nil { attributes.append(Attribute(key.name, value)) }
        }
        if status == .error, kind != .internal {
            if let code = integer(.httpResponseStatusCode), code >= 500 {
                add(.errorType, .string("\(code)"))
            } else {
                add(.errorType, .string(text(.flag) ?? "_OTHER"))
            }
        }
        switch kind {
        case .gateway, .server: if self[.httpRequestMethod] != nil { add(.urlScheme, .string("http")) }
        case .attempt: if let number = integer(.attempt), number > 1 { add(.httpRequestResendCount, .integer(number - 1)) }
        case .call, .backoff, .internal, .queue, .rejection: break
        }
    }

    package subscript(_ key: AttributeKey) -> AttributeValue? {
        let name = key.name
        return attributes.first { $0.name == name }?.value
    }

    package func text(_ key: AttributeKey) -> String? {
        guard case .string(let text) = self[key] else { return nil }
        return text
    }

    package func integer(_ key: AttributeKey) -> Int64? {
        guard case .integer(let number) = self[key] else { return nil }
        return number
    }

    package func isTrue(_ key: AttributeKey) -> Bool { self[key] == .bool(true) }
}
