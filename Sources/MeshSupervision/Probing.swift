package import MeshModel

/// Decides when to ask one probe's question again, and what the answers mean.
///
/// Invariant: at most one try is in flight; the verdict turns to passing at the first success and to failing at
/// `failures` failures in a row.
package struct Probing: Hashable, Sendable {
    package enum Verdict: Hashable, Sendable { case undecided, passing, failing }
    package enum Turn: Hashable, Sendable { case nowPassing, nowFailing }

    package let probe: Probe
    package private(set) var verdict: Verdict
    package private(set) var lastFailure: String?
    private let began: Instant
    private var failuresInARow = 0
    private var isInFlight = false
    private var nextTry: Instant

    /// One that is `assumedPassing` is asked first after `every`, and turns to failing without ever having passed.
    package init(_ probe: Probe, began now: Instant, assumedPassing: Bool = false) {
        self.probe = probe
        began = now
        verdict = assumedPassing ? .passing : .undecided
        nextTry = assumedPassing ? now + probe.every : now
    }

    /// When to call `isDue` next; nil while a try is in flight.
    package var wakeAt: Instant? { isInFlight ? nil : nextTry }

    /// Whether to try now; a try counts as in flight from then on.
    package mutating func isDue(_ now: Instant) -> Bool {
        guard !isInFlight, now >= nextTry else { return false }
        isInFlight = true
        return true
    }

    package mutating func succeeded(_ now: Instant) -> Turn? {
        guard isInFlight else { return nil }
        isInFlight = false
        failuresInARow = 0
        nextTry = now + probe.every
        defer { verdict = .passing }
        return verdict == .passing ? nil : .nowPassing
    }

    package mutating func failed(_ reason: String, _ now: Instant) -> Turn? {
        guard isInFlight else { return nil }
        isInFlight = false
        failuresInARow += 1
        lastFailure = reason
        nextTry = now + interval(now)
        guard verdict == .passing, failuresInARow >= probe.failures else { return nil }
        verdict = .failing
        return .nowFailing
    }

    /// Before the first success eagerly, but no more than a tenth of the time waited so far is ever added.
    private func interval(_ now: Instant) -> Timespan {
        guard verdict == .undecided else { return probe.every }
        return min(probe.every, .milliseconds(20) + (now - began) * 0.1)
    }
}
