/// What an attempt says about the health of the endpoint that it went to.
@frozen
package enum Outcome: UInt8, Sendable {
    case success
    case failure
    /// Nothing: the caller left, or a tier below answers for it.
    case neutral
}
