public import HTTPTypes

/// A call got no answer that counts: the mesh gave up on it.
///
///     do {
///         answer = try await mesh.call(.crm, .get, "/customers/1")
///     } catch let error as CallError where error.flag == .deadlineExhausted {
///         …
///     }
///
/// A handler that lets it pass answers with its ``status``.
public struct CallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Why, in the words of Envoy's response flags and a few of ours.
    public struct Flag: Hashable, Sendable, CustomStringConvertible {
        public let code: String

        public init(code: String) { self.code = code }

        /// No endpoint is usable.
        public static let noHealthyEndpoint = Flag(code: "UH")
        public static let connectFailure = Flag(code: "UF")
        /// Too many calls at once.
        public static let overflow = Flag(code: "UO")
        /// The connection closed before the answer.
        public static let upstreamClosed = Flag(code: "UC")
        /// An attempt's own timeout.
        public static let upstreamTimeout = Flag(code: "UT")
        public static let upstreamReset = Flag(code: "UR")
        public static let retriesExhausted = Flag(code: "URX")
        /// The circuit breaker is open.
        public static let breakerOpen = Flag(code: "BO")
        public static let retryBudgetExhausted = Flag(code: "BX")
        public static let retryCreditExhausted = Flag(code: "CX")
        /// The deadline of the request, or the timeout of the call, passed.
        public static let deadlineExhausted = Flag(code: "DX")

        public var description: String { code }
    }

    public var service: ServiceName
    public var flag: Flag
    /// What a handler should answer that has nothing better: 502, 503 or 504.
    public var status: HTTPResponse.Status
    /// How many attempts were made.
    public var attempts: Int
    /// What was left of the request's deadline; nil outside of a request.
    public var remaining: Duration?

    public init(service: ServiceName, flag: Flag, status: HTTPResponse.Status, attempts: Int, remaining: Duration? = nil) {
        self.service = service
        self.flag = flag
        self.status = status
        self.attempts = attempts
        self.remaining = remaining
    }

    public var description: String {
        let left = remaining.map { ", \($0.formattedMilliseconds) left of the deadline" } ?? ""
        return "\(service) gave no answer (\(flag)) after \(attempts) attempt\(attempts == 1 ? "" : "s")\(left)"
    }
}

/// A service that is not in this one's `calls:` was called.
public struct ServiceNotAllowed: Error, Hashable, Sendable, CustomStringConvertible {
    public var caller: ServiceName
    public var service: ServiceName

    public init(caller: ServiceName, service: ServiceName) {
        self.caller = caller
        self.service = service
    }

    public var description: String {
        "\(caller) may not call \(service): add `calls: { \(service): {} }` to services.\(caller) in mesh.yaml, then run `mesh up`"
    }
}

/// A service answered with a status that the code had no use for.
///
/// A handler that lets it pass answers 502; to pass on what the service said, throw its ``problem``.
public struct UnexpectedStatus: Error, Hashable, Sendable, CustomStringConvertible {
    public var service: ServiceName
    public var status: HTTPResponse.Status
    /// What the service said about it, where it said it as `application/problem+json`.
    public var problem: Problem?

    public init(service: ServiceName, status: HTTPResponse.Status, problem: Problem? = nil) {
        self.service = service
        self.status = status
        self.problem = problem
    }

    public var description: String { "\(service) answered \(problem.map { "\($0)" } ?? "\(status.code)")" }
}

/// What was to be sent makes no HTTP request: a field with a line break in it, or a body that is not as long as it was said to be.
public struct InvalidCall: Error, Hashable, Sendable, CustomStringConvertible {
    public var service: ServiceName
    public var reason: String

    public init(service: ServiceName, reason: String) {
        self.service = service
        self.reason = reason
    }

    public var description: String { "the call of \(service) makes no valid request: \(reason)" }
}

/// A service's answer can't be read.
public struct UnreadableAnswer: Error, Hashable, Sendable, CustomStringConvertible {
    public var service: ServiceName
    public var reason: String

    public init(service: ServiceName, reason: String) {
        self.service = service
        self.reason = reason
    }

    public var description: String { "the answer of \(service) can't be read: \(reason)" }
}

extension Duration {
    var formattedMilliseconds: String {
        "\(components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000) ms"
    }
}
