package import MeshModel

/// Where the time of slow traces goes that typical ones do not spend: the critical paths of both, added up by part.
package struct PathComparison: Hashable, Sendable {
    /// Traces between two quantiles of the duration.
    package struct Band: Hashable, Sendable {
        /// 0...1
        package var from: Double
        package var to: Double
        package var traces: Int
        /// The average duration.
        package var mean: Timespan

        package init(from: Double, to: Double, traces: Int = 0, mean: Timespan = .zero) {
            self.from = from
            self.to = to
            self.traces = traces
            self.mean = mean
        }

        /// The half-open range of positions of the band in `count` traces that are sorted by duration; at least one, if there is one.
        func range(of count: Int) -> Range<Int> {
            guard count > 0 else { return 0..<0 }
            let last = min(count, max(1, Int((to * Double(count)).rounded(.up))))
            let first = min(last - 1, Int((from * Double(count)).rounded(.down)))
            return first..<last
        }
    }

    /// One line: averages over the traces of each band.
    package struct Line: Hashable, Sendable {
        package var part: TraceAnalysis.Part
        package var typical: Timespan
        package var slow: Timespan

        package var change: Timespan { slow - typical }
    }

    /// Traces that matched.
    package var traces: Int
    /// By p45 to p55.
    package var typical: Band
    /// From p99 on.
    package var slow: Band
    /// Services in the order of tiers and within them by name, then retries, then the mesh; they add up to the bands' means.
    package var lines: [Line]
    /// True where of a band only a part, taken evenly, was looked at.
    package var isSampled: Bool
    /// More than one says that the difference may be one of routes.
    package var routes: Int
    package var leftOut: LeftOutTraces
    /// Files that could not be read, each with the reason.
    package var problems: [String]

    package static let typicalBand = Band(from: 0.45, to: 0.55)
    package static let slowBand = Band(from: 0.99, to: 1)

    /// The line that grew most, with its share of the whole difference; nil where slow is not slower.
    package var culprit: (line: Line, share: Double)? {
        let total = (slow.mean - typical.mean).seconds
        guard total > 0, let line = lines.max(by: { $0.change < $1.change }), line.change > .zero else { return nil }
        return (line, line.change.seconds / total)
    }
}

/// Adds up the paths of one band.
struct PathSum {
    private(set) var traces = 0
    private var duration: Int64 = 0
    private var parts: [TraceAnalysis.Part: Int64] = [:]
    /// How deep a tier was first met, so that tiers stand in the order of calls.
    private(set) var tierDepths: [String: Int] = [:]

    mutating func add(_ analysis: TraceAnalysis) {
        traces += 1
        duration += analysis.duration.nanoseconds
        for (part, time) in analysis.parts { parts[part, default: 0] += time.nanoseconds }
        for (depth, tier) in analysis.tiers.enumerated() { tierDepths[tier.name] = max(tierDepths[tier.name] ?? 0, depth) }
    }

    var mean: Timespan { average(duration) }
    var keys: Set<TraceAnalysis.Part> { Set(parts.keys) }

    subscript(_ part: TraceAnalysis.Part) -> Timespan { average(parts[part] ?? 0) }

    private func average(_ sum: Int64) -> Timespan { traces > 0 ? .nanoseconds(sum / Int64(traces)) : .zero }

    static func lines(typical: PathSum, slow: PathSum) -> [PathComparison.Line] {
        let depths = typical.tierDepths.merging(slow.tierDepths, uniquingKeysWith: max)
        func rank(_ part: TraceAnalysis.Part) -> (Int, String, String) {
            switch part {
            case .service(let tier, let name): (depths[tier] ?? .max - 2, tier, name)
            case .retries: (.max - 1, "", "")
            case .mesh: (.max, "", "")
            }
        }
        return typical.keys.union(slow.keys).sorted { rank($0) < rank($1) }
            .map { PathComparison.Line(part: $0, typical: typical[$0], slow: slow[$0]) }
    }
}
