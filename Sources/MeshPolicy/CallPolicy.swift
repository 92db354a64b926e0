package import MeshModel

/// How calls on one edge of the graph behave: what `calls:` says of it, over `defaults:`.
package struct CallPolicy: Hashable, Sendable, Codable {
    /// The whole call, from the first byte of the request to the final response head, retries included.
    package var timeout: Timespan
    /// One attempt, from its start to the response head; nil means what is left of the call.
    package var attemptTimeout: Timespan?
    package var connectTimeout: Timespan
    /// How long an unused connection is kept.
    package var idleTimeout: Timespan
    /// How long a body may stand still, in either direction.
    package var streamIdleTimeout: Timespan
    package var retry: RetryPolicy
    /// nil where `breaker: off`.
    package var breaker: BreakerPolicy?
    /// nil where `eject: off`.
    package var eject: EjectionPolicy?
    package var balance: BalancePolicy
    package var bulkhead: BulkheadPolicy
    /// The ramp of an endpoint that is new or was let in again.
    package var slowStart: Timespan
    package var `protocol`: UpstreamProtocol
    package var tls: UpstreamTLS
    /// How many calls may be under way at once, the critical ones first; nil for no limit but the bulkhead.
    package var limit: LimitPolicy?
    /// nil where calls have one attempt at a time.
    package var hedge: HedgePolicy?
    /// Trouble made on purpose.
    package var fault: FaultPolicy?

    package init(
        timeout: Timespan = .seconds(2), attemptTimeout: Timespan? = nil, connectTimeout: Timespan = .seconds(1),
        idleTimeout: Timespan = .seconds(60), streamIdleTimeout: Timespan = .seconds(300), retry: RetryPolicy = RetryPolicy(),
        breaker: BreakerPolicy? = BreakerPolicy(), eject: EjectionPolicy? = EjectionPolicy(), balance: BalancePolicy = .p2c,
        bulkhead: BulkheadPolicy = BulkheadPolicy(), slowStart: Timespan = .seconds(10), protocol: UpstreamProtocol = .auto,
        tls: UpstreamTLS = UpstreamTLS(), limit: LimitPolicy? = nil, hedge: HedgePolicy? = nil, fault: FaultPolicy? = nil
    ) {
        self.timeout = timeout
        self.attemptTimeout = attemptTimeout
        self.connectTimeout = connectTimeout
        self.idleTimeout = idleTimeout
        self.streamIdleTimeout = streamIdleTimeout
        self.retry = retry
        self.breaker = breaker
        self.eject = eject
        self.balance = balance
        self.bulkhead = bulkhead
        self.slowStart = slowStart
        self.protocol = `protocol`
        self.tls = tls
        self.limit = limit
        self.hedge = hedge
        self.fault = fault
    }

    private enum CodingKeys: String, CodingKey {
        case timeout, attemptTimeout, connectTimeout, idleTimeout, streamIdleTimeout, retry, breaker, breakerOff, eject, ejectOff, balance
        case bulkhead, slowStart, `protocol`, limit, hedge, fault, tls
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let standard = CallPolicy()
        timeout = try values.decode(.timeout, default: standard.timeout)
        attemptTimeout = try values.decodeIfPresent(Timespan.self, forKey: .attemptTimeout)
        connectTimeout = try values.decode(.connectTimeout, default: standard.connectTimeout)
        idleTimeout = try values.decode(.idleTimeout, default: standard.idleTimeout)
        streamIdleTimeout = try values.decode(.streamIdleTimeout, default: standard.streamIdleTimeout)
        retry = try values.decode(.retry, default: standard.retry)
        breaker = try values.decode(.breakerOff, default: false) ? nil : try values.decode(.breaker, default: BreakerPolicy())
        eject = try values.decode(.ejectOff, default: false) ? nil : try values.decode(.eject, default: EjectionPolicy())
        balance = try values.decode(.balance, default: standard.balance)
        bulkhead = try values.decode(.bulkhead, default: standard.bulkhead)
        slowStart = try values.decode(.slowStart, default: standard.slowStart)
        // A protocol that a later version adds is left to the handshake.
        self.protocol = (try? values.decode(.protocol, default: standard.protocol)) ?? .auto
        tls = try values.decode(.tls, default: standard.tls)
        limit = try values.decodeIfPresent(LimitPolicy.self, forKey: .limit)
        hedge = try values.decodeIfPresent(HedgePolicy.self, forKey: .hedge)
        fault = try values.decodeIfPresent(FaultPolicy.self, forKey: .fault)
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(timeout, forKey: .timeout)
        try values.encodeIfPresent(attemptTimeout, forKey: .attemptTimeout)
        try values.encode(connectTimeout, forKey: .connectTimeout)
        try values.encode(idleTimeout, forKey: .idleTimeout)
        try values.encode(streamIdleTimeout, forKey: .streamIdleTimeout)
        try values.encode(retry, forKey: .retry)
        try values.encodeIfPresent(breaker, forKey: .breaker)
        // A missing breaker means the default one, so that "none" has to be said.
        if breaker == nil { try values.encode(true, forKey: .breakerOff) }
        try values.encodeIfPresent(eject, forKey: .eject)
        if eject == nil { try values.encode(true, forKey: .ejectOff) }
        try values.encode(balance, forKey: .balance)
        try values.encode(bulkhead, forKey: .bulkhead)
        try values.encode(slowStart, forKey: .slowStart)
        try values.encode(self.protocol, forKey: .protocol)
        try values.encode(tls, forKey: .tls)
        try values.encodeIfPresent(limit, forKey: .limit)
        try values.encodeIfPresent(hedge, forKey: .hedge)
        try values.encodeIfPresent(fault, forKey: .fault)
    }
}

/// What is spoken with the endpoints of a service.
package enum UpstreamProtocol: String, Hashable, Sendable, Codable {
    case http1
    /// Without asking: also in the clear, by prior knowledge (RFC 9113 3.3).
    case http2
    /// With TLS what ALPN finds, in the clear HTTP/1.1.
    case auto
}

/// How much of one edge may be under way at once; what comes over it is answered 503 with flag UO, without waiting.
package struct BulkheadPolicy: Hashable, Sendable, Codable {
    package var calls: Int
    /// Attempts that wait for a connection.
    package var pending: Int

    package init(calls: Int = 1024, pending: Int = 1024) {
        self.calls = calls
        self.pending = pending
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        calls = try values.decode(.calls, default: 1024)
        pending = try values.decode(.pending, default: 1024)
    }
}
