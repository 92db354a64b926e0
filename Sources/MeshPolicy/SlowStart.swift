package import MeshModel

/// The ramp by which a new or re-admitted endpoint comes to its full share.
///
/// While it lasts, a draw of the endpoint stands with the probability `elapsed / length`, and never with less than a tenth:
/// linear, as Envoy's slow start with aggression 1 and its least weight of 10 %.
package struct SlowStart: Sendable {
    package static let least = 0.1
    private var begins: Instant
    private var ends: Instant

    /// Has its full share from the start.
    package static let settled = SlowStart(begins: .zero, ends: .zero)

    private init(begins: Instant, ends: Instant) {
        self.begins = begins
        self.ends = ends
    }

    package init(from now: Instant, length: Timespan) { self.init(begins: now, ends: now + length) }

    package func share(now: Instant) -> Double {
        guard now < ends else { return 1 }
        return max(Self.least, Double((now - begins).nanoseconds) / Double((ends - begins).nanoseconds))
    }

    /// Whether a draw of this endpoint stands.
    @inline(__always)
    package func admits(now: Instant, random: inout RandomSource) -> Bool {
        now >= ends || random.nextUnit() < share(now: now)
    }
}
