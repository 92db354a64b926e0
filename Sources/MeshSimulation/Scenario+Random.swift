import MeshExchange
import MeshModel
import MeshPolicy

extension Scenario {
    /// A scenario drawn from a seed: trouble of every kind, in any mixture.
    package static func random(seed: UInt64) -> Scenario {
        var random = RandomSource(seed: seed ^ 0x9e37_79b9_7f4a_7c15)
        let count = 1 + random.next(below: 6)
        let policy = CallPolicy.random(&random)
        let isVersioned = random.next(below: 4) == 0
        let upstreams = (1...count).map { number in
            Upstream(number: number, version: isVersioned ? (number % 2 == 0 ? "v2" : "v1") : nil, behaviour: .random(&random))
        }
        var scenario = Scenario(
            policy: policy, upstreams: upstreams,
            versions: isVersioned ? [VersionWeight(name: "v1", weight: 90), VersionWeight(name: "v2", weight: 10)] : [])
        scenario.load.perSecond = Double(20 + random.next(below: 300))
        scenario.load.lasts = .milliseconds(Int64(300 + random.next(below: 1200)))
        scenario.load.nonIdempotent = random.share()
        scenario.load.uploads = random.share()
        scenario.load.overflows = random.share()
        scenario.load.leaves = random.share() / 2
        scenario.load.grpc = random.share() / 2
        if random.next(below: 2) == 0 { scenario.load.inherited = 500_000...400_000_000 }
        scenario.changes = (0..<random.next(below: 5)).map { _ in
            Change(at: .milliseconds(Int64(random.next(below: 1500))), .random(upstreams: count, policy: policy, &random))
        }
        return scenario
    }
}

extension RandomSource {
    /// Often none, sometimes all, else anything between.
    fileprivate mutating func share() -> Double {
        switch next(below: 4) {
        case 0, 1: 0
        case 2: nextUnit()
        default: next(below: 4) == 0 ? 1 : nextUnit() / 4
        }
    }

    fileprivate mutating func oneOf<Value>(_ values: [Value]) -> Value { values[next(below: values.count)] }
}

extension Behaviour {
    fileprivate static func random(_ random: inout RandomSource) -> Behaviour {
        var behaviour = Behaviour()
        behaviour.accepting = random.oneOf([.accepts, .accepts, .accepts, .accepts, .accepts, .accepts, .refuses, .silent])
        behaviour.latency = random.oneOf([
            .constant(.milliseconds(2)), .uniform(.microseconds(300), .milliseconds(40)),
            .tailed(.milliseconds(1), .milliseconds(5), share: 0.05, factor: 60),
        ])
        behaviour.staleUnwritten = random.share()
        behaviour.staleWritten = random.share()
        behaviour.refusesStreams = random.share() / 2
        behaviour.hangs = random.share() / 4
        behaviour.resets = random.share()
        behaviour.breaksProtocol = random.share() / 4
        behaviour.errors = random.share()
        behaviour.error = random.oneOf([
            ResponseFacts(status: 503), ResponseFacts(status: 500), ResponseFacts(status: 502, meshRetryNo: true),
            ResponseFacts(status: 503, overload: .host), ResponseFacts(status: 503, overload: .pool),
            ResponseFacts(status: 503, retryAfter: .milliseconds(30)), ResponseFacts(status: 503, retryAfter: .seconds(3)),
            ResponseFacts(status: 200, grpcStatus: 14), ResponseFacts(status: 200, grpcStatus: 14, forbidsRetry: true),
        ])
        behaviour.truncates = random.share() / 4
        behaviour.bodyTime = random.oneOf([.zero, .zero, .milliseconds(3), .milliseconds(400)])
        return behaviour
    }
}

extension CallPolicy {
    fileprivate static func random(_ random: inout RandomSource) -> CallPolicy {
        var policy = CallPolicy()
        policy.timeout = random.oneOf([.milliseconds(50), .milliseconds(300), .seconds(2)])
        policy.attemptTimeout = random.oneOf([nil, nil, .milliseconds(20), .milliseconds(100)])
        policy.connectTimeout = random.oneOf([.milliseconds(10), .seconds(1)])
        policy.retry = RetryPolicy(
            attempts: 1 + random.next(below: 5), never: random.next(below: 8) == 0,
            on: random.oneOf([
                RetryConditions(), RetryConditions(kinds: [.connect, .reset, .timeout, .serverError], statuses: []),
                RetryConditions(kinds: [], statuses: [503]),
            ]),
            budgetRatio: random.oneOf([0, 0.1, 0.2, 1]), reservePerSecond: random.oneOf([0, 0.5, 5]))
        var breaker = BreakerPolicy()
        breaker.openFor = random.oneOf([.milliseconds(20), .milliseconds(200), .seconds(5)])
        breaker.minCalls = random.oneOf([5, 20])
        breaker.slow = random.oneOf([nil, nil, .init(over: .milliseconds(50), share: 0.3)])
        policy.breaker = random.next(below: 6) == 0 ? nil : breaker
        policy.bulkhead = random.oneOf([BulkheadPolicy(), BulkheadPolicy(calls: 8, pending: 1024), BulkheadPolicy(calls: 1024, pending: 3)])
        policy.slowStart = random.oneOf([.seconds(10), .milliseconds(200)])
        policy.balance = random.oneOf([.p2c, .p2c, .p2c, .roundRobin, .leastRequests, .hash(on: .source)])
        policy.eject = random.oneOf([
            nil, EjectionPolicy(),
            EjectionPolicy(sigma: 1, interval: .milliseconds(100), minCalls: 3, minEndpoints: 3, baseTime: .milliseconds(150)),
            EjectionPolicy(sigma: 0.2, most: 1, interval: .milliseconds(50), minCalls: 2, minEndpoints: 2, baseTime: .seconds(1)),
        ])
        policy.hedge = random.oneOf([
            nil, nil, nil, HedgePolicy(), HedgePolicy(after: .fixed(.milliseconds(3)), most: 1),
            HedgePolicy(after: .quantile(0.5), most: 0.3),
        ])
        return policy
    }
}

extension Scenario.Change.Kind {
    fileprivate static func random(upstreams count: Int, policy: CallPolicy, _ random: inout RandomSource) -> Self {
        if random.next(below: 2) == 0 { return .behaves(upstream: 1 + random.next(below: count), .random(&random)) }
        let kept = (1...count + 1).filter { _ in random.next(below: 4) != 0 }
        var changed = policy
        // Retries keep their rules: which of two sets a call under way went by is nobody's promise.
        if random.next(below: 2) == 0 {
            let other = CallPolicy.random(&random)
            changed.breaker = other.breaker
            changed.bulkhead = other.bulkhead
            changed.slowStart = other.slowStart
            changed.balance = other.balance
            changed.eject = other.eject
        }
        return .reconfigured(upstreams: kept, draining: kept.filter { _ in random.next(below: 5) == 0 }, policy: changed)
    }
}
