import MeshExchange
import MeshModel
import MeshPolicy
import Testing

/// A host by hand: moves the time, tells one exchange what happened, and keeps what it answered.
final class Call {
    var exchange: Exchange
    var now: Instant
    var random: RandomSource
    var effects = Effects()

    init(
        to destination: Destination, _ method: MethodSet = .get, at now: Instant = .zero, inherited: Instant? = nil,
        timeout: Timespan? = nil, streamsBody: Bool = false, isGRPC: Bool = false, maxDuration: Timespan? = nil,
        isMarkedIdempotent: Bool = false, credit: CallCredit = .unlimited, affinity: UInt64? = nil,
        seed: UInt64 = 1, criticality: Criticality = .standard, isHedgeable: Bool = true
    ) {
        var facts = RequestFacts(
            method: method, isMarkedIdempotent: isMarkedIdempotent, bodyIsStreamed: streamsBody, isGRPC: isGRPC, maxDuration: maxDuration,
            traceID: TraceID(high: 1, low: seed), affinity: affinity)
        facts.criticality = criticality
        facts.isHedgeable = isHedgeable
        exchange = Exchange(destination: destination, request: facts, received: now, inherited: inherited, timeout: timeout, credit: credit)
        self.now = now
        random = RandomSource(seed: seed)
    }

    func advance(_ span: Timespan) { now = now + span }

    @discardableResult
    func begin() -> Effects {
        effects = exchange.began(now: now, random: &random)
        return effects
    }

    /// Begins on a pooled connection, and has the request written at once.
    @discardableResult
    func beginAndSend() -> Effects {
        begin()
        connectAndSend()
        return effects
    }

    func connectAndSend() {
        exchange.connected(now: now)
        effects.wakeAt = exchange.requestSent(now: now).wakeAt
    }

    @discardableResult
    func head(_ status: Int, after span: Timespan = .milliseconds(1)) -> Effects {
        head(ResponseFacts(status: status), after: span)
    }

    @discardableResult
    func head(_ facts: ResponseFacts, after span: Timespan = .milliseconds(1)) -> Effects {
        advance(span)
        effects = exchange.responseHead(facts, now: now, random: &random)
        return effects
    }

    @discardableResult
    func end(grpcStatus: Int? = nil) -> Effects {
        effects = exchange.responseEnded(grpcStatus: grpcStatus, now: now, random: &random)
        return effects
    }

    @discardableResult
    func fail(_ failure: AttemptFailure, after span: Timespan = .milliseconds(1)) -> Effects {
        advance(span)
        effects = exchange.attemptFailed(failure, now: now, random: &random)
        return effects
    }

    /// Moves the time to when the exchange wants to be woken, and wakes it.
    @discardableResult
    func wake() -> Effects {
        now = effects.wakeAt ?? now
        effects = exchange.timerFired(now: now, random: &random)
        return effects
    }

    @discardableResult
    func leave() -> Effects {
        effects = exchange.callerLeft(now: now, random: &random)
        return effects
    }

    var failure: CallFailure? {
        switch effects.caller {
        case .fail(let failure), .reset(let failure): failure
        default: nil
        }
    }
    var isForwarding: Bool { if case .forwardHead = effects.caller { true } else { false } }
    var isComplete: Bool { if case .complete = effects.caller { true } else { false } }
    var isReset: Bool { if case .reset = effects.caller { true } else { false } }
    var retryNo: Bool {
        switch effects.caller {
        case .forwardHead(let retryNo): retryNo
        case .fail(let failure), .reset(let failure): failure.retryNo
        default: false
        }
    }
    /// Number of the endpoint that the last attempt was to go to.
    var target: Int? { effects.start.map { Int($0.endpoint.endpoint.instance.low) } }
    var verdicts: [RetryVerdict] { exchange.attempts.map(\.retry) }
}

extension Destination {
    /// Endpoints 1 to `count`.
    static func make(
        _ count: Int = 2, policy: CallPolicy = CallPolicy(), versions: [VersionWeight] = [], after previous: Destination? = nil,
        now: Instant = .zero, change: (inout [Endpoint]) -> Void = { _ in }
    ) -> Destination {
        var endpoints = (1...max(count, 1)).prefix(count).map { number in
            Endpoint(instance: InstanceID(high: 0, low: UInt64(number)), addresses: [.unix(path: "/\(number).sock")])
        }
        change(&endpoints)
        return Destination(
            DestinationConfiguration(service: "inventory", policy: policy, endpoints: endpoints, versions: versions), after: previous,
            now: now)
    }

    var isAtRest: Bool {
        let statistics = statistics(now: .zero)
        return statistics.active == 0 && statistics.retrying == 0 && statistics.pending == 0
            && statistics.endpoints.allSatisfy { $0.inFlight == 0 }
    }
}
