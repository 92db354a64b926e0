import MeshModel
import MeshPolicy
import Synchronization

/// What the calls of one request have in common and its answer has to tell, however many tasks make them.
final class RequestScope: Sendable {
    @TaskLocal static var current: RequestScope?

    /// `x-request-id`, which every call for this request carries on.
    let requestID: String?
    /// What its calls may spend on extra attempts, all of them together; nil for no limit.
    let credit: SharedRetryCredit?
    /// As the edge said.
    let criticality: Criticality
    private let namedRoute = Guarded<String?>(nil)
    private let retriesEndBelow = Atomic<Bool>(false)

    init(requestID: String?, credit: SharedRetryCredit?, criticality: Criticality = .standard) {
        self.requestID = requestID
        self.credit = credit
        self.criticality = criticality
    }

    /// The route that answers, whether well or by an error.
    var route: String? {
        get { namedRoute.withLock { $0 } }
        set { namedRoute.withLock { $0 = newValue } }
    }

    /// One of the calls failed in a way that is not to be retried above: attempts, budget or credit ran out, or a breaker is open.
    func callWasNotToBeRetried() { retriesEndBelow.store(true, ordering: .relaxed) }

    /// Whether a 5xx answer to this request must carry `mesh-retry: no`.
    var forbidsRetry: Bool { retriesEndBelow.load(ordering: .relaxed) }
}
