package import MeshModel

/// How many retries one edge may afford: a leaky bucket that calls fill and retries empty.
///
/// Every call deposits one call's worth, a retry costs `1/ratio` of it, and deposits are gone after ten seconds. Beside it a
/// reserve accrues by time, never more than one second of it, so that an edge with few calls can retry too.
/// Invariant: over any time t with n calls, at most `ratio * n + reserve * (t + 1 s)` retries are granted.
/// Unit: a call deposits 1000 tokens; all are integers, so that no rounding adds up.
/// Source: Finagle, `RetryBudget` and `LeakyTokenBucket`; there the reserve is granted for the whole time at once.
package struct RetryBudget: Sendable {
    package static let timeToLive = Timespan.seconds(10)
    private static let sliceLength: Int64 = 1_000_000_000
    private static let sliceCount = 10

    private let deposit: Int
    private let cost: Int
    private let reservePerSecond: Int
    private var slices = InlineArray<10, Int>(repeating: 0)
    /// The second that the newest slice stands for.
    private var second: Int64 = 0
    private var reserve: Int
    private var accruedUntil: Instant

    /// The reserve is that of the whole service: each of `replicas` callers has its part of it.
    package init(ratio: Double, reservePerSecond: Double, replicas: Int = 1, now: Instant) {
        deposit = ratio > 0 ? 1000 : 0
        cost = ratio > 0 ? Int((1000 / ratio).rounded(.up)) : 1000
        self.reservePerSecond = Int(reservePerSecond / Double(max(replicas, 1)) * Double(cost))
        // Less than one retry would never add up to one: a burst holds at least one, if there is a reserve at all.
        reserve = self.reservePerSecond > 0 ? max(self.reservePerSecond, cost) : 0
        accruedUntil = now
        second = now.nanoseconds / Self.sliceLength
    }

    /// A call began.
    package mutating func callBegan(now: Instant) {
        expire(now: now)
        slices[Int(second % Int64(Self.sliceCount))] += deposit
    }

    /// A retry is about to be scheduled; false, and nothing charged, where it can't be afforded.
    package mutating func retryAsked(now: Instant) -> Bool {
        expire(now: now)
        accrue(now: now)
        guard deposited + reserve >= cost else { return false }
        var owed = cost
        // The oldest first: they are the next to be lost.
        for age in stride(from: Self.sliceCount - 1, through: 0, by: -1) where owed > 0 {
            let index = Int((second + Int64(Self.sliceCount - age)) % Int64(Self.sliceCount))
            let taken = min(slices[index], owed)
            slices[index] -= taken
            owed -= taken
        }
        reserve -= owed
        return true
    }

    /// Whole retries that could be granted now.
    package func balance(now: Instant) -> Int {
        var copy = self
        copy.expire(now: now)
        copy.accrue(now: now)
        return (copy.deposited + copy.reserve) / cost
    }

    /// At most this share of the active calls may be retrying at once, and never fewer than three.
    package static func allowsAnother(retrying: Int, active: Int, ratio: Double) -> Bool {
        retrying < max(3, Int(Double(active) * ratio))
    }

    private var deposited: Int {
        var sum = 0
        for index in 0..<Self.sliceCount { sum += slices[index] }
        return sum
    }

    private mutating func expire(now: Instant) {
        let current = now.nanoseconds / Self.sliceLength
        guard current > second else { return }
        for step in 1...min(current - second, Int64(Self.sliceCount)) {
            slices[Int((second + step) % Int64(Self.sliceCount))] = 0
        }
        // After a pause longer than the window every slice is empty, whatever it stands for.
        second = current
    }

    private mutating func accrue(now: Instant) {
        guard now > accruedUntil else { return }
        let elapsed = min((now - accruedUntil).nanoseconds, 1_000_000_000_000)
        let accrued = Int(elapsed) * reservePerSecond / 1_000_000_000
        // Time that was too short for a token is not lost.
        guard accrued > 0 else { return }
        accruedUntil = now
        reserve = min(reserve + accrued, max(reservePerSecond, reservePerSecond > 0 ? cost : 0))
    }
}
