import GRDB
import MeshModel
import MeshTelemetry

/// A condition on rows of `trace`.
struct TraceCondition {
    var sql: String
    var arguments: [DatabaseValue] = []

    static let always = TraceCondition(sql: "1")
    static let never = TraceCondition(sql: "0")

    static func join(_ left: TraceCondition, _ word: String, _ right: TraceCondition) -> TraceCondition {
        TraceCondition(sql: "(\(left.sql) \(word) \(right.sql))", arguments: left.arguments + right.arguments)
    }
}

/// How a query is answered from one partition: what SQLite decides by the columns of a trace, and what only its spans can tell.
///
/// Invariant: `candidates` holds for every trace that matches, so that nothing is missed; where no span has to be looked at, it
/// holds for no other.
struct QueryPlan {
    let query: TraceQuery
    /// By the text of the route, of each percentile that the query names: durations above which a trace is slower.
    let thresholds: [Double: [String: Int64]]

    init(_ query: TraceQuery, thresholds: [Double: [String: Int64]] = [:]) {
        self.query = query
        self.thresholds = thresholds
    }

    /// The percentiles that have to be known before the query can be answered.
    static func percentiles(of query: TraceQuery) -> Set<Double> {
        switch query {
        case .all: []
        case .term(.slower(let share)): [share]
        case .term: []
        case .and(let left, let right), .or(let left, let right): percentiles(of: left).union(percentiles(of: right))
        case .not(let inner): percentiles(of: inner)
        }
    }

    /// Whether the query says which routes, or which traces, it is about.
    var namesTraces: Bool { Self.namesTraces(query) }

    private static func namesTraces(_ query: TraceQuery) -> Bool {
        switch query {
        case .term(.route), .term(.id), .term(.oneOf): true
        case .all, .term, .not: false
        case .and(let left, let right), .or(let left, let right): namesTraces(left) || namesTraces(right)
        }
    }

    var needsSpans: Bool { !spanConditions.isEmpty }

    /// In the order in which they stand.
    var spanConditions: [TraceQuery.SpanCondition] { Self.spanConditions(of: query) }

    private static func spanConditions(of query: TraceQuery) -> [TraceQuery.SpanCondition] {
        switch query {
        case .all: []
        case .term(.span(let condition)): [condition]
        case .term: []
        case .and(let left, let right), .or(let left, let right): spanConditions(of: left) + spanConditions(of: right)
        case .not(let inner): spanConditions(of: inner)
        }
    }

    /// What the traces have to meet as far as their columns tell.
    func candidates(_ names: PartitionNames) -> TraceCondition { condition(query, isNegated: false, names) }

    /// Each term that columns decide, in the order in which `matches` asks for them.
    func columnTerms(_ names: PartitionNames) -> [TraceCondition] { columnTerms(query, names) }

    private func columnTerms(_ query: TraceQuery, _ names: PartitionNames) -> [TraceCondition] {
        switch query {
        case .all, .term(.span): []
        case .term(let term): [condition(term, names)]
        case .and(let left, let right), .or(let left, let right): columnTerms(left, names) + columnTerms(right, names)
        case .not(let inner): columnTerms(inner, names)
        }
    }

    /// - Parameters:
    ///   - columns: what the terms of `columnTerms` came to.
    ///   - meets: whether some span meets a condition.
    func matches(columns: [Bool], meets: (TraceQuery.SpanCondition) -> Bool) -> Bool {
        var next = 0
        return evaluate(query, columns, &next, meets)
    }

    private func evaluate(
        _ query: TraceQuery, _ columns: [Bool], _ next: inout Int, _ meets: (TraceQuery.SpanCondition) -> Bool
    ) -> Bool {
        switch query {
        case .all: return true
        case .term(.span(let condition)): return meets(condition)
        case .term:
            next += 1
            return columns[next - 1]
        case .and(let left, let right):
            // Both are walked, so that each term is met at its place.
            let first = evaluate(left, columns, &next, meets)
            return evaluate(right, columns, &next, first ? meets : { _ in false }) && first
        case .or(let left, let right):
            let first = evaluate(left, columns, &next, meets)
            return evaluate(right, columns, &next, first ? { _ in true } : meets) || first
        case .not(let inner): return !evaluate(inner, columns, &next, meets)
        }
    }

    // MARK: Columns

    private func condition(_ query: TraceQuery, isNegated: Bool, _ names: PartitionNames) -> TraceCondition {
        switch query {
        case .all: return isNegated ? .never : .always
        case .term(.span(let span)): return isNegated ? .always : candidates(for: span, names)
        case .term(let term):
            let condition = condition(term, names)
            return isNegated ? TraceCondition(sql: "NOT \(condition.sql)", arguments: condition.arguments) : condition
        case .and(let left, let right):
            return .join(
                condition(left, isNegated: isNegated, names), isNegated ? "OR" : "AND", condition(right, isNegated: isNegated, names))
        case .or(let left, let right):
            return .join(
                condition(left, isNegated: isNegated, names), isNegated ? "AND" : "OR", condition(right, isNegated: isNegated, names))
        case .not(let inner): return condition(inner, isNegated: !isNegated, names)
        }
    }

    /// Invariant: 0 or 1 and never NULL, so that `not` means the rest.
    private func condition(_ term: TraceQuery.Term, _ names: PartitionNames) -> TraceCondition {
        switch term {
        case .route(let pattern):
            return names.condition("route") { route in
                Glob.matches(pattern, route) || Glob.matches(pattern, route.drop { $0 != " " }.dropFirst())
            }
        case .service(let name): return names.condition("services") { $0.contains(ListColumn.element(name)) }
        case .tier(let name): return names.condition("tiers") { $0.contains(ListColumn.element(name)) }
        case .version(let name):
            return names.condition("versions") { ListColumn.decode($0).contains { Self.isVersion($0, name) } }
        case .flag(let flag):
            return TraceCondition(sql: "(flags & ? <> 0)", arguments: [(Int64(1) << Int64(flag.rawValue)).databaseValue])
        case .id(let prefix):
            let range = IdentityRange(prefix: prefix)
            return TraceCondition(sql: "(identity BETWEEN ? AND ?)", arguments: [range.lower.databaseValue, range.upper.databaseValue])
        case .oneOf(let ids):
            let marks = ids.map { _ in "?" }.joined(separator: ",")
            return TraceCondition(sql: "(identity IN (\(marks)))", arguments: ids.map(\.identity.databaseValue))
        case .time(let comparison, let span): return Self.compare("duration", comparison, span.nanoseconds)
        case .status(let comparison, let code):
            return TraceCondition(sql: "(status IS NOT NULL AND status \(comparison.sql) ?)", arguments: [code.databaseValue])
        case .statusClass(let digit):
            return TraceCondition(
                sql: "(status IS NOT NULL AND status BETWEEN ? AND ?)",
                arguments: [(digit * 100).databaseValue, (digit * 100 + 99).databaseValue])
        case .attempts(let comparison, let count): return Self.compare("attempts", comparison, Int64(count))
        case .errors(let comparison, let count): return Self.compare("errors", comparison, Int64(count))
        case .spans(let comparison, let count): return Self.compare("spans", comparison, Int64(count))
        case .slower(let share):
            var cases: [String] = []
            for (route, threshold) in thresholds[share] ?? [:] {
                for number in names.numbers(where: { $0 == route }) { cases.append("WHEN \(number) THEN duration > \(threshold)") }
            }
            return cases.isEmpty ? .never : TraceCondition(sql: "(CASE route \(cases.joined(separator: " ")) ELSE 0 END)")
        case .span: return .always
        }
    }

    private static func compare(_ column: String, _ comparison: TraceQuery.Comparison, _ value: Int64) -> TraceCondition {
        TraceCondition(sql: "(\(column) \(comparison.sql) ?)", arguments: [value.databaseValue])
    }

    /// `catalog/v2` as `v2` or in full.
    static func isVersion(_ label: String, _ name: String) -> Bool { label == name || label.hasSuffix("/" + name) }

    /// The traces that may have such a span.
    private func candidates(for span: TraceQuery.SpanCondition, _ names: PartitionNames) -> TraceCondition {
        span.tests.reduce(TraceCondition.always) { condition, test in
            switch test {
            case .selfTime(let comparison, let time) where comparison == .greater || comparison == .atLeast:
                // A span works no longer than it lasts.
                .join(condition, "AND", Self.compare("longest", comparison, time.nanoseconds))
            case .selfTime: condition
            case .attribute(let name, let comparison, let value):
                if AttributeKey(name: name) != nil {
                    condition
                } else if names.lacks(key: name) {
                    .never
                } else if comparison == .equal, !value.contains("*") {
                    .join(
                        condition, "AND",
                        TraceCondition(
                            sql: "(id IN (SELECT trace FROM tag WHERE hash = ?))",
                            arguments: [TagFingerprint.of(key: name, value: value).databaseValue]))
                } else {
                    condition
                }
            }
        }
    }
}

/// The texts of one partition, and which rows have them.
struct PartitionNames {
    /// By number; 0 is the empty text.
    let texts: [String]

    func numbers(where matches: (String) -> Bool) -> [Int] { texts.indices.dropFirst().filter { matches(texts[$0]) } }

    /// True when no span of the file has an attribute of that name: every key is named, unless there were very many.
    func lacks(key: String) -> Bool { texts.count <= NamePolicy.mostPerKey && !texts.contains(key) }

    func condition(_ column: String, _ matches: (String) -> Bool) -> TraceCondition {
        let numbers = numbers(where: matches)
        // The plus sign keeps SQLite from an index by which it would look up each row.
        return numbers.isEmpty ? .never : TraceCondition(sql: "(+\(column) IN (\(numbers.map(String.init).joined(separator: ","))))")
    }
}

/// Patterns in which `*` stands for anything, and nothing else is special.
enum Glob {
    static func matches(_ pattern: some StringProtocol, _ text: some StringProtocol) -> Bool {
        guard pattern.contains("*") else { return pattern == text }
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
        var rest = text[...]
        guard let first = parts.first, let last = parts.last, rest.hasPrefix(first) else { return false }
        rest = rest.dropFirst(first.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.firstRange(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return rest.hasSuffix(last)
    }
}

extension TraceQuery.SpanCondition {
    /// What has to be read of the spans.
    var depth: ChunkDecoder.Depth {
        tests.contains { if case .attribute = $0 { true } else { false } } ? .whole : .skeleton
    }

    func isMet(by span: DecodedSpan, selfTime: @autoclosure () -> Timespan) -> Bool {
        let origin = span.origin
        guard services.isEmpty || services.contains(origin.service), tiers.isEmpty || tiers.contains(origin.tier),
            versions.isEmpty
                || versions.contains(where: { name in origin.version.map { QueryPlan.isVersion("\(origin.service)/\($0)", name) } ?? false }
                )
        else { return false }
        return tests.allSatisfy { test in
            switch test {
            case .selfTime(let comparison, let time): comparison.holds(selfTime(), time)
            case .attribute(let name, let comparison, let wanted):
                Self.compare(span.attributes.filter { $0.name == name }.map(\.value), comparison, wanted)
            }
        }
    }

    /// An attribute that is not there is unequal to everything, and neither less nor more than anything.
    private static func compare(_ values: [AttributeValue], _ comparison: TraceQuery.Comparison, _ wanted: String) -> Bool {
        let elements = values.flatMap { if case .array(let elements) = $0 { elements } else { [$0] } }
        switch comparison {
        case .equal: return elements.contains { Glob.matches(wanted, $0.description) }
        case .unequal: return !elements.contains { Glob.matches(wanted, $0.description) }
        default:
            guard let number = Double(wanted) else { return elements.contains { comparison.holds($0.description, wanted) } }
            return elements.contains { value in
                switch value {
                case .integer(let integer): comparison.holds(Double(integer), number)
                case .double(let double): comparison.holds(double, number)
                case .string(let text): Double(text).map { comparison.holds($0, number) } ?? false
                case .bool, .array: false
                }
            }
        }
    }
}

extension TraceQuery.Comparison {
    fileprivate var sql: String { self == .unequal ? "<>" : rawValue }
}
