package import MeshModel
package import MeshPolicy

/// All that one process has to know to carry calls: what the daemon sends, or what is made of mesh.yaml without one.
///
/// Every key that is missing where it is read takes its default, so that old instances and new daemons understand each other.
package struct SnapshotConfiguration: Hashable, Sendable, Codable {
    package var revision: UInt64
    package var mesh: String
    package var tiers: [String]
    /// Whose snapshot it is.
    package var service: String
    package var tier: String
    /// Live instances of that service: reserves that are said for the whole service are divided by it.
    package var replicas: Int
    package var destinations: [DestinationConfiguration]
    /// Of the gateway; empty elsewhere.
    package var routes: [RouteConfiguration]
    /// Of the gateway: what a request may take in all where its route says nothing.
    package var deadline: Timespan?
    /// What a request gets that comes with no credit of its own: at the gateway every one, elsewhere the root of a request.
    package var retryCredit: RetryCreditPolicy
    /// Answered by the gateway itself; nil switches it off.
    package var healthPath: String?
    /// Keep an outside `traceparent` as the parent instead of linking to it.
    package var traceContextContinues: Bool
    /// Addresses and CIDR blocks whose `X-Forwarded-*` is believed.
    package var trustedProxies: [String]
    /// Every connection of a client begins with a header of the PROXY protocol.
    package var proxyProtocol: Bool
    /// Of a gateway that has certificates.
    package var tls: InboundTLS?
    /// nil where none is kept.
    package var accessLog: AccessLogConfiguration?
    package var limits: InboundLimits
    package var timeouts: InboundTimeouts
    /// Which traces are kept, for those that begin in this process.
    package var keeping: TraceKeeping
    /// Of the gateway: a request from outside that names it in `mesh-keep` has its trace kept; nil where nobody may ask for that.
    package var keepKey: String?

    package static let defaultDeadline = Timespan.seconds(15)
    package static let defaultHealthPath = "/-/healthy"
    /// Of every service, answered by the sidecar library where the author does not.
    package static let serviceHealthPath = "/healthz"

    package init(
        revision: UInt64 = 1, mesh: String, tiers: [String] = [], service: String, tier: String = "", replicas: Int = 1,
        destinations: [DestinationConfiguration] = [], routes: [RouteConfiguration] = [], deadline: Timespan? = nil,
        retryCredit: RetryCreditPolicy = .standard, healthPath: String? = nil, traceContextContinues: Bool = false,
        trustedProxies: [String] = [], proxyProtocol: Bool = false, tls: InboundTLS? = nil, accessLog: AccessLogConfiguration? = nil,
        limits: InboundLimits = InboundLimits(), timeouts: InboundTimeouts = InboundTimeouts(),
        keeping: TraceKeeping = .all, keepKey: String? = nil
    ) {
        self.revision = revision
        self.mesh = mesh
        self.tiers = tiers
        self.service = service
        self.tier = tier
        self.replicas = replicas
        self.destinations = destinations
        self.routes = routes
        self.deadline = deadline
        self.retryCredit = retryCredit
        self.healthPath = healthPath
        self.traceContextContinues = traceContextContinues
        self.trustedProxies = trustedProxies
        self.proxyProtocol = proxyProtocol
        self.tls = tls
        self.accessLog = accessLog
        self.limits = limits
        self.timeouts = timeouts
        self.keeping = keeping
        self.keepKey = keepKey
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        revision = try values.decode(.revision, default: 1)
        mesh = try values.decode(.mesh, default: "")
        tiers = try values.decode(.tiers, default: [])
        service = try values.decode(.service, default: "")
        tier = try values.decode(.tier, default: "")
        replicas = try values.decode(.replicas, default: 1)
        destinations = try values.decode(.destinations, default: [])
        routes = try values.decode(.routes, default: [])
        deadline = try values.decodeIfPresent(Timespan.self, forKey: .deadline)
        retryCredit = try values.decode(.retryCredit, default: .standard)
        healthPath = try values.decodeIfPresent(String.self, forKey: .healthPath)
        traceContextContinues = try values.decode(.traceContextContinues, default: false)
        trustedProxies = try values.decode(.trustedProxies, default: [])
        proxyProtocol = try values.decode(.proxyProtocol, default: false)
        tls = try values.decodeIfPresent(InboundTLS.self, forKey: .tls)
        accessLog = try values.decodeIfPresent(AccessLogConfiguration.self, forKey: .accessLog)
        limits = try values.decode(.limits, default: InboundLimits())
        timeouts = try values.decode(.timeouts, default: InboundTimeouts())
        keeping = try values.decode(.keeping, default: .all)
        keepKey = try values.decodeIfPresent(String.self, forKey: .keepKey)
    }
}

/// One service that may be called: where it is, and how.
package struct DestinationConfiguration: Hashable, Sendable, Codable {
    package var service: String
    package var tier: String
    package var policy: CallPolicy
    package var endpoints: [Endpoint]
    /// Empty where the service has one version; then the versions of its endpoints do not matter.
    package var versions: [VersionWeight]
    /// A `url:` service: not ours, so that it gets no `mesh-*` fields.
    package var isExternal: Bool

    package init(
        service: String, tier: String = "", policy: CallPolicy = CallPolicy(), endpoints: [Endpoint] = [], versions: [VersionWeight] = [],
        isExternal: Bool = false
    ) {
        self.service = service
        self.tier = tier
        self.policy = policy
        self.endpoints = endpoints
        self.versions = versions
        self.isExternal = isExternal
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        service = try values.decode(String.self, forKey: .service)
        tier = try values.decode(.tier, default: "")
        policy = try values.decode(.policy, default: CallPolicy())
        endpoints = try values.decode(.endpoints, default: [])
        versions = try values.decode(.versions, default: [])
        isExternal = try values.decode(.isExternal, default: false)
    }
}

/// The share of calls that one version of a service gets; weights are relative to their sum.
package struct VersionWeight: Hashable, Sendable, Codable {
    package var name: String
    package var weight: Double

    package init(name: String, weight: Double) {
        self.name = name
        self.weight = weight
    }
}

/// What an inbound request may be at most; sizes in bytes.
package struct InboundLimits: Hashable, Sendable, Codable {
    package var headBytes: Int
    package var fields: Int
    package var targetBytes: Int
    /// nil for any size.
    package var bodyBytes: Int?
    /// nil for any number.
    package var connections: Int?
    /// Of one HTTP/2 connection at once.
    package var streams: Int

    /// Of a service: how many requests it works on at once, the critical ones first; nil for any number.
    package var inFlight: LimitPolicy?

    package init(
        headBytes: Int = 32 << 10, fields: Int = 100, targetBytes: Int = 8 << 10, bodyBytes: Int? = nil, connections: Int? = nil,
        streams: Int = 100, inFlight: LimitPolicy? = nil
    ) {
        self.headBytes = headBytes
        self.fields = fields
        self.targetBytes = targetBytes
        self.bodyBytes = bodyBytes
        self.connections = connections
        self.streams = streams
        self.inFlight = inFlight
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        headBytes = try values.decode(.headBytes, default: 32 << 10)
        fields = try values.decode(.fields, default: 100)
        targetBytes = try values.decode(.targetBytes, default: 8 << 10)
        bodyBytes = try values.decodeIfPresent(Int.self, forKey: .bodyBytes)
        connections = try values.decodeIfPresent(Int.self, forKey: .connections)
        streams = try values.decode(.streams, default: 100)
        inFlight = try values.decodeIfPresent(LimitPolicy.self, forKey: .inFlight)
    }
}

package struct InboundTimeouts: Hashable, Sendable, Codable {
    /// For the whole head; a client that takes longer gets 408.
    package var head: Timespan
    /// Of a connection between two requests; longer than the client side's, so that the client closes first.
    package var idle: Timespan

    package init(head: Timespan = .seconds(10), idle: Timespan = .seconds(75)) {
        self.head = head
        self.idle = idle
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        head = try values.decode(.head, default: .seconds(10))
        idle = try values.decode(.idle, default: .seconds(75))
    }
}
