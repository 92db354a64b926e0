package import MeshExchange
package import MeshModel
package import MeshPolicy

/// What happens to one edge: who calls, who answers and how, and what changes on the way.
package struct Scenario: Sendable {
    package var policy: CallPolicy
    package var upstreams: [Upstream]
    package var versions: [VersionWeight]
    package var load: Load
    package var changes: [Change]

    package init(
        policy: CallPolicy = CallPolicy(), upstreams: [Upstream], versions: [VersionWeight] = [], load: Load = Load(),
        changes: [Change] = []
    ) {
        self.policy = policy
        self.upstreams = upstreams
        self.versions = versions
        self.load = load
        self.changes = changes
    }

    /// A number of upstreams that behave alike.
    package static func uniform(_ count: Int, _ behaviour: Behaviour = Behaviour()) -> [Upstream] {
        (1...count).map { Upstream(number: $0, behaviour: behaviour) }
    }

    /// An instance that is called. Its number is the low half of its id.
    package struct Upstream: Sendable {
        package var number: Int
        package var version: String?
        package var behaviour: Behaviour

        package init(number: Int, version: String? = nil, behaviour: Behaviour = Behaviour()) {
            self.number = number
            self.version = version
            self.behaviour = behaviour
        }
    }

    /// Who calls: arrivals are independent of answers (open loop), their gaps uniform around the mean.
    package struct Load: Sendable {
        package var perSecond: Double = 200
        package var lasts: Timespan = .seconds(2)
        /// Shares of the calls.
        package var nonIdempotent = 0.0
        package var uploads = 0.0
        package var overflows = 0.0
        package var leaves = 0.0
        package var grpc = 0.0
        /// Deadlines that come with the calls, drawn between these; nil for none.
        package var inherited: ClosedRange<Int64>?
        package init() {}
    }

    package struct Change: Sendable {
        package enum Kind: Sendable {
            case behaves(upstream: Int, Behaviour)
            /// A new snapshot: these upstreams, those draining, under this policy.
            case reconfigured(upstreams: [Int], draining: [Int], policy: CallPolicy)
        }
        package var at: Timespan
        package var kind: Kind

        package init(at: Timespan, _ kind: Kind) {
            self.at = at
            self.kind = kind
        }
    }
}

/// How an upstream answers. Shares are drawn in the order in which they stand here; what is left answers 200.
package struct Behaviour: Sendable {
    package enum Accepting: Sendable {
        case accepts
        case refuses
        /// No answer to a connect at all.
        case silent
    }

    package var accepting = Accepting.accepts
    package var connectTime = Timespan.microseconds(200)
    package var latency = Latency.constant(.milliseconds(5))
    /// Of calls on a pooled connection: closed before the request was written, or after.
    package var staleUnwritten = 0.0
    package var staleWritten = 0.0
    /// Turns the stream away before it took it (REFUSED_STREAM).
    package var refusesStreams = 0.0
    package var hangs = 0.0
    package var resets = 0.0
    package var breaksProtocol = 0.0
    package var errors = 0.0
    package var error = ResponseFacts(status: 503)
    /// Of those that answer 200.
    package var truncates = 0.0
    package var bodyTime = Timespan.zero

    package enum Latency: Sendable {
        case constant(Timespan)
        case uniform(Timespan, Timespan)
        /// Mostly uniform in a range, and for a share of the calls many times as long.
        case tailed(Timespan, Timespan, share: Double, factor: Double)

        func draw(_ random: inout RandomSource) -> Timespan {
            switch self {
            case .constant(let span): return span
            case .uniform(let low, let high): return low + (high - low) * random.nextUnit()
            case .tailed(let low, let high, let share, let factor):
                let span = low + (high - low) * random.nextUnit()
                return random.nextUnit() < share ? span * factor : span
            }
        }
    }

    package init() {}

    package static func answering(after span: Timespan) -> Behaviour {
        var behaviour = Behaviour()
        behaviour.latency = .constant(span)
        return behaviour
    }

    /// Fails every call.
    package static func failing(_ status: Int = 503, after span: Timespan = .microseconds(300)) -> Behaviour {
        var behaviour = Behaviour()
        behaviour.errors = 1
        behaviour.error = ResponseFacts(status: status)
        behaviour.latency = .constant(span)
        return behaviour
    }

    package static var dead: Behaviour {
        var behaviour = Behaviour()
        behaviour.accepting = .refuses
        return behaviour
    }

    package static var hanging: Behaviour {
        var behaviour = Behaviour()
        behaviour.hangs = 1
        return behaviour
    }
}
