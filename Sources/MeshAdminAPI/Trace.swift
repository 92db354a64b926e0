/// One trace in a list: the shape of `traces list --json`.
package struct TraceSummary: Hashable, Sendable, Codable {
    /// 32 digits.
    package var traceID: String
    package var startedAt: Timestamp
    /// The root's route, e.g. `POST /orders`.
    package var route: String
    /// The HTTP status that the caller got; nil when it got none.
    package var status: Int?
    package var durationMS: Double
    /// Every service that has a span in it, in the order of their first spans.
    package var services: [String]
    /// The most attempts that any one call of the trace took: 1 when nothing was retried.
    package var attempts: Int
    /// Response flags (`UT`, `URX`, …) of any span in it, each once.
    package var flags: [String]
    /// How the time divides over the tiers (self time; what is left over is mesh and wire), in tier order.
    package var tiers: [TierShare]
    /// What is worth a look, e.g. `1 retry inventory`.
    package var note: String?
    /// The spans that the conditions on spans are about; nil but in answers to a search.
    package var matched: [MatchedSpan]?

    /// A span that a search found.
    package struct MatchedSpan: Hashable, Sendable, Codable {
        package var spanID: String
        package var service: String
        package var name: String
        package var durationMS: Double
        package var selfMS: Double

        package init(spanID: String, service: String, name: String, durationMS: Double, selfMS: Double) {
            self.spanID = spanID
            self.service = service
            self.name = name
            self.durationMS = durationMS
            self.selfMS = selfMS
        }

        private enum CodingKeys: String, CodingKey {
            case spanID = "span_id"
            case service, name
            case durationMS = "duration_ms"
            case selfMS = "self_ms"
        }
    }

    package struct TierShare: Hashable, Sendable, Codable {
        package var tier: String
        /// 0…1 of the trace's duration.
        package var share: Double

        package init(tier: String, share: Double) {
            self.tier = tier
            self.share = share
        }
    }

    package init(
        traceID: String, startedAt: Timestamp, route: String, status: Int?, durationMS: Double, services: [String], attempts: Int,
        flags: [String] = [], tiers: [TierShare] = [], note: String? = nil, matched: [MatchedSpan]? = nil
    ) {
        self.traceID = traceID
        self.startedAt = startedAt
        self.route = route
        self.status = status
        self.durationMS = durationMS
        self.services = services
        self.attempts = attempts
        self.flags = flags
        self.tiers = tiers
        self.note = note
        self.matched = matched
    }

    private enum CodingKeys: String, CodingKey {
        case traceID = "trace_id"
        case startedAt = "started_at"
        case route, status
        case durationMS = "duration_ms"
        case services, attempts, flags, tiers, note, matched
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(traceID, forKey: .traceID)
        try container.encode(startedAt, forKey: .startedAt)
        try container.encode(route, forKey: .route)
        try container.encode(status, forKey: .status)
        try container.encode(durationMS, forKey: .durationMS)
        try container.encode(services, forKey: .services)
        try container.encode(attempts, forKey: .attempts)
        try container.encode(flags, forKey: .flags)
        try container.encode(tiers, forKey: .tiers)
        try container.encode(note, forKey: .note)
        try container.encodeIfPresent(matched, forKey: .matched)
    }
}

/// One trace with its spans: the shape of `traces show --json`.
package struct TraceDetail: Hashable, Sendable, Codable {
    package var traceID: String
    /// In the order of their starts.
    package var spans: [TraceSpan]
    /// How this trace stands against others of its route, where enough of them are stored to say so.
    package var comparison: TraceComparison?
    /// What made it slow or fail, in one line; nil where nothing stands out.
    package var why: String?
    /// False while a span is known to be missing.
    package var complete: Bool?
    /// How many spans are named as a parent, or counted as lost, and are not here.
    package var missing: Int?
    /// Hosts whose clocks differ from that of the root; empty where all spans are of one host.
    package var clocks: [ClockOffset]?

    /// How far the clock of a host is from that of the root, as the hops of the trace tell.
    package struct ClockOffset: Hashable, Sendable, Codable {
        package var services: [String]
        /// To be added to its times, so that they fit those of the root.
        package var offsetMS: Double
        package var errorMS: Double
        /// Whether the times of the spans have been corrected by it (`--deskew`).
        package var applied: Bool

        package init(services: [String], offsetMS: Double, errorMS: Double, applied: Bool) {
            self.services = services
            self.offsetMS = offsetMS
            self.errorMS = errorMS
            self.applied = applied
        }

        private enum CodingKeys: String, CodingKey {
            case services
            case offsetMS = "offset_ms"
            case errorMS = "error_ms"
            case applied
        }
    }

    package init(
        traceID: String, spans: [TraceSpan], comparison: TraceComparison? = nil, why: String? = nil, complete: Bool? = nil,
        missing: Int? = nil, clocks: [ClockOffset]? = nil
    ) {
        self.traceID = traceID
        self.spans = spans
        self.comparison = comparison
        self.why = why
        self.complete = complete
        self.missing = missing
        self.clocks = clocks
    }

    private enum CodingKeys: String, CodingKey {
        case traceID = "trace_id"
        case spans, comparison, why, complete, missing, clocks
    }
}

/// How one trace stands against others.
package struct TraceComparison: Hashable, Sendable, Codable {
    /// Share (0…100) of the stored traces of the same route that were faster.
    package var slowerThanPercent: Double?
    /// Per service the share (0…100) of its own stored spans that were faster than its slowest in this trace.
    package var services: [String: Double]

    package init(slowerThanPercent: Double?, services: [String: Double] = [:]) {
        self.slowerThanPercent = slowerThanPercent
        self.services = services
    }

    private enum CodingKeys: String, CodingKey {
        case slowerThanPercent = "slower_than_percent"
        case services
    }
}

/// One span of a trace.
package struct TraceSpan: Hashable, Sendable, Codable {
    package var spanID: String
    package var parentSpanID: String?
    package var service: String
    package var tier: String
    package var instance: String
    package var kind: Kind
    package var name: String
    package var startUnixNano: Int64
    package var durationNS: Int64
    /// Its time without that of the calls and spans below it; nil where the daemon did not say.
    package var selfNS: Int64?
    /// The version of the service, where it runs in versions.
    package var version: String?
    /// Where the critical path runs through it or what is below it; nil where nothing waited for it, or the daemon did not say.
    package var criticalPath: Stretch?
    /// `ok`, `error` or `unset`, as OpenTelemetry's status.
    package var status: String
    package var attributes: [String: AttributeValue]
    package var events: [Event]
    /// What was logged within it; nil where nothing was.
    package var logs: [Log]?

    /// One line of a log.
    package struct Log: Hashable, Sendable, Codable {
        package var timeUnixNano: Int64
        /// `info`, `warning`, …; nil where the line does not say.
        package var level: String?
        package var text: String

        package init(timeUnixNano: Int64, level: String?, text: String) {
            self.timeUnixNano = timeUnixNano
            self.level = level
            self.text = text
        }

        private enum CodingKeys: String, CodingKey {
            case timeUnixNano = "time_unix_nano"
            case level, text
        }
    }

    /// What a span is of; an open set, so that a newer daemon can name kinds that this one does not know.
    package struct Kind: RawRepresentable, Hashable, Sendable, Codable {
        package var rawValue: String

        package init(rawValue: String) { self.rawValue = rawValue }

        /// A request as the one who answers it sees it.
        package static let server = Kind(rawValue: "server")
        /// A call as the one who makes it sees it, over all its attempts.
        package static let call = Kind(rawValue: "call")
        /// One try of a call.
        package static let attempt = Kind(rawValue: "attempt")
        /// The wait before an attempt.
        package static let backoff = Kind(rawValue: "backoff")
        /// The wait for a connection, or a place on one.
        package static let queue = Kind(rawValue: "queue")
        /// A call that was refused before it went anywhere.
        package static let rejection = Kind(rawValue: "rejection")
        /// A piece of work inside a service, made by its author.
        package static let `internal` = Kind(rawValue: "internal")
    }

    /// A part of a span's time.
    package struct Stretch: Hashable, Sendable, Codable {
        package var startUnixNano: Int64
        package var durationNS: Int64
        /// What of it is the span's own, not its children's.
        package var ownNS: Int64

        package init(startUnixNano: Int64, durationNS: Int64, ownNS: Int64) {
            self.startUnixNano = startUnixNano
            self.durationNS = durationNS
            self.ownNS = ownNS
        }

        private enum CodingKeys: String, CodingKey {
            case startUnixNano = "start_unix_nano"
            case durationNS = "duration_ns"
            case ownNS = "own_ns"
        }
    }

    package struct Event: Hashable, Sendable, Codable {
        package var name: String
        package var timeUnixNano: Int64
        package var attributes: [String: AttributeValue]

        package init(name: String, timeUnixNano: Int64, attributes: [String: AttributeValue] = [:]) {
            self.name = name
            self.timeUnixNano = timeUnixNano
            self.attributes = attributes
        }

        private enum CodingKeys: String, CodingKey {
            case name
            case timeUnixNano = "time_unix_nano"
            case attributes
        }
    }

    package init(
        spanID: String, parentSpanID: String?, service: String, tier: String, instance: String, kind: Kind, name: String,
        startUnixNano: Int64, durationNS: Int64, selfNS: Int64? = nil, version: String? = nil, criticalPath: Stretch? = nil,
        status: String = "unset", attributes: [String: AttributeValue] = [:], events: [Event] = [], logs: [Log]? = nil
    ) {
        self.spanID = spanID
        self.parentSpanID = parentSpanID
        self.service = service
        self.tier = tier
        self.instance = instance
        self.kind = kind
        self.name = name
        self.startUnixNano = startUnixNano
        self.durationNS = durationNS
        self.selfNS = selfNS
        self.version = version
        self.criticalPath = criticalPath
        self.status = status
        self.attributes = attributes
        self.events = events
        self.logs = logs
    }

    private enum CodingKeys: String, CodingKey {
        case spanID = "span_id"
        case parentSpanID = "parent_span_id"
        case service, tier, instance, kind, name
        case startUnixNano = "start_unix_nano"
        case durationNS = "duration_ns"
        case selfNS = "self_ns"
        case version
        case criticalPath = "critical_path"
        case status, attributes, events, logs
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(spanID, forKey: .spanID)
        try container.encode(parentSpanID, forKey: .parentSpanID)
        try container.encode(service, forKey: .service)
        try container.encode(tier, forKey: .tier)
        try container.encode(instance, forKey: .instance)
        try container.encode(kind, forKey: .kind)
        try container.encode(name, forKey: .name)
        try container.encode(startUnixNano, forKey: .startUnixNano)
        try container.encode(durationNS, forKey: .durationNS)
        try container.encodeIfPresent(selfNS, forKey: .selfNS)
        try container.encodeIfPresent(version, forKey: .version)
        try container.encodeIfPresent(criticalPath, forKey: .criticalPath)
        try container.encode(status, forKey: .status)
        try container.encode(attributes, forKey: .attributes)
        try container.encode(events, forKey: .events)
        try container.encodeIfPresent(logs, forKey: .logs)
    }
}

/// The value of a span's attribute: what OpenTelemetry allows, arrays of strings included.
package enum AttributeValue: Hashable, Sendable, Codable {
    case string(String)
    case integer(Int64)
    case double(Double)
    case boolean(Bool)
    case strings([String])

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode([String].self) {
            self = .strings(value)
        } else {
            self = .string(try container.decode(String.self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .string(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .boolean(let value): try container.encode(value)
        case .strings(let value): try container.encode(value)
        }
    }
}

extension AttributeValue: CustomStringConvertible {
    package var description: String {
        switch self {
        case .string(let value): value
        case .integer(let value): String(value)
        case .double(let value): String(value)
        case .boolean(let value): String(value)
        case .strings(let value): value.joined(separator: ",")
        }
    }

    /// The value as a whole number, also where it was written as text.
    package var integer: Int? {
        switch self {
        case .integer(let value): Int(exactly: value)
        case .string(let value): Int(value)
        case .double(let value): Int(exactly: value)
        case .boolean, .strings: nil
        }
    }
}
