package import MeshModel

/// What a person asked of the stored traces: `route:"POST /orders" time>300ms not (status>=500 or flag:UT)`.
package indirect enum TraceQuery: Hashable, Sendable {
    /// Every trace: the empty query.
    case all
    case term(Term)
    case and(TraceQuery, TraceQuery)
    case or(TraceQuery, TraceQuery)
    case not(TraceQuery)

    package enum Term: Hashable, Sendable {
        /// The whole route or its path; `*` stands for anything.
        case route(String)
        case service(String)
        case tier(String)
        /// `v2`, of any service, or `catalog/v2`.
        case version(String)
        case flag(ResponseFlag)
        /// The first digits of a trace id.
        case id(String)
        /// One of these; no query text says so.
        case oneOf([TraceID])
        case time(Comparison, Timespan)
        case status(Comparison, Int)
        /// `5xx`: the first digit.
        case statusClass(Int)
        /// The most attempts that one call took.
        case attempts(Comparison, Int)
        /// Spans in error.
        case errors(Comparison, Int)
        case spans(Comparison, Int)
        /// Slower than this share (0...1) of the stored traces of its route.
        case slower(Double)
        /// Some one span that meets all of it.
        case span(SpanCondition)
    }

    /// What one span has to meet.
    ///
    /// In `service:ledger self>50ms` it is ledger's own span that has to have worked for so long: the services, tiers and
    /// versions that stand beside a condition on a span, not in another group of parentheses, say which spans it is about.
    package struct SpanCondition: Hashable, Sendable {
        package var tests: [Test]
        /// One of these; any, where there is none.
        package var services: [String] = []
        package var tiers: [String] = []
        package var versions: [String] = []

        package enum Test: Hashable, Sendable {
            case selfTime(Comparison, Timespan)
            /// By name; `*` stands for anything in a text.
            case attribute(String, Comparison, String)
        }

        package init(_ tests: [Test], services: [String] = [], tiers: [String] = [], versions: [String] = []) {
            self.tests = tests
            self.services = services
            self.tiers = tiers
            self.versions = versions
        }
    }

    package enum Comparison: String, Hashable, Sendable, CaseIterable {
        case equal = "="
        case unequal = "!="
        case less = "<"
        case atMost = "<="
        case greater = ">"
        case atLeast = ">="

        func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
            switch self {
            case .equal: left == right
            case .unequal: left != right
            case .less: left < right
            case .atMost: left <= right
            case .greater: left > right
            case .atLeast: left >= right
            }
        }
    }

    package init(_ text: String) throws(TraceQueryError) {
        let request = try TraceRequest(text)
        guard request.grouping == nil else {
            let column = (text.firstIndex(of: "|").map { text.distance(from: text.startIndex, to: $0) } ?? 0) + 1
            throw TraceQueryError(column: column, message: "traces cannot be grouped here: '|' belongs to 'mesh traces list' and 'stats'")
        }
        self = request.query
    }
}

/// A query, and what is to be said of the traces that match it: `tier:enterprise | by version p50,p99`.
package struct TraceRequest: Hashable, Sendable {
    package var query: TraceQuery
    /// Nil: the traces themselves.
    package var grouping: TraceGrouping?

    package init(_ query: TraceQuery, grouping: TraceGrouping? = nil) {
        self.query = query
        self.grouping = grouping
    }

    package init(_ text: String) throws(TraceQueryError) {
        var parser = try TraceQueryParser(text)
        self = try parser.request()
    }
}

/// What traces are grouped by, and what is measured of each group.
package struct TraceGrouping: Hashable, Sendable {
    package enum Key: Hashable, Sendable {
        case route, service, tier, version, status, flag, attempts
        case attribute(String)

        package static let words = ["route", "service", "tier", "version", "status", "flag", "attempts", "attr.NAME"]

        package var name: String {
            switch self {
            case .route: "route"
            case .service: "service"
            case .tier: "tier"
            case .version: "version"
            case .status: "status"
            case .flag: "flag"
            case .attempts: "attempts"
            case .attribute(let name): "attr.\(name)"
            }
        }
    }

    package enum Measure: Hashable, Sendable {
        /// 0...1
        case quantile(Double)
        case mean, least, most
        /// The share that failed.
        case errors

        package static let words = ["p50", "p90", "p99", "p99.9", "mean", "min", "max", "errors"]
    }

    package var key: Key
    package var measures: [Measure]

    package init(by key: Key, _ measures: [Measure] = [.quantile(0.5), .quantile(0.99)]) {
        self.key = key
        self.measures = measures
    }
}

/// What is wrong with a query, and where.
package struct TraceQueryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// 1-based, in characters.
    package var column: Int
    package var message: String
    /// The words that may stand there; empty where any may.
    package var allowed: [String]

    package init(column: Int, message: String, allowed: [String] = []) {
        self.column = column
        self.message = message
        self.allowed = allowed
    }

    package var description: String {
        "column \(column): \(message)" + (allowed.isEmpty ? "" : "; allowed: " + allowed.joined(separator: ", "))
    }
}

extension Timespan {
    /// `500us`, `250ms`, `1.5s`, `5m`, `24h`; nil for anything else.
    package init?(queryText text: String) {
        let units: [(String, Double)] = [("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)]
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let amount = Double(number), let unit = units.first(where: { $0.0 == text.dropFirst(number.count) }) else { return nil }
        let nanoseconds = (amount * unit.1).rounded()
        guard nanoseconds >= 0, nanoseconds < 9e18 else { return nil }
        self = .nanoseconds(Int64(nanoseconds))
    }
}
