package import MeshModel

/// A rate with room for a burst, by the generic cell rate algorithm (ITU-T I.371, annex A): a token bucket whose whole state is one
/// instant, the theoretical arrival time of the next request.
///
/// A bucket of `burst` tokens is refilled at one token per `interval`; a theoretical arrival that lies in the past is a full bucket.
package struct CellRate: Hashable, Sendable {
    /// Between two requests at exactly the rate.
    package let interval: Timespan
    /// How many may come at once; at least 1.
    package let burst: Int

    /// - Parameters:
    ///   - requests: in one `window`, and at once; more than nothing.
    ///   - sharers: processes that keep the same limit, each its part.
    package init(requests: Double, window: Timespan, sharers: Int = 1) {
        let share = max(requests, 1e-6) / Double(max(1, sharers))
        interval = Timespan(nanoseconds: Int64(min(Double(window.nanoseconds) / share, 0x1p62).rounded(.up)))
        burst = max(1, Int(min(share, 1e9)))
    }

    package struct Verdict: Hashable, Sendable {
        /// Until when the request has to wait; nil where it is let through.
        package var retryAfter: Timespan?
        /// How many more would be let through now.
        package var remaining: Int
        /// Until the bucket is full again.
        package var resetAfter: Timespan

        package var isAdmitted: Bool { retryAfter == nil }
    }

    private var depth: Timespan { Timespan(nanoseconds: interval.nanoseconds.multipliedReportingOverflow(by: Int64(burst)).0) }

    /// A request came. `theoreticalArrival` is the state of its bucket; `.zero` is as good as full.
    package func requestCame(_ theoreticalArrival: inout Instant, now: Instant) -> Verdict {
        let begin = max(theoreticalArrival, now)
        let excess = begin + interval - now - depth
        guard excess <= .zero else {
            return Verdict(retryAfter: excess, remaining: 0, resetAfter: begin - now)
        }
        theoreticalArrival = begin + interval
        let used = theoreticalArrival - now
        return Verdict(remaining: Int((depth - used).nanoseconds / max(1, interval.nanoseconds)), resetAfter: used)
    }
}
