package import MeshExchange
package import MeshModel

/// What an instance says to the daemon.
package enum InstanceMessage: Hashable, Sendable {
    /// The first message of every connection, resumed ones included.
    case hello(Hello)
    /// The configuration of this revision rules from now on.
    case acknowledged(Acknowledgement)
    /// The configuration of this revision could not be installed; the one before it goes on ruling.
    case refused(Refusal)
    /// Whether the instance takes requests; said at every change and after every `hello`.
    case health(Health)
    /// One batch of spans as MeshTelemetry encodes it: said by instances that know no `SpanSocket`.
    case spans([UInt8])
    case statistics(InstanceStatistics)
    /// No new requests are wanted: the instance drains and then ends by itself.
    case stopping

    private enum Kind: UInt8 {
        case hello = 1
        case acknowledged = 2
        case refused = 3
        case health = 4
        case spans = 5
        case statistics = 6
        case stopping = 7
    }

    package var frame: Frame {
        switch self {
        case .hello(let hello): Frame(type: Kind.hello.rawValue, payload: Payload.encode(hello))
        case .acknowledged(let acknowledgement): Frame(type: Kind.acknowledged.rawValue, payload: Payload.encode(acknowledgement))
        case .refused(let refusal): Frame(type: Kind.refused.rawValue, payload: Payload.encode(refusal))
        case .health(let health): Frame(type: Kind.health.rawValue, payload: Payload.encode(health))
        case .spans(let batch): Frame(type: Kind.spans.rawValue, payload: batch)
        case .statistics(let statistics): Frame(type: Kind.statistics.rawValue, payload: Payload.encode(statistics))
        case .stopping: Frame(type: Kind.stopping.rawValue, payload: Array("{}".utf8))
        }
    }

    /// Reads a frame; nil for a type that a newer instance may say, which is to be ignored.
    package init?(_ frame: Frame) throws(MalformedMessage) {
        guard let kind = Kind(rawValue: frame.type) else { return nil }
        switch kind {
        case .hello: self = .hello(try Payload.decode(Hello.self, from: frame))
        case .acknowledged: self = .acknowledged(try Payload.decode(Acknowledgement.self, from: frame))
        case .refused: self = .refused(try Payload.decode(Refusal.self, from: frame))
        case .health: self = .health(try Payload.decode(Health.self, from: frame))
        case .spans: self = .spans(frame.payload)
        case .statistics: self = .statistics(try Payload.decode(InstanceStatistics.self, from: frame))
        case .stopping: self = .stopping
        }
    }
}

/// Who is speaking, and what it has already.
package struct Hello: Hashable, Sendable, Codable {
    /// The highest version of this protocol that the instance speaks; informative, since both ends ignore what they don't know.
    package var protocolVersion: Int
    package var instance: InstanceID
    package var service: String
    package var tier: String
    /// The instance's place among its peers, e.g. `inventory-2`.
    package var replica: String
    /// The version of the service, where it has several.
    package var version: String?
    package var processID: Int32
    /// The revision that rules the instance now; nil before the first one. The daemon sends a configuration only if its own differs.
    package var revision: UInt64?

    package static let currentProtocolVersion = 1

    package init(
        protocolVersion: Int = currentProtocolVersion, instance: InstanceID, service: String, tier: String = "", replica: String = "",
        version: String? = nil, processID: Int32 = 0, revision: UInt64? = nil
    ) {
        self.protocolVersion = protocolVersion
        self.instance = instance
        self.service = service
        self.tier = tier
        self.replica = replica
        self.version = version
        self.processID = processID
        self.revision = revision
    }

    private enum CodingKeys: String, CodingKey {
        case protocolVersion = "protocol"
        case instance, service, tier, replica, version
        case processID = "pid"
        case revision
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        protocolVersion = try fields.decode(.protocolVersion, default: 1)
        instance = try fields.decode(InstanceID.self, forKey: .instance)
        service = try fields.decode(String.self, forKey: .service)
        tier = try fields.decode(.tier, default: "")
        replica = try fields.decode(.replica, default: "")
        version = try fields.decodeIfPresent(String.self, forKey: .version)
        processID = try fields.decode(.processID, default: 0)
        revision = try fields.decodeIfPresent(UInt64.self, forKey: .revision)
    }
}

package struct Acknowledgement: Hashable, Sendable, Codable {
    package var revision: UInt64

    package init(revision: UInt64) { self.revision = revision }
}

package struct Refusal: Hashable, Sendable, Codable {
    package var revision: UInt64
    /// A sentence for a person.
    package var reason: String

    package init(revision: UInt64, reason: String) {
        self.revision = revision
        self.reason = reason
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        revision = try fields.decode(UInt64.self, forKey: .revision)
        reason = try fields.decode(.reason, default: "no reason was given")
    }
}

package struct Health: Hashable, Sendable, Codable {
    package var ready: Bool
    /// Why not, for a person; nil when ready.
    package var reason: String?

    package init(ready: Bool, reason: String? = nil) {
        self.ready = ready
        self.reason = reason
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        ready = try fields.decode(.ready, default: true)
        reason = try fields.decodeIfPresent(String.self, forKey: .reason)
    }
}

/// What an instance counts and measures, since the start of its process.
package struct InstanceStatistics: Hashable, Sendable, Codable {
    /// By name, so that either end may know more of them than the other.
    package var counters: [String: UInt64]
    package var edges: [EdgeReport]
    /// What its own code measures by swift-metrics.
    package var metrics: [MetricFamily]

    /// Spans that were lost in this process, for whatever reason.
    package static let spansDropped = "spans.dropped"

    package init(counters: [String: UInt64] = [:], edges: [EdgeReport] = [], metrics: [MetricFamily] = []) {
        self.counters = counters
        self.edges = edges
        self.metrics = metrics
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        counters = try fields.decode(.counters, default: [:])
        edges = try fields.decode(.edges, default: [])
        metrics = try fields.decode(.metrics, default: [])
    }
}
