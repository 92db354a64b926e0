import MeshModel
import MeshPolicy

/// What went wrong with one attempt, in the words that people get to see: `503`, `connect failed`, `deadline passed`.
package enum FailureKind: Hashable, Sendable, CustomStringConvertible {
    case status(Int)
    case failure(AttemptFailure)
    case deadlinePassed

    package var description: String {
        switch self {
        case .status(let status): String(status)
        case .failure(let failure): failure.description
        case .deadlinePassed: FailureCause.deadlinePassed.description
        }
    }
}

/// What is counted of an edge beside `EdgeCounters`: by cause, and so only where there is trouble.
struct EdgeTally: Sendable {
    /// From the first byte of a request to the head of its answer.
    private(set) var latencies = LatencyHistogram()
    /// What a request's deadline had left then.
    private(set) var remaining = LatencyHistogram()
    /// Calls answered here.
    private(set) var refusals: [FailureCause: Int] = [:]
    /// Attempts repeated, by what had gone wrong.
    private(set) var retries: [FailureKind: Int] = [:]
    /// Attempts that went wrong and were not repeated, by why not.
    private(set) var refusedRetries: [RetryVerdict: Int] = [:]
    /// Second attempts that are over, and those that were due and not made.
    private(set) var hedges: [HedgeOutcome: Int] = [:]
    private(set) var refusedHedges: [RetryVerdict: Int] = [:]
    private var recent: [(at: Instant, kind: FailureKind)] = []
    private static let mostRecent = 64

    /// - Parameter left: nil for a request without a deadline.
    mutating func callEnded(took span: Timespan, left: Timespan?) {
        latencies.record(span)
        if let left { remaining.record(max(.zero, left)) }
    }

    mutating func callRefused(_ cause: FailureCause) { refusals[cause, default: 0] += 1 }

    mutating func attemptWentWrong(_ kind: FailureKind?, _ verdict: RetryVerdict) {
        if verdict.isRetry {
            if let kind { retries[kind, default: 0] += 1 }
        } else {
            refusedRetries[verdict, default: 0] += 1
        }
    }

    mutating func hedgeEnded(_ outcome: HedgeOutcome) { hedges[outcome, default: 0] += 1 }

    mutating func hedgeRefused(_ verdict: RetryVerdict) { refusedHedges[verdict, default: 0] += 1 }

    mutating func attemptFailed(_ kind: FailureKind, now: Instant) {
        if recent.count == Self.mostRecent { recent.removeFirst() }
        recent.append((now, kind))
    }

    /// What the latest failures were, the most frequent first.
    func causes(since start: Instant) -> [CauseCount] {
        var counts: [FailureKind: Int] = [:]
        for failure in recent where failure.at >= start { counts[failure.kind, default: 0] += 1 }
        return counts.map { CauseCount(cause: $0.key.description, count: $0.value) }.sorted {
            ($1.count, $0.cause) < ($0.count, $1.cause)
        }
    }
}

package struct CauseCount: Hashable, Sendable, Codable {
    package var cause: String
    package var count: Int

    package init(cause: String, count: Int) {
        self.cause = cause
        self.count = count
    }
}
