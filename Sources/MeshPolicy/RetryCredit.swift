import MeshModel

/// How many extra attempts the calls of one request may cause in all tiers together.
package struct RetryCreditPolicy: Hashable, Sendable, Codable {
    /// nil where `retry_credit: off`: every tier goes by its own attempts and budget alone.
    package var grant: Int?

    package static let standard = RetryCreditPolicy(grant: 3)
    package static let off = RetryCreditPolicy(grant: nil)

    package init(grant: Int?) { self.grant = grant }
}

/// The extra attempts that one request has left, here and in the tiers below.
///
/// A retry or a hedge spends one, in whichever tier. Every attempt takes a part of what is left with it; what comes back unspent
/// returns, and of what never comes back nothing does.
/// Invariant: all attempts that one request causes at the end of a chain of calls are at most `1 + granted`, since a unit lies with
/// one holder at a time and pays for one attempt. `0 <= left <= granted`.
/// Position: above the budget, which protects an edge: this protects the last tier from the product of all tiers' attempts.
package struct RetryCredit: Hashable, Sendable, BitwiseCopyable {
    /// What an attempt takes with it.
    package enum Share: Sendable, BitwiseCopyable {
        /// `ceil(left / 2)`: the rest is for other calls of the request, and for a retry here if the attempt is lost.
        case half
        /// A proxy that passes a request on has no other call to pay for, and the tier nearest the failure is to retry.
        case whole
    }

    /// More than that is no credit but a mistake.
    package static let most = 100

    package let granted: Int
    package private(set) var left: Int
    private let share: Share

    package init(granted: Int, share: Share = .half) {
        self.granted = min(max(granted, 0), Self.most)
        left = self.granted
        self.share = share
    }

    /// What the caller is told: also what is still out with attempts that have not come back.
    package var spent: Int { granted - left }

    /// An extra attempt is wanted; false where nothing is left.
    package mutating func spend() -> Bool {
        guard left > 0 else { return false }
        left -= 1
        return true
    }

    /// The attempt that it was spent for is not made.
    package mutating func giveBack() {
        assert(left < granted, "more is given back than was spent")
        left = min(left + 1, granted)
    }

    /// An attempt goes: what it takes with it.
    package mutating func delegate() -> Int {
        let part =
            switch share {
            case .half: (left + 1) / 2
            case .whole: left
            }
        left -= part
        return part
    }

    /// An attempt came back and says what it spent. Nobody can spend more than he had.
    package mutating func settle(delegated: Int, spent: Int) {
        left = min(left + delegated - min(max(spent, 0), delegated), granted)
    }
}

/// The credit of a request whose calls are made by code of this process, side by side perhaps.
package final class SharedRetryCredit: Sendable {
    private let credit: Guarded<RetryCredit>

    package init(granted: Int) { credit = Guarded(RetryCredit(granted: granted)) }

    package func withCredit<Result: Sendable>(_ body: (inout RetryCredit) -> Result) -> Result { credit.withLock { body(&$0) } }

    package var spent: Int { withCredit { $0.spent } }
    package var left: Int { withCredit { $0.left } }
}
