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
        case flag(ResponseFlag)
        /// The first digits of a trace id.
        case id(String)
        case time(Comparison, Timespan)
        case status(Comparison, Int)
        /// `5xx`: the first digit.
        case statusClass(Int)
        /// The most attempts that one call took.
        case attempts(Comparison, Int)
    }

    package enum Comparison: String, Hashable, Sendable, CaseIterable {
        case equal = "="
        case unequal = "!="
        case less = "<"
        case atMost = "<="
        case greater = ">"
        case atLeast = ">="
    }

    package init(_ text: String) throws(TraceQueryError) {
        var parser = try TraceQueryParser(text)
        self = try parser.query()
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

/// Recursive descent over the tokens of a query.
///
/// Invariant: nesting is bounded, so that no query overflows the stack, here or in SQLite.
private struct TraceQueryParser {
    private static let fields = ["route", "service", "tier", "flag", "id", "time", "status", "attempts"]
    private static let maximumDepth = 50
    private static let maximumLength = 2_000

    private enum Token: Hashable {
        case word(String)
        case quoted(String)
        case comparison(String)
        case open
        case close
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
                    if next.isWhitespace || next == "(" || next == ")" || next == "\"" { break }
                    if !isValue, ":=!<>".contains(next) { break }
                    word.append(next)
                    position += 1
                }
                add(.word(word), from: start)
            }
        }
        tokens.append((.end, characters.count + 1, false))
    }

    mutating func query() throws(TraceQueryError) -> TraceQuery {
        if peek == .end { return .all }
        let result = try alternatives(depth: 0)
        switch peek {
        case .end: return result
        case .close: throw TraceQueryError(column: column, message: "this ')' has no '('")
        default: throw unexpected()
        }
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
        var result = try negation(depth: depth)
        while true {
            if isWord("and") {
                index += 1
            } else if peek == .end || peek == .close || isWord("or") {
                return result
            }
            result = .and(result, try negation(depth: depth))
        }
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
                if peek == .end { throw TraceQueryError(column: start, message: "this '(' is not closed") }
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
            case .open, .close: "a condition should stand here"
            }
        return TraceQueryError(column: column, message: message, allowed: Self.fields + ["not", "("])
    }

    private mutating func term() throws(TraceQueryError) -> TraceQuery.Term {
        guard case .word(let written) = peek else { throw unexpected() }
        let start = column
        let field = written.lowercased()
        guard Self.fields.contains(field) else {
            let near = Self.fields.filter { $0.hasPrefix(field.prefix(2)) }
            let hint = near.isEmpty ? "" : ", did you mean '\(near[0])'?"
            throw TraceQueryError(column: start, message: "unknown word '\(written)'\(hint)", allowed: Self.fields)
        }
        index += 1
        guard case .comparison(let sign) = peek else {
            throw TraceQueryError(column: column, message: "'\(field)' is to be compared", allowed: Self.signs(of: field))
        }
        guard Self.signs(of: field).contains(sign) else {
            throw TraceQueryError(column: column, message: "'\(field)' cannot be compared by '\(sign)'", allowed: Self.signs(of: field))
        }
        index += 1
        let value: String
        switch peek {
        case .word(let text), .quoted(let text): value = text
        default: throw TraceQueryError(column: column, message: "'\(field)\(sign)' lacks its value")
        }
        let valueColumn = column
        index += 1
        let comparison = TraceQuery.Comparison(rawValue: sign == ":" ? "=" : sign) ?? .equal
        return try Self.term(field, comparison, value, at: valueColumn)
    }

    private static func signs(of field: String) -> [String] {
        switch field {
        case "time": ["<", "<=", ">", ">="]
        case "status", "attempts": [":", "=", "!=", "<", "<=", ">", ">="]
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
        case "time":
            guard let span = Timespan(queryText: value) else {
                throw TraceQueryError(column: column, message: "'\(value)' is no time", allowed: ["500us", "250ms", "2s", "5m", "24h"])
            }
            return .time(comparison, span)
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
            return .attempts(comparison, count)
        }
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
