package import MeshModel

/// Whether traces are being stored, and when to try again while they are not.
///
/// Fed with outcomes, asked before each attempt; the wait doubles from half a second to five.
package struct StoreHealth: Hashable, Sendable {
    package struct Failure: Hashable, Sendable {
        package var reason: String
        package var since: UnixTime
    }

    /// Nil while traces are stored.
    package private(set) var failure: Failure?
    private var retryAt = Instant(nanoseconds: .min)
    private var wait = StoreHealth.shortestWait

    private static let shortestWait = Timespan.milliseconds(500)
    private static let longestWait = Timespan.seconds(5)

    package init() {}

    package func mayTry(_ now: Instant) -> Bool { now >= retryAt }

    package mutating func stored() { self = StoreHealth() }

    package mutating func failed(_ reason: String, now: Instant, wall: UnixTime) {
        failure = Failure(reason: reason, since: failure?.since ?? wall)
        retryAt = now + wait
        wait = min(wait + wait, Self.longestWait)
    }
}
