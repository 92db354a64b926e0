package import MeshPolicy

/// From where a call's extra attempts are paid.
package enum CallCredit: Sendable {
    /// Credit is switched off.
    case unlimited
    /// The call is the only one of its request here.
    case own(RetryCredit)
    /// Calls of one request, made by code of this process.
    case shared(SharedRetryCredit)

    /// What a proxy has for a request that came with `mesh-retry-credit`, or with none, so that it is the root and grants.
    package init(inherited: Int?, root policy: RetryCreditPolicy, share: RetryCredit.Share) {
        if let granted = inherited ?? policy.grant {
            self = .own(RetryCredit(granted: granted, share: share))
        } else {
            self = .unlimited
        }
    }

    /// nil where there is no limit.
    package var left: Int? {
        switch self {
        case .unlimited: nil
        case .own(let credit): credit.left
        case .shared(let credit): credit.left
        }
    }

    /// For `mesh-credit-spent`; nil where there is no limit.
    package var spent: Int? {
        switch self {
        case .unlimited: nil
        case .own(let credit): credit.spent
        case .shared(let credit): credit.spent
        }
    }

    mutating func spend() -> Bool { change { $0.spend() } ?? true }
    mutating func giveBack() { _ = change { $0.giveBack() } }
    /// nil where there is no limit, so that nothing is said of it.
    mutating func delegate() -> Int? { change { $0.delegate() } }
    mutating func settle(delegated: Int, spent: Int) { _ = change { $0.settle(delegated: delegated, spent: spent) } }

    @inline(__always)
    private mutating func change<Result: Sendable>(_ body: (inout RetryCredit) -> Result) -> Result? {
        switch self {
        case .unlimited: return nil
        case .own(var credit):
            let result = body(&credit)
            self = .own(credit)
            return result
        case .shared(let shared): return shared.withCredit(body)
        }
    }
}
