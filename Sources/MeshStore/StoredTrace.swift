package import MeshModel
import MeshTelemetry

/// One line of `traces list`.
package struct StoredTraceSummary: Hashable, Sendable {
    package struct TierShare: Hashable, Sendable {
        package var tier: String
        /// 0...1 of the trace's duration, on its critical path; what is missing to 1 is mesh, wire and backoff.
        package var share: Double
    }

    package var traceID: TraceID
    package var started: UnixTime
    /// The root's, `POST /orders`; empty while the root has not arrived.
    package var route: String
    /// The HTTP status that the caller got; nil when it got none.
    package var status: Int?
    package var duration: Timespan
    /// In the order in which the trace reached them.
    package var services: [String]
    /// The most tries that any one call took; more than 1 says that something was retried.
    package var attempts: Int
    /// Codes of response flags.
    package var flags: [String]
    package var tiers: [TierShare]
    /// `1 retry inventory`
    package var note: String?
    package var isComplete: Bool
    package var spans: Int
}

/// One trace with its spans: `traces show`.
package struct StoredTrace: Hashable, Sendable {
    package var summary: StoredTraceSummary
    package var analysis: TraceAnalysis
    package var comparison: TraceComparison
    /// The `why:` line, without that word.
    package var why: String

    /// By span: the start as the host's clock said it, where that differs from its place in `nodes`.
    package var rawStarts: [SpanID: UnixTime]

    package var traceID: TraceID { summary.traceID }
    /// Each parent before its children, siblings by their starts; spans of other hosts are where the hops say that they belong.
    package var nodes: [TraceTree.Node] { analysis.tree.nodes }
}

/// A list, and what stood in its way.
package struct TraceList: Hashable, Sendable {
    /// The latest first.
    package var traces: [StoredTraceSummary]
    /// Files that could not be read, each with the reason.
    package var problems: [String]
}

/// Why there is no one trace to show.
package enum TraceLookupError: Error, Hashable, CustomStringConvertible {
    /// The reference is neither `last` nor 1 to 32 hexadecimal digits.
    case notAnID(String)
    case notFound(String)
    /// The latest of those that the digits fit.
    case ambiguous(String, [StoredTraceSummary])
    /// Nothing is stored.
    case empty

    package var description: String {
        switch self {
        case .notAnID(let text): "'\(text)' is no trace id: give its first digits (0-9, a-f), or 'last'"
        case .notFound(let text): "no stored trace begins with '\(text)'; see 'mesh traces list'"
        case .ambiguous(let text, let traces):
            "'\(text)' fits several traces: "
                + traces.map { "\($0.traceID.description.prefix(max(8, text.count + 2))) (\($0.route))" }.joined(separator: ", ")
                + "; give more digits"
        case .empty: "no trace is stored yet; send a request, for instance with 'mesh call'"
        }
    }
}
