import MeshModel
import MeshPolicy

/// What the exchange keeps of an attempt while it runs, and of the last one until the next begins.
struct RunningAttempt: Sendable {
    /// From 1; 0 before the first.
    var number = 0
    /// nil where it is over.
    var lease: Lease?
    /// It has not left yet, by an injected fault.
    var held: Exchange.HeldAttempt?
    var isHedge = false
    var isConnected = false
    var connectBy = Instant.distantFuture
    var ends = Instant.distantFuture

    /// Of its response.
    var headAt: Instant?
    /// What its end says of the endpoint, and was not reported: an untroubled attempt is reported at its end only.
    var unreported: Outcome?
    /// It was answered by somebody who has too much to do.
    var wasShed = false
    /// Of the credit, what it took with it, as long as nothing came back.
    var delegated = 0

    /// When it has to be looked after, as long as it has no head and nothing is being uploaded.
    var due: Instant { isConnected ? ends : min(ends, held?.until ?? connectBy) }
}

/// The other one of two attempts that run side by side. Boxed: hardly any call has one.
indirect enum BesideAttempt: Sendable {
    case none
    case running(RunningAttempt)

    var isRunning: Bool { if case .running = self { true } else { false } }
}

/// What became of a hedge.
package enum HedgeOutcome: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// Its answer was passed on.
    case won
    /// The attempt that it was sent beside was answered first.
    case lost
    case failed
    /// The call ended before either was answered.
    case cancelled

    package var description: String { rawValue }
}
