import MeshModel

/// Recursive descent over the tokens of a query.
///
/// Invariant: nesting is bounded, so that no query overflows the stack, here or in SQLite.
struct TraceQueryParser {
    private static let fields = [
        "route", "service", "tier", "version", "flag", "id", "time", "self", "slower", "status", "attempts", "errors", "spans", "breaker",
        "attr.NAME",
    ]
    /// What other tools call it.
    private static let synonyms = [
        "duration": "time", "latency": "time", "dur": "time", "path": "route", "trace": "id", "trace_id": "id", "code": "status",
        "http.status": "status", "retries": "attempts", "error": "errors", "attribute": "attr.NAME", "span": "attr.NAME",
        "resource": "attr.NAME", "tag": "attr.NAME", "percentile": "slower", "name": "route", "svc": "service",
    ]
    private static let maximumDepth = 50
    private static let maximumLength = 2_000

    private enum Token: Hashable {
        case word(String)
        case quoted(String)
        case comparison(String)
        case open
        case close
        case bar
        case end
    }

    private var tokens: [(token: Token, column: Int, touchesPrevious: Bool)] = []
    private var index = 0

    init(_ text: String) throws(TraceQueryError) {
        guard text.count <= Self.maximumLength else {
            throw TraceQueryError(column: Self.maximumLength + 1, message: "a query has at most \(Self.maximumLength) characters")
        }
        let characters = Array(text)
        var position = 0
        var lastEnd = -1
        func add(_ token: Token, from start: Int) {
            tokens.append((token, start + 1, start == lastEnd))
            lastEnd = position
        }
        while position < characters.count {
            let start = position
            let character = characters[position]
            switch character {
            case _ where character.isWhitespace: position += 1
            case "(":
                position += 1
                add(.open, from: start)
            case ")":
                position += 1
                add(.close, from: start)
            case "|":
                position += 1
                add(.bar, from: start)
            case "\"", "'":
                position += 1
                var value = ""
                while position < characters.count, characters[position] != character {
                    if characters[position] == "\\", position + 1 < characters.count { position += 1 }
                    value.append(characters[position])
                    position += 1
                }
                guard position < characters.count else {
                    throw TraceQueryError(column: start + 1, message: "this quote is not closed")
                }
                position += 1
                add(.quoted(value), from: start)
            case ":", "=", "!", "<", ">":
                var sign = String(character)
                position += 1
                if character != ":", character != "=", position < characters.count, characters[position] == "=" {
                    sign += "="
                    position += 1
                }
                guard sign != "!" else {
                    throw TraceQueryError(column: start + 1, message: "'!' alone means nothing; say 'not' before a condition, or '!='")
                }
                add(.comparison(sign), from: start)
            default:
                var word = ""
                // After its first sign a value may hold more of them: attr:a=b, GET:/x.
                let isValue = if case .comparison? = tokens.last?.token { lastEnd == start } else { false }
                while position < characters.count {
                    let next = characters[position]
                    if next.isWhitespace || next == "(" || next == ")" || next == "\"" || next == "|" { break }
                    if !isValue, ":=!<>".contains(next) { break }
                    word.append(next)
                    position += 1
                }
                add(.word(word), from: start)
            }
        }
        tokens.append((.end, characters.count + 1, false))
    }

    mutating func request() throws(TraceQueryError) -> TraceRequest {
        var query = TraceQuery.all
        if peek != .end, peek != .bar { query = try alternatives(depth: 0) }
        switch peek {
        case .end: return TraceRequest(query)
        case .bar: return TraceRequest(query, grouping: try grouping())
        case .close: throw TraceQueryError(column: column, message: "this ')' has no '('")
        default: throw unexpected()
        }
    }

    /// `| by version p50,p99`
    private mutating func grouping() throws(TraceQueryError) -> TraceGrouping {
        index += 1
        guard isWord("by") else {
            throw TraceQueryError(column: column, message: "'|' is followed by 'by'", allowed: ["by"])
        }
        index += 1
        guard case .word(let word) = peek, let key = Self.groupingKey(word) else {
            throw TraceQueryError(column: column, message: "'by' needs what to group by", allowed: TraceGrouping.Key.words)
        }
        index += 1
        var measures: [TraceGrouping.Measure] = []
        while case .word(let list) = peek {
            var at = column
            for word in list.split(separator: ",", omittingEmptySubsequences: false) {
                if !word.isEmpty {
                    guard let measure = Self.measure(String(word)) else {
                        throw TraceQueryError(column: at, message: "unknown measure '\(word)'", allowed: TraceGrouping.Measure.words)
                    }
                    measures.append(measure)
                }
                at += word.count + 1
            }
            index += 1
        }
        guard peek == .end else {
            throw TraceQueryError(column: column, message: "nothing may follow the measures", allowed: TraceGrouping.Measure.words)
        }
        return measures.isEmpty ? TraceGrouping(by: key) : TraceGrouping(by: key, measures)
    }

    private static func groupingKey(_ word: String) -> TraceGrouping.Key? {
        if word.lowercased().hasPrefix("attr."), word.count > 5 { return .attribute(String(word.dropFirst(5))) }
        return switch word.lowercased() {
        case "route": .route
        case "service": .service
        case "tier": .tier
        case "version": .version
        case "status": .status
        case "flag": .flag
        case "attempts": .attempts
        default: nil
        }
    }

    private static func measure(_ word: String) -> TraceGrouping.Measure? {
        switch word.lowercased() {
        case "mean", "avg": .mean
        case "min": .least
        case "max": .most
        case "errors": .errors
        default: percentile(word).map { .quantile($0) }
        }
    }

    /// `p99.9` as 0.999.
    private static func percentile(_ word: String) -> Double? {
        // Read as hundredths, since a division by 100 would make 0.9990000000000001 of it.
        guard word.lowercased().hasPrefix("p"), word.dropFirst().allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }),
            let share = Double(word.dropFirst() + "e-2"), share > 0, share < 1
        else { return nil }
        return share
    }

    private var peek: Token { tokens[index].token }
    private var column: Int { tokens[index].column }

    private func isWord(_ text: String) -> Bool {
        guard case .word(let word) = peek, word.lowercased() == text else { return false }
        // `or:x` is a (wrong) condition, not an operator.
        if case .comparison = tokens[index + 1].token, tokens[index + 1].touchesPrevious { return false }
        return true
    }

    private mutating func alternatives(depth: Int) throws(TraceQueryError) -> TraceQuery {
        var result = try conjunction(depth: depth)
        while isWord("or") {
            index += 1
            result = .or(result, try conjunction(depth: depth))
        }
        return result
    }

    private mutating func conjunction(depth: Int) throws(TraceQueryError) -> TraceQuery {
        var parts: [Conjunct] = [try conjunct(depth: depth)]
        while true {
            if isWord("and") {
                index += 1
            } else if peek == .end || peek == .close || peek == .bar || isWord("or") {
                return Self.conjoined(parts)
            }
            parts.append(try conjunct(depth: depth))
        }
    }

    /// One of several conditions that stand side by side; what is in parentheses stands for itself.
    private struct Conjunct {
        var query: TraceQuery
        var isGrouped: Bool
    }

    private mutating func conjunct(depth: Int) throws(TraceQueryError) -> Conjunct {
        let isGrouped = peek == .open
        return Conjunct(query: try negation(depth: depth), isGrouped: isGrouped)
    }

    /// Conditions on a span, and the services, tiers and versions beside them, are about one and the same span.
    private static func conjoined(_ parts: [Conjunct]) -> TraceQuery {
        var condition = TraceQuery.SpanCondition([])
        var rest: [TraceQuery] = []
        for part in parts {
            switch part.query {
            case _ where part.isGrouped: rest.append(part.query)
            case .term(.span(let other)): condition.tests += other.tests
            case .term(let term):
                switch term {
                case .service(let name): condition.services.append(name)
                case .tier(let name): condition.tiers.append(name)
                case .version(let name): condition.versions.append(name)
                default: break
                }
                rest.append(part.query)
            default: rest.append(part.query)
            }
        }
        if !condition.tests.isEmpty { rest.append(.term(.span(condition))) }
        return rest.dropFirst().reduce(rest[0]) { .and($0, $1) }
    }

    private mutating func negation(depth: Int) throws(TraceQueryError) -> TraceQuery {
        guard depth < Self.maximumDepth else {
            throw TraceQueryError(column: column, message: "more than \(Self.maximumDepth) conditions within each other")
        }
        if isWord("not") {
            index += 1
            return .not(try negation(depth: depth + 1))
        }
        if peek == .open {
            let start = column
            index += 1
            let inner = try alternatives(depth: depth + 1)
            guard peek == .close else {
                if peek == .end || peek == .bar { throw TraceQueryError(column: start, message: "this '(' is not closed") }
                throw unexpected()
            }
            index += 1
            return inner
        }
        return .term(try term())
    }

    private func unexpected() -> TraceQueryError {
        let message =
            switch peek {
            case .end: "the query ends where a condition should stand"
            case .word(let word), .quoted(let word): "'\(word)' is no condition"
            case .comparison(let sign): "'\(sign)' has no word before it"
            case .open, .close, .bar: "a condition should stand here"
            }
        return TraceQueryError(column: column, message: message, allowed: Self.fields + ["not", "(", "| by"])
    }

    private mutating func term() throws(TraceQueryError) -> TraceQuery.Term {
        guard case .word(let written) = peek else { throw unexpected() }
        let start = column
        var field = written.lowercased()
        var attribute = ""
        if field.hasPrefix("attr."), field.count > 5 {
            attribute = String(written.dropFirst(5))
            field = "attr.NAME"
        }
        guard Self.fields.contains(field), field != "attr.NAME" || !attribute.isEmpty else {
            let hint = Self.nearest(to: field).map { ", did you mean '\($0)'?" } ?? ""
            throw TraceQueryError(column: start, message: "unknown word '\(written)'\(hint)", allowed: Self.fields)
        }
        let shown = attribute.isEmpty ? field : "attr.\(attribute)"
        index += 1
        guard case .comparison(let sign) = peek else {
            throw TraceQueryError(column: column, message: "'\(shown)' is to be compared", allowed: Self.signs(of: field))
        }
        guard Self.signs(of: field).contains(sign) else {
            throw TraceQueryError(column: column, message: "'\(shown)' cannot be compared by '\(sign)'", allowed: Self.signs(of: field))
        }
        index += 1
        let value: String
        switch peek {
        case .word(let text), .quoted(let text): value = text
        default: throw TraceQueryError(column: column, message: "'\(shown)\(sign)' lacks its value")
        }
        let valueColumn = column
        index += 1
        let comparison = TraceQuery.Comparison(rawValue: sign == ":" ? "=" : sign) ?? .equal
        if !attribute.isEmpty { return .span(.init([.attribute(attribute, comparison, value)])) }
        return try Self.term(field, comparison, value, at: valueColumn)
    }

    /// By what other tools call it, else the one that differs in the fewest letters.
    private static func nearest(to word: String) -> String? { synonyms[word] ?? Suggestion.nearest(to: word, among: fields) }

    private static func signs(of field: String) -> [String] {
        switch field {
        case "time", "self": ["<", "<=", ">", ">="]
        case "attr.NAME", "status", "attempts", "errors", "spans": [":", "=", "!=", "<", "<=", ">", ">="]
        default: [":", "="]
        }
    }

    private static func term(
        _ field: String, _ comparison: TraceQuery.Comparison, _ value: String, at column: Int
    ) throws(TraceQueryError) -> TraceQuery.Term {
        guard !value.isEmpty else { throw TraceQueryError(column: column, message: "'\(field)' needs a value that is not empty") }
        switch field {
        case "route": return .route(value)
        case "service": return .service(value)
        case "tier": return .tier(value)
        case "version": return .version(value)
        case "breaker":
            guard value.lowercased() == "open" else {
                throw TraceQueryError(column: column, message: "'\(value)' is no state that refuses calls", allowed: ["open"])
            }
            return .flag(.breakerOpen)
        case "slower":
            guard let share = percentile(value) else {
                throw TraceQueryError(column: column, message: "'\(value)' is no percentile", allowed: ["p50", "p90", "p99", "p99.9"])
            }
            return .slower(share)
        case "flag":
            guard let flag = ResponseFlag.allCases.first(where: { $0.code == value.uppercased() }) else {
                throw TraceQueryError(column: column, message: "unknown flag '\(value)'", allowed: ResponseFlag.allCases.map(\.code))
            }
            return .flag(flag)
        case "id":
            guard value.count <= 32, value.utf8.allSatisfy({ Hexadecimal.value($0, anyCase: true) != nil }) else {
                throw TraceQueryError(column: column, message: "a trace id has up to 32 digits of 0-9 and a-f")
            }
            return .id(value.lowercased())
        case "time", "self":
            guard let span = Timespan(queryText: value) else {
                throw TraceQueryError(column: column, message: "'\(value)' is no time", allowed: ["500us", "250ms", "2s", "5m", "24h"])
            }
            return field == "time" ? .time(comparison, span) : .span(.init([.selfTime(comparison, span)]))
        case "status":
            if let digit = value.first?.wholeNumberValue, (1...5).contains(digit), value.dropFirst().lowercased() == "xx" {
                guard comparison == .equal else {
                    throw TraceQueryError(column: column, message: "'\(value)' can only be compared by ':'", allowed: [":"])
                }
                return .statusClass(digit)
            }
            guard let code = Int(value), (100...599).contains(code) else {
                throw TraceQueryError(
                    column: column, message: "'\(value)' is no HTTP status", allowed: ["100 to 599", "2xx", "4xx", "5xx"])
            }
            return .status(comparison, code)
        default:
            guard let count = Int(value), (0...1_000_000).contains(count) else {
                throw TraceQueryError(column: column, message: "'\(value)' is no number")
            }
            return field == "attempts"
                ? .attempts(comparison, count) : field == "errors" ? .errors(comparison, count) : .spans(comparison, count)
        }
    }
}
