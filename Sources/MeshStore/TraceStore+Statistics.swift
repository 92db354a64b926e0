import Foundation
import GRDB
package import MeshModel
import MeshTelemetry

/// A group of traces in numbers.
package struct TraceGroup: Hashable, Sendable {
    /// The route, the version, ...; empty where the traces have none.
    package var value: String
    package var traces: Int
    package var failed: Int
    /// In the order of the measures asked for; a share for `errors`, else milliseconds.
    package var measures: [Double]
    /// How many lie in each of `TraceStatistics.bounds`.
    package var histogram: [Int]
}

/// Traces that match and yet are not counted where requests are.
package struct LeftOutTraces: Hashable, Sendable {
    /// Work that goes on after its request: nobody waits for it. A query that names its route has it counted.
    package var detached = 0
    /// Their roots have not come, so that nobody knows how long they took.
    package var rootless = 0

    /// What a row is: 0 a request, else why it is left out.
    fileprivate static let column = "iif(root IS NULL, 1, parentless & 2)"

    package init(detached: Int = 0, rootless: Int = 0) {
        self.detached = detached
        self.rootless = rootless
    }

    /// Whether a row is left out, by its `column`.
    fileprivate mutating func takes(_ reason: Int64, countsDetached: Bool) -> Bool {
        switch reason {
        case 0: return false
        case 1:
            rootless += 1
            return true
        default:
            if !countsDetached { detached += 1 }
            return !countsDetached
        }
    }

    fileprivate mutating func add(_ other: LeftOutTraces) {
        detached += other.detached
        rootless += other.rootless
    }
}

/// The traces that match, by groups.
package struct TraceStatistics: Hashable, Sendable {
    package var grouping: TraceGrouping
    package var groups: [TraceGroup]
    /// The upper ends of the histogram's classes, rising evenly in their logarithm.
    package var bounds: [Timespan]
    /// From the first to the last of the traces.
    package var span: Timespan
    package var leftOut: LeftOutTraces
    package var problems: [String]
}

extension TraceStore {
    /// How many traces of a band or a group are looked at in full, at most.
    private static let mostAnalysed = 20_000
    private static let mostCompared = 2_000
    private static let histogramClasses = 24

    // MARK: Groups

    /// Groups the traces that match; those with several values (services, flags) are counted in each. Blocks on the disk.
    package func statistics(_ query: TraceQuery, by grouping: TraceGrouping, since: UnixTime? = nil) -> TraceStatistics {
        let plan = plan(query, since: since)
        var durations: [String: [Int64]] = [:]
        var failed: [String: Int] = [:]
        var first = Int64.max
        var last = Int64.min
        var leftOut = LeftOutTraces()
        let problems = eachPartition(since: since) { view in
            // Texts by number: a group is known by its number until the end of the file.
            var byNumber: [Int64: (durations: [Int64], failed: Int)] = [:]
            var byText: [String: (durations: [Int64], failed: Int)] = [:]
            let column = Self.column(of: grouping.key)
            try matches(
                plan, in: view, since: since,
                columns: "duration, status IS NULL OR status >= 500, \(LeftOutTraces.column), \(column ?? "0")"
            ) { match in
                guard !leftOut.takes(match[2], countsDetached: plan.namesTraces) else { return }
                let (duration, hasFailed): (Int64, Bool) = (match[0], match[1])
                first = min(first, match.started)
                last = max(last, match.started)
                if column != nil {
                    byNumber[match[3] ?? -1, default: ([], 0)].durations.append(duration)
                    if hasFailed { byNumber[match[3] ?? -1]?.failed += 1 }
                } else if case .attribute(let name) = grouping.key {
                    let spans = StoredPart.decode(try view.parts(row: match.row), of: TraceID(high: 0, low: 0))
                    let values = spans.flatMap { $0.attributes.filter { $0.name == name }.map(\.value.description) }
                    for value in values.isEmpty ? [""] : Set(values) {
                        byText[value, default: ([], 0)].durations.append(duration)
                        if hasFailed { byText[value]?.failed += 1 }
                    }
                }
            }
            for (number, group) in byNumber {
                for value in Self.values(of: grouping.key, number, view) {
                    byText[value, default: ([], 0)].durations += group.durations
                    byText[value]?.failed += group.failed
                }
            }
            for (value, group) in byText {
                durations[value, default: []] += group.durations
                failed[value, default: 0] += group.failed
            }
            return true
        }
        let bounds = Self.bounds(durations.values)
        let groups = durations.map { value, durations in
            let sorted = durations.sorted()
            return TraceGroup(
                value: value, traces: sorted.count, failed: failed[value] ?? 0,
                measures: grouping.measures.map { Self.measure($0, sorted, failed: failed[value] ?? 0) },
                histogram: Self.histogram(sorted, bounds))
        }
        return TraceStatistics(
            grouping: grouping, groups: groups.sorted { $0.traces != $1.traces ? $0.traces > $1.traces : $0.value < $1.value },
            bounds: bounds.map { .nanoseconds($0) }, span: first < last ? .nanoseconds(last - first) : .zero, leftOut: leftOut,
            problems: problems)
    }

    private static func column(of key: TraceGrouping.Key) -> String? {
        switch key {
        case .route: "route"
        case .service: "services"
        case .tier: "tiers"
        case .version: "versions"
        case .status: "status"
        case .flag: "flags"
        case .attempts: "attempts"
        case .attribute: nil
        }
    }

    private static func values(of key: TraceGrouping.Key, _ number: Int64, _ view: PartitionView) -> [String] {
        switch key {
        case .route, .attribute: return [view.text(Int(number))]
        case .service, .tier, .version:
            let names = ListColumn.decode(view.text(Int(number)))
            return names.isEmpty ? [""] : names
        case .status: return [number < 0 ? "" : "\(number)"]
        case .attempts: return ["\(number)"]
        case .flag:
            let codes = ResponseFlag.allCases.filter { number & (1 << Int64($0.rawValue)) != 0 }.map(\.code)
            return codes.isEmpty ? [""] : codes
        }
    }

    private static func measure(_ measure: TraceGrouping.Measure, _ sorted: [Int64], failed: Int) -> Double {
        guard let least = sorted.first, let most = sorted.last else { return 0 }
        return switch measure {
        case .quantile(let share): Double(Quantile.of(sorted, share)) / 1e6
        case .mean: sorted.reduce(0.0) { $0 + Double($1) } / Double(sorted.count) / 1e6
        case .least: Double(least) / 1e6
        case .most: Double(most) / 1e6
        case .errors: Double(failed) / Double(sorted.count)
        }
    }

    /// Classes that rise by the same factor, from the least to the most of all groups.
    private static func bounds(_ groups: some Collection<[Int64]>) -> [Int64] {
        let least = max(1_000, groups.lazy.compactMap { $0.min() }.min() ?? 0)
        let most = max(least, groups.lazy.compactMap { $0.max() }.max() ?? 0)
        guard least < most else { return [most] }
        let factor = pow(Double(most) / Double(least), 1 / Double(histogramClasses))
        return (1..<histogramClasses).map { Int64(Double(least) * pow(factor, Double($0))) } + [most]
    }

    private static func histogram(_ sorted: [Int64], _ bounds: [Int64]) -> [Int] {
        var counts = [Int](repeating: 0, count: bounds.count)
        var bound = 0
        for value in sorted {
            while bound < bounds.count - 1, value > bounds[bound] { bound += 1 }
            counts[bound] += 1
        }
        return counts
    }

    // MARK: Paths

    private struct Candidate {
        var partition: Int
        var row: Int64
        var duration: Int64
    }

    /// The requests that match.
    private struct Candidates {
        /// By duration.
        var traces: [Candidate] = []
        var partitions: [PartitionName] = []
        var routes = 0
        var leftOut = LeftOutTraces()
        var problems: [String] = []
    }

    private func candidates(_ query: TraceQuery, since: UnixTime?) -> Candidates {
        let plan = plan(query, since: since)
        var found = Candidates()
        var routes: Set<String> = []
        found.problems = eachPartition(since: since) { view in
            var numbers: Set<Int> = []
            try matches(plan, in: view, since: since, columns: "duration, route, \(LeftOutTraces.column)") { match in
                guard !found.leftOut.takes(match[2], countsDetached: plan.namesTraces) else { return }
                found.traces.append(Candidate(partition: found.partitions.count, row: match.row, duration: match[0]))
                numbers.insert(match[1])
            }
            for number in numbers { routes.insert(view.text(number)) }
            found.partitions.append(view.name)
            return true
        }
        found.traces.sort { $0.duration < $1.duration }
        found.routes = routes.count
        return found
    }

    /// Calls `body` with the whole of each trace, files one after the other.
    private func analyse(
        _ traces: some Sequence<Candidate>, in partitions: [PartitionName], _ body: (TraceID, TraceDigest, TraceAnalysis) -> Void
    ) -> [String] {
        let byFile = Dictionary(grouping: traces, by: \.partition)
        return eachPartition(since: nil) { view in
            guard let file = partitions.firstIndex(of: view.name), let rows = byFile[file] else { return true }
            for candidate in rows.sorted(by: { $0.row < $1.row }) {
                let statement = try view.db.cachedStatement(sql: "SELECT identity, \(TraceDigest.columns) FROM trace WHERE id = ?")
                guard let row = try Row.fetchOne(statement, arguments: [candidate.row]), let id = TraceID(identity: row[0]) else {
                    continue
                }
                let spans = StoredPart.decode(try view.parts(row: candidate.row), of: id)
                body(id, view.digest(row, from: 1), TraceAnalysis(TraceTree(spans)))
            }
            return true
        }
    }

    /// Evenly over the range, `most` at most.
    private static func thinned(_ range: Range<Int>, _ most: Int) -> [Int] {
        guard range.count > most else { return Array(range) }
        return (0..<most).map { range.lowerBound + $0 * range.count / most }
    }

    /// Where slow traces spend what typical ones do not. Blocks on the disk.
    package func path(_ query: TraceQuery, since: UnixTime? = nil) -> PathComparison {
        let found = candidates(query, since: since)
        var bands = [PathComparison.typicalBand, PathComparison.slowBand]
        var sums: [PathSum] = []
        var problems = found.problems
        var isSampled = false
        for (index, band) in bands.enumerated() {
            let range = band.range(of: found.traces.count)
            let picked = Self.thinned(range, Self.mostAnalysed)
            isSampled = isSampled || picked.count < range.count
            var sum = PathSum()
            problems += analyse(picked.map { found.traces[$0] }, in: found.partitions) { sum.add($2) }
            bands[index].traces = range.count
            bands[index].mean = sum.mean
            sums.append(sum)
        }
        return PathComparison(
            traces: found.traces.count, typical: bands[0], slow: bands[1], lines: PathSum.lines(typical: sums[0], slow: sums[1]),
            isSampled: isSampled, routes: found.routes, leftOut: found.leftOut, problems: Array(Set(problems)).sorted())
    }

    /// What the traces of one query have more often than those of another; without a second one, the slowest of the first
    /// against its typical ones. Blocks on the disk.
    package func compare(_ query: TraceQuery, with other: TraceQuery?, since: UnixTime? = nil) -> GroupComparison {
        let first = candidates(query, since: since)
        var counts = [TraitCount(), TraitCount()]
        var isSampled = false
        var problems = first.problems
        var leftOut = first.leftOut
        func count(_ index: Int, _ found: Candidates, _ range: Range<Int>) {
            let picked = Self.thinned(range, Self.mostCompared)
            isSampled = isSampled || picked.count < range.count
            problems += analyse(picked.map { found.traces[$0] }, in: found.partitions) { id, digest, analysis in
                counts[index].add(summary(id, digest, analysis), analysis)
            }
        }
        if let other {
            let second = candidates(other, since: since)
            problems += second.problems
            leftOut.add(second.leftOut)
            count(0, first, 0..<first.traces.count)
            count(1, second, 0..<second.traces.count)
        } else {
            // With few traces one hundredth is too few to say what they share.
            let slow = PathComparison.Band(from: first.traces.count >= 2_000 ? 0.99 : 0.95, to: 1)
            count(0, first, slow.range(of: first.traces.count))
            count(1, first, PathComparison.typicalBand.range(of: first.traces.count))
        }
        let names = other == nil ? ["slow (>= p\(first.traces.count >= 2_000 ? 99 : 95))", "typical (p45-55)"] : ["first", "second"]
        return GroupComparison(
            group: counts[0].group(named: names[0]), baseline: counts[1].group(named: names[1]),
            findings: counts[0].findings(against: counts[1]), isSampled: isSampled, leftOut: leftOut,
            problems: Array(Set(problems)).sorted())
    }
}
