package import MeshModel
package import MeshPolicy

/// What came of one try: the host records a span from it when the call is over.
package struct AttemptRecord: Sendable {
    /// From 1.
    package var number: Int
    private var reference: EndpointReference?
    /// How long the call waited before it.
    package var backoff: Timespan
    package var started: Instant
    package var connected: Instant?
    package var sent: Instant?
    package var head: Instant?
    package var ended: Instant?
    package var status: Int?
    package var failure: AttemptFailure?
    /// Set where the exchange ended it.
    package var abandoned: AbandonReason?
    /// It was let through to see whether the endpoint is well again.
    package var isProbe: Bool
    /// What the request had left for extra attempts when this one was over; nil where that is not limited.
    package var creditLeft: Int?
    /// Made on purpose.
    package var fault: InjectedFault?
    /// It was sent beside another one that had not been answered for so long; nil for one that was not.
    package var hedgedAfter: Timespan?
    /// Why no other was sent beside it, where one was due.
    package var hedgeRefusal: RetryVerdict?
    /// Whether another try followed, and why or why not.
    package var retry = RetryVerdict.notNeeded

    init(
        number: Int, endpoint: EndpointReference, backoff: Timespan, started: Instant, isProbe: Bool, hedgedAfter: Timespan? = nil
    ) {
        self.number = number
        reference = endpoint
        self.backoff = backoff
        self.started = started
        self.isProbe = isProbe
        self.hedgedAfter = hedgedAfter
    }

    /// What stands in a log in which nothing was tried yet.
    fileprivate init() {
        number = 0
        backoff = .zero
        started = .zero
        isProbe = false
    }

    package var endpoint: EndpointReference { reference! }
    /// It follows another one, and does not run beside it.
    package var isRepetition: Bool { number > 1 && hedgedAfter == nil }
    package var version: String? { endpoint.endpoint.version }
    package var instance: InstanceID { endpoint.endpoint.instance }
    package var flag: ResponseFlag? {
        failure?.flag ?? (abandoned == .deadlinePassed ? .deadlineExhausted : abandoned == .callerLeft ? .downstreamClosed : nil)
    }
}

/// Why an attempt was, or was not, followed by another one.
package enum RetryVerdict: String, Sendable {
    case notNeeded = "not needed"
    /// Provably unsent: tried elsewhere without charge.
    case unsent
    /// Charged to the budget.
    case retried
    case committed
    case replayOverflowed = "replay buffer overflowed"
    case never
    case notIdempotent = "not idempotent"
    case notListed = "not among the conditions"
    case forbidden = "refused by the upstream"
    case poolOverloaded = "pool overloaded"
    case noOtherEndpoint = "no other endpoint"
    case attemptsExhausted = "attempts exhausted"
    case budgetExhausted = "budget exhausted"
    case creditExhausted = "credit exhausted"
    case tooManyRetrying = "too many calls retrying"
    case deadlineTooClose = "deadline too close"
    case breakerOpen = "breaker open"
    /// Another one was running beside it, and goes on.
    case hedged = "another attempt under way"
    /// The one beside it was answered first.
    case overtaken = "overtaken"
    /// Of a hedge: there were as many as there may be.
    case hedgesExhausted = "share of hedges exhausted"
    /// Of a hedge: too many calls are under way, or wait for a connection.
    case noRoom = "no room"
    /// The deadline passed, or the caller left.
    case callOver = "call over"

    package var isRetry: Bool { self == .unsent || self == .retried }
}

extension RetryVerdict: CustomStringConvertible {
    package var description: String { rawValue }
}

/// The tries of one call, in order: at most eight.
///
/// The first lies in place; room for more is allocated only by a call that needs it.
package struct AttemptLog: Sendable, RandomAccessCollection {
    package static let capacity = 8

    /// Numbered 0 where nothing was tried yet. Not an optional: what lies in one is copied whenever it is read.
    private var first = AttemptRecord()
    private var others: [AttemptRecord] = []
    /// Of which try the exchange last heard: when the call is over, the one that decided it.
    private var attended = 0

    package var startIndex: Int { 0 }
    package var endIndex: Int { count }
    package var count: Int { hasFirst ? 1 + others.count : 0 }
    private var hasFirst: Bool { first.number > 0 }
    package var isFull: Bool { count == Self.capacity }

    /// Lends the record: with all that an endpoint refers to, a copy costs more than what is read of it.
    package subscript(index: Int) -> AttemptRecord {
        _read {
            if index == 0 { yield first } else { yield others[index - 1] }
        }
    }

    /// The one that decided the call, when it is over; before that, the one that it last heard of.
    package var current: AttemptRecord? { place.map { self[$0] } }
    /// Its index.
    package var place: Int? { hasFirst ? attended : nil }

    /// Of the one that decided the call, when it is over.
    package var status: Int? {
        guard hasFirst else { return nil }
        return attended == 0 ? first.status : others[attended - 1].status
    }
    /// One of them followed another.
    package var hasRepetition: Bool { others.contains(where: \.isRepetition) }

    // Both written out, first and others: by a closure or an index they cost a request 300 instructions more.
    func hasTried(_ instance: InstanceID) -> Bool {
        guard hasFirst else { return false }
        if first.instance == instance { return true }
        for index in others.indices where others[index].instance == instance { return true }
        return false
    }

    /// An attempt on this endpoint failed by the fault of a pooled connection.
    func blameConnection(to instance: InstanceID) -> Bool {
        guard hasFirst else { return false }
        if first.failure?.blamesConnection == true, first.instance == instance { return true }
        for index in others.indices where others[index].failure?.blamesConnection == true && others[index].instance == instance {
            return true
        }
        return false
    }

    mutating func append(_ record: consuming AttemptRecord) {
        precondition(!isFull)
        attended = count
        if hasFirst { others.append(record) } else { first = record }
    }

    /// What is told next is of the attempt with this number.
    mutating func turn(to number: Int) { attended = number - 1 }

    /// Changes the record of the attempt that the exchange last heard of, in place.
    mutating func withCurrent(_ change: (inout AttemptRecord) -> Void) {
        if attended == 0 { change(&first) } else { change(&others[attended - 1]) }
    }
}
