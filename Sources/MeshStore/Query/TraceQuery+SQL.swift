import GRDB
import MeshModel

/// A condition on rows of `trace`.
struct TraceCondition {
    var sql: String
    var arguments: [DatabaseValue]
}

extension TraceQuery {
    /// Invariant: every term is 0 or 1 and never NULL, so that `not` means the rest.
    var condition: TraceCondition {
        switch self {
        case .all: TraceCondition(sql: "1", arguments: [])
        case .term(let term): term.condition
        case .and(let left, let right): Self.join(left, "AND", right)
        case .or(let left, let right): Self.join(left, "OR", right)
        case .not(let inner): TraceCondition(sql: "NOT \(inner.condition.sql)", arguments: inner.condition.arguments)
        }
    }

    private static func join(_ left: TraceQuery, _ word: String, _ right: TraceQuery) -> TraceCondition {
        let (left, right) = (left.condition, right.condition)
        return TraceCondition(sql: "(\(left.sql) \(word) \(right.sql))", arguments: left.arguments + right.arguments)
    }
}

extension TraceQuery.Term {
    fileprivate var condition: TraceCondition {
        switch self {
        case .route(let pattern):
            // Within GLOB only `*` is special here: the others are taken as they stand.
            let glob = pattern.map { "[?".contains($0) ? "[\($0)]" : String($0) }.joined()
            return TraceCondition(
                sql: "(route GLOB ? OR substr(route, instr(route, ' ') + 1) GLOB ?)", arguments: [glob.databaseValue, glob.databaseValue])
        case .service(let name):
            return TraceCondition(sql: "(instr(services, ?) > 0)", arguments: [ListColumn.element(name).databaseValue])
        case .tier(let name): return TraceCondition(sql: "(instr(tiers, ?) > 0)", arguments: [ListColumn.element(name).databaseValue])
        case .flag(let flag): return TraceCondition(sql: "(flags & ? <> 0)", arguments: [(Int64(1) << Int64(flag.rawValue)).databaseValue])
        case .id(let prefix):
            let range = IdentityRange(prefix: prefix)
            return TraceCondition(sql: "(identity BETWEEN ? AND ?)", arguments: [range.lower.databaseValue, range.upper.databaseValue])
        case .time(let comparison, let span):
            return TraceCondition(sql: "(duration \(comparison.sql) ?)", arguments: [span.nanoseconds.databaseValue])
        case .status(let comparison, let code):
            return TraceCondition(sql: "(status IS NOT NULL AND status \(comparison.sql) ?)", arguments: [code.databaseValue])
        case .statusClass(let digit):
            return TraceCondition(
                sql: "(status IS NOT NULL AND status BETWEEN ? AND ?)",
                arguments: [(digit * 100).databaseValue, (digit * 100 + 99).databaseValue])
        case .attempts(let comparison, let count):
            return TraceCondition(sql: "(attempts \(comparison.sql) ?)", arguments: [count.databaseValue])
        }
    }
}

extension TraceQuery.Comparison {
    fileprivate var sql: String { self == .unequal ? "<>" : rawValue }
}
