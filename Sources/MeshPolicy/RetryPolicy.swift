package import MeshModel

/// When and how often a call is tried again.
package struct RetryPolicy: Hashable, Sendable, Codable {
    /// All tries whose request may have been sent, the first included: 1 to 5.
    package var attempts: Int
    /// Never again once sent; what is provably unsent is still tried elsewhere.
    package var never: Bool
    package var on: RetryConditions
    /// Methods that may be sent twice without being asked.
    package var methods: MethodSet
    package var backoff: BackoffPolicy
    /// Retries per call that the budget allows in the long run.
    package var budgetRatio: Double
    /// Retries per second that are allowed whatever the number of calls.
    package var reservePerSecond: Double

    package static let mostAttempts = 5

    package init(
        attempts: Int = 2, never: Bool = false, on: RetryConditions = RetryConditions(), methods: MethodSet = .idempotent,
        backoff: BackoffPolicy = BackoffPolicy(), budgetRatio: Double = 0.2, reservePerSecond: Double = 5
    ) {
        self.attempts = min(max(attempts, 1), Self.mostAttempts)
        self.never = never
        self.on = on
        self.methods = methods
        self.backoff = backoff
        self.budgetRatio = budgetRatio
        self.reservePerSecond = reservePerSecond
    }

    package static let none = RetryPolicy(never: true)

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let standard = RetryPolicy()
        self.init(
            attempts: try values.decode(.attempts, default: standard.attempts), never: try values.decode(.never, default: standard.never),
            on: try values.decode(.on, default: standard.on), methods: try values.decode(.methods, default: standard.methods),
            backoff: try values.decode(.backoff, default: standard.backoff),
            budgetRatio: try values.decode(.budgetRatio, default: standard.budgetRatio),
            reservePerSecond: try values.decode(.reservePerSecond, default: standard.reservePerSecond)
        )
    }
}

/// What of an attempt that was sent is a reason to try again: the `on:` of mesh.yaml.
package struct RetryConditions: Hashable, Sendable, Codable {
    package struct Kinds: OptionSet, Hashable, Sendable, Codable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let connect = Kinds(rawValue: 1)
        /// The connection or the stream ended before the response head.
        package static let reset = Kinds(rawValue: 2)
        package static let timeout = Kinds(rawValue: 4)
        /// Every 5xx but 501, which no retry can change.
        package static let serverError = Kinds(rawValue: 8)
    }

    package var kinds: Kinds
    package var statuses: [Int]
    /// Bit n stands for the gRPC status code n.
    package var grpcCodes: UInt32

    package init(kinds: Kinds = [.connect, .reset], statuses: [Int] = [502, 503, 504], grpcCodes: UInt32 = 1 << 14) {
        self.kinds = kinds
        self.statuses = statuses
        self.grpcCodes = grpcCodes
    }

    package func include(status: Int) -> Bool {
        statuses.contains(status) || kinds.contains(.serverError) && (500...599).contains(status) && status != 501
    }

    package func include(grpcCode: Int) -> Bool { (0..<32).contains(grpcCode) && grpcCodes & (1 << UInt32(grpcCode)) != 0 }
}

/// Request methods, as far as retries tell them apart.
package struct MethodSet: OptionSet, Hashable, Sendable, Codable {
    package let rawValue: UInt16
    @inlinable package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let get = MethodSet(rawValue: 1)
    package static let head = MethodSet(rawValue: 2)
    package static let options = MethodSet(rawValue: 4)
    package static let put = MethodSet(rawValue: 8)
    package static let delete = MethodSet(rawValue: 16)
    package static let post = MethodSet(rawValue: 32)
    package static let patch = MethodSet(rawValue: 64)
    package static let trace = MethodSet(rawValue: 128)
    package static let connect = MethodSet(rawValue: 256)
    /// Any method without a name here: no set of methods to repeat contains it.
    package static let other: MethodSet = []

    /// Whether `methods` names this one.
    @inlinable package func isNamed(in methods: MethodSet) -> Bool { rawValue != 0 && rawValue & ~methods.rawValue == 0 }

    /// Those that semantics.md repeats unasked.
    package static let idempotent: MethodSet = [.get, .head, .options, .put, .delete]

    /// By its name in a request line, which is case-sensitive (RFC 9110, 9.1).
    package init(named name: some StringProtocol) {
        switch name {
        case "GET": self = .get
        case "HEAD": self = .head
        case "OPTIONS": self = .options
        case "PUT": self = .put
        case "DELETE": self = .delete
        case "POST": self = .post
        case "PATCH": self = .patch
        case "TRACE": self = .trace
        case "CONNECT": self = .connect
        default: self = .other
        }
    }
}

/// Exponential backoff: see `Backoff`.
package struct BackoffPolicy: Hashable, Sendable, Codable {
    package var base: Timespan
    package var cap: Timespan

    package init(base: Timespan = .milliseconds(25), cap: Timespan = .milliseconds(250)) {
        self.base = base
        self.cap = cap
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        base = try values.decode(.base, default: .milliseconds(25))
        cap = try values.decode(.cap, default: .milliseconds(250))
    }
}
