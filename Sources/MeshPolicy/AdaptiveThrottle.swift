package import MeshModel

/// Spares a service that sheds the calls that it would shed: rejects here with the probability
/// `max(0, (requests - 2 * accepts) / (requests + 1))`, at most 0.8, so that recovery is noticed, and from 5 requests a second on.
///
/// Requests count whether they were rejected here or sent; accepted is what the service did not answer with `mesh-overload`. Each
/// criticality has an account of its own, so that one whose calls are taken is not rejected for others'. While nothing was shed lately,
/// nothing is counted.
/// Source: Google, "Site Reliability Engineering", chapter 21, with K = 2.
package struct AdaptiveThrottle: Sendable {
    package static let multiplier = 2.0
    package static let most = 0.8
    package static let leastPerSecond = 5.0
    package static let window = Timespan.seconds(10)

    /// Of each criticality: calls, and those that were not accepted.
    private var windows: InlineArray<3, SlidingWindow>
    /// When the last was shed; before that, counting would be in vain.
    private var countsUntil = Instant.zero
    package private(set) var rejected = 0

    package init(now: Instant) { windows = InlineArray(repeating: SlidingWindow(length: Self.window, now: now)) }

    package static func probability(requests: Int, accepts: Int) -> Double {
        guard Double(requests) >= leastPerSecond * window.seconds else { return 0 }
        return min(most, max(0, (Double(requests) - multiplier * Double(accepts)) / Double(requests + 1)))
    }

    package func probability(for criticality: Criticality) -> Double {
        let counts = windows[criticality.place].total
        return Self.probability(requests: Int(counts.calls), accepts: Int(counts.calls - counts.failures))
    }

    package var isIdle: Bool { countsUntil == .zero }

    /// A call wants to be made; false where it is rejected.
    package mutating func callWanted(_ criticality: Criticality, now: Instant, random: inout RandomSource) -> Bool {
        guard !isIdle else { return true }
        guard now < countsUntil else {
            for place in windows.indices { windows[place].clear() }
            countsUntil = .zero
            return true
        }
        windows[criticality.place].advance(to: now)
        let probability = probability(for: criticality)
        guard probability > 0, random.nextUnit() < probability else { return true }
        windows[criticality.place].record(failed: true, slow: false, now: now)
        rejected += 1
        return false
    }

    /// An attempt came back.
    package mutating func attemptAnswered(_ criticality: Criticality, wasShed: Bool, now: Instant) {
        if wasShed { countsUntil = now + Self.window } else if isIdle { return }
        windows[criticality.place].record(failed: wasShed, slow: false, now: now)
    }
}
