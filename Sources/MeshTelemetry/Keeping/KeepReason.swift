/// What was decided on a trace at the end of its root, and why.
///
/// Invariant: raw values stand in records; none is ever reused.
package enum KeepReason: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    case notKept = 0
    case error = 1
    case retried = 2
    case slow = 3
    /// One of the share of all others.
    case sampled = 4
    /// Somebody who may ask for it did.
    case asked = 5
    /// Too few requests of its route are known to tell a slow one.
    case early = 6
    /// Every trace is.
    case all = 7

    package var isKept: Bool { self != .notKept }

    /// As it stands in the attribute `mesh.kept`.
    package var name: String {
        switch self {
        case .notKept: "no"
        case .error: "error"
        case .retried: "retried"
        case .slow: "slow"
        case .sampled: "sampled"
        case .asked: "asked"
        case .early: "early"
        case .all: "all"
        }
    }
}
