/// Which traces are worth keeping, as `traces.keep` says: judged when the request has ended, by the one who knows its whole.
package struct TraceKeeping: Hashable, Sendable, Codable {
    /// What counts as slow.
    package enum Threshold: Hashable, Sendable, Codable {
        /// Slower than this share (0...1) of the route's own requests.
        case quantile(Double)
        case duration(Timespan)
    }

    /// Shares (0...1) of the traces that failed, that repeated an attempt, and of all others.
    package var errors: Double
    package var retried: Double
    /// All that were slower; nil where time does not matter.
    package var slowerThan: Threshold?
    package var rest: Double

    package init(errors: Double = 1, retried: Double = 1, slowerThan: Threshold? = nil, rest: Double = 1) {
        self.errors = errors
        self.retried = retried
        self.slowerThan = slowerThan
        self.rest = rest
    }

    /// Every trace.
    package static let all = TraceKeeping()

    package var keepsAll: Bool { errors >= 1 && retried >= 1 && rest >= 1 }
}

/// What is known of a trace, as far down as an answer has come from: it travels up with the answer, in `mesh-trouble`.
package struct TraceTrouble: OptionSet, Hashable, Sendable, BitwiseCopyable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A call failed, whether or not its caller could do without it.
    package static let error = TraceTrouble(rawValue: 1)
    /// An attempt was repeated.
    package static let retried = TraceTrouble(rawValue: 2)
}
