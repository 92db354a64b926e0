package import MeshModel

/// Keeps calls from an endpoint, or from a whole edge, that fails them, and finds out when it is well again.
///
/// Closed, it counts. Open, it lets nothing through until its time is up. Half-open, it leases **one** probe at a time; two
/// that succeed close it, one that fails opens it for longer. A probe that came to nothing frees its lease.
/// Position: below retries, so that it sees every attempt; the edge's own stands above them and sees whole calls.
/// Invariant: at most one probe is under way, and what was permitted before a change of state has no say after it.
package struct Breaker: Sendable {
    /// Where nothing else could take the calls, an open breaker does not wait longer than this.
    package static let mostAlone = Timespan.seconds(2)
    package static let successesToClose = 2

    enum State: Sendable {
        case closed
        case open(Opening)
        case halfOpen(successes: Int, leased: Bool)
    }

    struct Opening: Sendable {
        var until: Instant
        /// When a probe may go if no other endpoint is usable.
        var untilIfAlone: Instant
    }

    var state = State.closed
    var window: SlidingWindow
    var consecutiveFailures = 0
    /// How many times it opened without having been well in between: the n of the open time.
    var openings = 0
    var nextDecay = Instant.distantFuture
    /// Counts the changes of state; a permit of an earlier one is void.
    var epoch: UInt32 = 0

    package init(policy: BreakerPolicy, now: Instant) {
        window = SlidingWindow(length: policy.window, now: now)
    }

    /// That an attempt may go, and as what.
    @frozen
    package struct Permit: Hashable, Sendable, BitwiseCopyable {
        @frozen
        package enum Kind: Sendable, BitwiseCopyable {
            case ordinary
            /// The one that made the breaker half-open.
            case firstProbe
            case probe
        }
        package let epoch: UInt32
        package let kind: Kind
        @inlinable package var isProbe: Bool { if case .ordinary = kind { false } else { true } }
        @inlinable package var isFirstProbe: Bool { if case .firstProbe = kind { true } else { false } }

        package init(epoch: UInt32, kind: Kind) {
            self.epoch = epoch
            self.kind = kind
        }

        /// Of an edge without a breaker, or of a call that was judged already.
        package static let free = Permit(epoch: .max, kind: .ordinary)
    }

    /// A change of state, for `mesh why`.
    package enum Change: Hashable, Sendable {
        case opened(OpeningReason, calls: Int, failures: Int, for: Timespan)
        case halfOpened
        case closed
    }

    package enum OpeningReason: String, Sendable {
        case consecutiveFailures = "failures in a row"
        case failureRate = "failure rate"
        case slowCalls = "slow calls"
        case probeFailed = "probe failed"
    }

    package enum Condition: String, Sendable {
        case closed
        case open
        case halfOpen = "half-open"
    }

    package var condition: Condition {
        switch state {
        case .closed: .closed
        case .open: .open
        case .halfOpen: .halfOpen
        }
    }

    package var isClosed: Bool { if case .closed = state { true } else { false } }

    /// Whether the lease of its probe is taken.
    package var isProbing: Bool { if case .halfOpen(_, leased: true) = state { true } else { false } }

    /// What is in the window.
    package var counts: SlidingWindow.Counts { window.total }

    /// Whether `ask` would lease a probe now; `alone`: no other endpoint is usable.
    package func probeIsDue(now: Instant, alone: Bool) -> Bool {
        switch state {
        case .closed: false
        case .open(let opening): now >= (alone ? opening.untilIfAlone : opening.until)
        case .halfOpen(_, let leased): !leased
        }
    }
}
