/// What an attempt says about the health of the endpoint that it went to.
@frozen
package enum Outcome: Sendable {
    case success
    case failure
    /// Nothing: the caller left, or a tier below answers for it.
    case neutral

    // Not `==`, which is a call across modules on the path of every request.
    @inlinable package var isSuccess: Bool { if case .success = self { true } else { false } }
    @inlinable package var isNeutral: Bool { if case .neutral = self { true } else { false } }
}
