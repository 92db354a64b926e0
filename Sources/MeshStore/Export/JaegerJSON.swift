import MeshModel
import MeshTelemetry

/// Traces as Jaeger's UI and API have them; times are microseconds.
enum JaegerJSON {
    static func encode(_ traces: [[DecodedSpan]]) -> [UInt8] {
        let data = traces.filter { !$0.isEmpty }.map { spans in
            let processes = ByProcess(spans).processes.map(\.origin)
            let names = Dictionary(uniqueKeysWithValues: processes.enumerated().map { ($1, "p\($0 + 1)") })
            return JSONText.object([
                ("traceID", .string(spans[0].traceID.description)),
                ("spans", .array(spans.map { span($0, process: names[$0.origin] ?? "p1") })),
                ("processes", .object(processes.map { (names[$0] ?? "p1", process($0)) })),
            ])
        }
        return JSONText.object([
            ("data", .array(data)), ("total", .integer(Int64(data.count))), ("limit", .integer(0)), ("offset", .integer(0)),
        ]).bytes
    }

    private static func process(_ origin: SpanOrigin) -> JSONText {
        var tags = [tag("service.instance.id", .string(origin.instance.description)), tag("mesh.tier", .string(origin.tier))]
        if let version = origin.version { tags.append(tag("service.version", .string(version))) }
        return .object([("serviceName", .string(origin.service)), ("tags", .array(tags))])
    }

    private static func span(_ span: DecodedSpan, process: String) -> JSONText {
        var references: [JSONText] = []
        func refer(_ type: String, _ trace: TraceID, _ id: SpanID) {
            references.append(
                .object([("refType", .string(type)), ("traceID", .string(trace.description)), ("spanID", .string(id.description))]))
        }
        if let parent = span.parent { refer("CHILD_OF", span.traceID, parent) }
        for link in span.links { refer("FOLLOWS_FROM", link.traceID, link.spanID) }
        var tags = [tag("span.kind", .string(span.direction))]
        if span.status == .error { tags.append(tag("error", .bool(true))) }
        tags += span.meshTags.filter { $0.0 == "mesh.kind" }.map { tag($0.0, $0.1) } + span.attributes.map { tag($0.name, $0.value) }
        let logs = span.events.map { event in
            JSONText.object([
                ("timestamp", .integer(event.time.nanoseconds / 1_000)),
                ("fields", .array([tag("event", .string(event.name))] + event.attributes.map { tag($0.name, $0.value) })),
            ])
        }
        return .object([
            ("traceID", .string(span.traceID.description)), ("spanID", .string(span.spanID.description)),
            ("operationName", .string(span.name)), ("references", .array(references)),
            ("startTime", .integer(span.start.nanoseconds / 1_000)),
            ("duration", .integer(span.duration.nanoseconds / 1_000)), ("tags", .array(tags)), ("logs", .array(logs)),
            ("processID", .string(process)), ("flags", .integer(1)),
        ])
    }

    private static func tag(_ key: String, _ value: AttributeValue) -> JSONText {
        let (type, text): (String, JSONText) =
            switch value {
            case .string(let text): ("string", .string(text))
            case .integer(let number): ("int64", .integer(number))
            case .double(let number): ("float64", .double(number))
            case .bool(let bool): ("bool", .bool(bool))
            case .array: ("string", .string(value.description))
            }
        return .object([("key", .string(key)), ("type", .string(type)), ("value", text)])
    }
}

/// Spans as Zipkin's v2 API has them; times are microseconds, tags are texts.
enum ZipkinJSON {
    static func encode(_ spans: [DecodedSpan]) -> [UInt8] {
        JSONText.array(spans.map(span)).bytes
    }

    private static func span(_ span: DecodedSpan) -> JSONText {
        var members: [(String, JSONText)] = [("traceId", .string(span.traceID.description)), ("id", .string(span.spanID.description))]
        if let parent = span.parent { members.append(("parentId", .string(parent.description))) }
        members.append(("name", .string(span.name)))
        if span.direction != "internal" { members.append(("kind", .string(span.direction.uppercased()))) }
        members += [
            ("timestamp", .integer(span.start.nanoseconds / 1_000)),
            // Zero is "not known" there.
            ("duration", .integer(max(1, span.duration.nanoseconds / 1_000))),
            ("localEndpoint", .object([("serviceName", .string(span.origin.service))])),
        ]
        if case .string(let remote)? = span[.destination] {
            members.append(("remoteEndpoint", .object([("serviceName", .string(remote))])))
        }
        var tags: [String: String] = [:]
        for (name, value) in span.meshTags + span.attributes.map({ ($0.name, $0.value) }) { tags[name] = value.description }
        if span.status == .error { tags["error"] = span.text(.errorType) ?? span.text(.flag) ?? "true" }
        if let version = span.origin.version { tags["service.version"] = version }
        members.append(("tags", .object(tags.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })))
        if !span.events.isEmpty {
            let annotations = span.events.map { event in
                JSONText.object([("timestamp", .integer(event.time.nanoseconds / 1_000)), ("value", .string(event.name))])
            }
            members.append(("annotations", .array(annotations)))
        }
        return .object(members)
    }
}

/// Spans in the Trace Event Format: a process for each of ours, and as many lanes in it as spans that overlap need.
enum ChromeJSON {
    static func encode(_ spans: [DecodedSpan]) -> [UInt8] {
        var events: [JSONText] = []
        for (number, process) in ByProcess(spans).processes.enumerated() {
            let name = "\(process.origin.tier) / \(process.origin.service)" + (process.origin.version.map { " \($0)" } ?? "")
            events.append(metadata("process_name", Int64(number + 1), .object([("name", .string(name))])))
            events.append(metadata("process_sort_index", Int64(number + 1), .object([("sort_index", .integer(Int64(number)))])))
            var lanes: [[Int64]] = []
            for span in process.spans.sorted(by: { ($0.start, -$0.duration.nanoseconds) < ($1.start, -$1.duration.nanoseconds) }) {
                events.append(event(span, process: Int64(number + 1), lane: Int64(lane(for: span, in: &lanes) + 1)))
            }
        }
        return JSONText.object([("traceEvents", .array(events)), ("displayTimeUnit", .string("ms"))]).bytes
    }

    /// The first lane in which nothing runs, or in which all that runs lasts longer: spans of a lane nest. A lane is the ends of
    /// what runs in it, the innermost last.
    private static func lane(for span: DecodedSpan, in lanes: inout [[Int64]]) -> Int {
        let (start, end) = (span.start.nanoseconds, span.end.nanoseconds)
        for index in lanes.indices {
            while let last = lanes[index].last, last <= start { lanes[index].removeLast() }
            if let last = lanes[index].last, last < end { continue }
            lanes[index].append(end)
            return index
        }
        lanes.append([end])
        return lanes.count - 1
    }

    private static func metadata(_ name: String, _ process: Int64, _ arguments: JSONText) -> JSONText {
        // Its time means nothing, and some readers ask for one.
        .object([
            ("name", .string(name)), ("ph", .string("M")), ("ts", .integer(0)), ("pid", .integer(process)), ("tid", .integer(0)),
            ("args", arguments),
        ])
    }

    private static func event(_ span: DecodedSpan, process: Int64, lane: Int64) -> JSONText {
        var arguments: [(String, JSONText)] = [
            ("trace_id", .string(span.traceID.description)), ("span_id", .string(span.spanID.description)),
        ]
        for (name, value) in span.meshTags + span.attributes.map({ ($0.name, $0.value) }) {
            arguments.append((name, .string(value.description)))
        }
        // Readers hold times as doubles, which of today's have a quarter of a microsecond: spans that nest would no longer do so, and
        // be dropped. Whole ones are exact, and both ends are cut alike.
        let (start, end) = (span.start.nanoseconds / 1_000, span.end.nanoseconds / 1_000)
        return .object([
            ("name", .string(span.name)), ("cat", .string(span.kind.name)), ("ph", .string("X")),
            ("ts", .integer(start)), ("dur", .integer(end - start)),
            ("pid", .integer(process)), ("tid", .integer(lane)), ("args", .object(arguments)),
        ])
    }
}
