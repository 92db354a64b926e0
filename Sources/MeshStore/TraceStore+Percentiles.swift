import GRDB
import MeshModel

extension TraceStore {
    /// The durations of some quantiles, by the text of the route: exact, by nearest rank.
    ///
    /// Each file tells from its index by route and duration how many traces a route has, and the longest of them: no more of these
    /// than could be wanted if all that are above the quantile lay in that file. Only of the file in which the time begins every
    /// trace is looked at; those after it are taken as a whole.
    func thresholds(_ shares: Set<Double>, since: UnixTime?) -> [Double: [String: Int64]] {
        var routes: [String: RouteDurations] = [:]
        var whole: Set<PartitionName> = []
        _ = eachPartition(since: since) { view in
            if let since, view.name.created * 1_000_000_000 < since.nanoseconds {
                for (number, durations) in try view.durations(since: since) {
                    routes[view.text(number), default: RouteDurations()].add(all: durations)
                }
            } else {
                for (number, count) in try view.countsByRoute() { routes[view.text(number), default: RouteDurations()].count += count }
                whole.insert(view.name)
            }
            return true
        }
        guard let lowest = shares.min() else { return [:] }
        _ = eachPartition(since: since) { view in
            guard whole.contains(view.name) else { return true }
            for (number, count) in try view.countsByRoute() {
                let route = view.text(number)
                guard let wanted = routes[route]?.fromTop(lowest) else { continue }
                routes[route]?.longest += try view.longest(min(wanted, count), route: number)
            }
            return true
        }
        var thresholds: [Double: [String: Int64]] = [:]
        for (route, durations) in routes {
            let falling = durations.longest.sorted(by: >)
            for share in shares {
                // Fewer than were counted, where a file was dropped meanwhile.
                guard let last = falling.indices.last else { continue }
                thresholds[share, default: [:]][route] = falling[min(last, durations.fromTop(share) - 1)]
            }
        }
        return thresholds
    }
}

/// What is known of the durations of one route.
private struct RouteDurations {
    var count = 0
    /// In no order.
    var longest: [Int64] = []

    mutating func add(all durations: [Int64]) {
        count += durations.count
        longest += durations
    }

    /// Which one it is, counted from the longest, 1 being that.
    func fromTop(_ share: Double) -> Int { count - Quantile.rank(of: share, in: count) }
}

extension PartitionView {
    /// Looks at every row of a trace and at every entry by route, and fetches none.
    func readThrough() throws {
        _ = try Int64.fetchOne(db, sql: "SELECT id FROM trace WHERE longest < 0")
        _ = try countsByRoute()
    }

    /// How many traces each route has, by its number.
    fileprivate func countsByRoute() throws -> [(Int, Int)] {
        let statement = try db.cachedStatement(sql: "SELECT route, count(*) FROM trace WHERE route <> 0 GROUP BY route")
        return try Row.fetchAll(statement).map { ($0[0], $0[1]) }
    }

    fileprivate func longest(_ count: Int, route: Int) throws -> [Int64] {
        let statement = try db.cachedStatement(sql: "SELECT duration FROM trace WHERE route = ? ORDER BY duration DESC LIMIT ?")
        return try Int64.fetchAll(statement, arguments: [route, count])
    }

    /// Of every trace since then that has a root, by the number of its route.
    fileprivate func durations(since: UnixTime) throws -> [Int: [Int64]] {
        // One integer for a row, since that is the fastest to fetch: 46 bits of nanoseconds are 19 hours.
        let packed = try Int64.fetchCursor(
            db, sql: "SELECT route << 46 | min(duration, (1 << 46) - 1) FROM trace WHERE route <> 0 AND started >= ?",
            arguments: [since.nanoseconds])
        var byNumber: [Int: [Int64]] = [:]
        while let value = try packed.next() { byNumber[Int(value >> 46), default: []].append(value & (1 << 46 - 1)) }
        return byNumber
    }
}
