package import MeshModel

/// How slow an endpoint is, as a balancer sees it: a mean over ten seconds that leaps up to every peak and comes down slowly.
///
/// `estimate = max(sample, estimate * w + sample * (1 - w))` with `w = e^(-dt / decay)`; while nothing is heard it decays
/// towards zero, so that a slow endpoint is tried again one day. Cost of one more call: `estimate * (in flight + 1)`.
/// Unit: nanoseconds. Source: Finagle, `PeakEwma`; tower, `load::peak_ewma`.
package struct PeakEWMA: Sendable {
    package static let decay = Timespan.seconds(10)
    /// What an endpoint costs that has calls under way and has answered none yet: more than any that has.
    package static let unknown = 1e18

    /// Negative while nothing was ever heard.
    private var estimate: Double = -1
    private var updated: Instant

    package init(now: Instant) { updated = now }

    package var isKnown: Bool { estimate >= 0 }

    package mutating func latencyObserved(_ latency: Timespan, now: Instant) {
        let sample = Double(max(latency.nanoseconds, 0))
        let weight = weight(now: now)
        estimate = max(sample, estimate < 0 ? sample : estimate * weight + sample * (1 - weight))
        updated = max(updated, now)
    }

    /// A failure counts as an answer twice as late as it should have been, so that an endpoint that fails fast draws no calls.
    ///
    /// Relative, not a constant: one failure in thousands must not put an endpoint out of use for a minute, and one after
    /// the other must. `typical` is what the edge's other answers take.
    package mutating func failureObserved(after latency: Timespan, typical: Timespan, now: Instant) {
        let expected = max(current(now: now), Double(typical.nanoseconds))
        let penalty = Timespan(nanoseconds: Int64(min(2 * expected, Double(Self.largestPenalty.nanoseconds))))
        latencyObserved(max(latency, penalty), now: now)
    }
    package static let largestPenalty = Timespan.seconds(10)

    /// What one more call would cost, `inFlight` being under way.
    package func cost(inFlight: Int, now: Instant) -> Double {
        if estimate < 0 { return inFlight == 0 ? 0 : Self.unknown * Double(inFlight) }
        return current(now: now) * Double(inFlight + 1)
    }

    /// The estimate now, in nanoseconds; 0 while nothing was heard.
    package func current(now: Instant) -> Double { estimate < 0 ? 0 : estimate * weight(now: now) }

    @inline(__always)
    private func weight(now: Instant) -> Double {
        exponentialDecay(Double((now - updated).nanoseconds) * (1 / Double(Self.decay.nanoseconds)))
    }
}
