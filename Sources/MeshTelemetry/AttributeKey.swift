/// The attributes that the mesh itself records, each one byte in a record: OpenTelemetry's HTTP semantic conventions where
/// they have a name, ours under `mesh.` where they have none.
///
/// Invariant: raw values are written to disk and to the wire; none is ever reused. 0 to 15 are the record's own (`RecordItem`).
package enum AttributeKey: UInt8, Sendable, CaseIterable {
    case httpRequestMethod = 16
    case httpRoute = 17
    case httpResponseStatusCode = 18
    case httpRequestResendCount = 19
    case httpRequestBodySize = 20
    case httpResponseBodySize = 21
    case urlPath = 22
    case urlQuery = 23
    case urlScheme = 24
    case serverAddress = 25
    case serverPort = 26
    case clientAddress = 27
    case networkPeerAddress = 28
    case networkPeerPort = 29
    case networkProtocolVersion = 30
    case networkTransport = 31
    case userAgentOriginal = 32
    case errorType = 33
    case requestID = 34
    case rpcSystem = 35
    case rpcGRPCStatusCode = 36
    case rpcService = 37
    case rpcMethod = 38

    /// The service that a call, attempt or backoff goes to.
    case destination = 64
    /// The tier of that service.
    case destinationTier = 65
    /// True where that service is a `url:` one, of which no spans come.
    case external = 66
    /// The number of this try, from 1.
    case attempt = 67
    /// How many tries the call took.
    case attempts = 68
    /// The response flag (`UT`, `UF`, ...).
    case flag = 69
    /// The instance uuid of the endpoint.
    case endpoint = 70
    /// The version of the endpoint.
    case endpointVersion = 71
    /// Why the attempt was followed by another, or why not.
    case retryReason = 72
    /// Whether another attempt followed this one.
    case retried = 73
    /// The length of a backoff, in milliseconds.
    case backoffMilliseconds = 74
    /// What was left of the deadline when the span began, in milliseconds.
    case remainingMilliseconds = 75
    /// The retry credit that the request had left when the span ended.
    case creditLeft = 76
    /// The caller's service, as the receiving side knows it.
    case caller = 77
    /// How the caller's identity was proven (`unauthenticated`, a SPIFFE id).
    case callerIdentity = 78
    /// Whether the connection had carried a request before.
    case connectionReused = 79
    /// Time until the connection was there, in microseconds.
    case connectMicroseconds = 80
    /// Time until the response head, in microseconds.
    case firstByteMicroseconds = 81
    /// True where the request body outgrew the replay buffer, so that no retry was possible.
    case replayOverflowed = 82
    /// The cause in words, where the mesh made the answer.
    case cause = 83
    /// `edge` of the graph, caller and callee, where a span speaks of one that is not its own.
    case edge = 84
    /// What fault was injected, where one was.
    case fault = 85
    /// True where the request was a copy of another one, and nobody waits for its answer.
    case mirror = 86
    /// Why the trace was kept; on the span at whose end that was decided.
    case kept = 87
    /// How many spans of a trace are known to be lost.
    case lostSpans = 88
    /// True on the root of work that goes on although its request may be over (`Mesh.detached`): nobody waits for it.
    case detached = 89
    /// On an attempt that was sent beside another one: why.
    case hedge = 90
    /// On an attempt beside which another one was due: why it was not sent.
    case hedgeRefused = 91

    package var name: String {
        switch self {
        case .httpRequestMethod: "http.request.method"
        case .httpRoute: "http.route"
        case .httpResponseStatusCode: "http.response.status_code"
        case .httpRequestResendCount: "http.request.resend_count"
        case .httpRequestBodySize: "http.request.body.size"
        case .httpResponseBodySize: "http.response.body.size"
        case .urlPath: "url.path"
        case .urlQuery: "url.query"
        case .urlScheme: "url.scheme"
        case .serverAddress: "server.address"
        case .serverPort: "server.port"
        case .clientAddress: "client.address"
        case .networkPeerAddress: "network.peer.address"
        case .networkPeerPort: "network.peer.port"
        case .networkProtocolVersion: "network.protocol.version"
        case .networkTransport: "network.transport"
        case .userAgentOriginal: "user_agent.original"
        case .errorType: "error.type"
        case .requestID: "http.request.header.x-request-id"
        case .rpcSystem: "rpc.system"
        case .rpcGRPCStatusCode: "rpc.grpc.status_code"
        case .rpcService: "rpc.service"
        case .rpcMethod: "rpc.method"
        case .destination: "mesh.destination"
        case .destinationTier: "mesh.destination_tier"
        case .external: "mesh.external"
        case .attempt: "mesh.attempt"
        case .attempts: "mesh.attempts"
        case .flag: "mesh.flag"
        case .endpoint: "mesh.endpoint"
        case .endpointVersion: "mesh.endpoint_version"
        case .retryReason: "mesh.retry_reason"
        case .retried: "mesh.retried"
        case .backoffMilliseconds: "mesh.backoff_ms"
        case .remainingMilliseconds: "mesh.remaining_ms"
        case .creditLeft: "mesh.credit_left"
        case .caller: "mesh.caller"
        case .callerIdentity: "mesh.caller_identity"
        case .connectionReused: "mesh.connection_reused"
        case .connectMicroseconds: "mesh.connect_us"
        case .firstByteMicroseconds: "mesh.first_byte_us"
        case .replayOverflowed: "mesh.replay_overflowed"
        case .cause: "mesh.cause"
        case .edge: "mesh.edge"
        case .fault: "mesh.fault"
        case .mirror: "mesh.mirror"
        case .kept: "mesh.kept"
        case .lostSpans: "mesh.lost_spans"
        case .detached: "mesh.detached"
        case .hedge: "mesh.hedge"
        case .hedgeRefused: "mesh.hedge_refused"
        }
    }
}

/// The items of a record that are no attribute by a known key.
///
/// Invariant: below 16, where `AttributeKey` begins; never reused.
enum RecordItem {
    /// Followed by the key's length and bytes, then a value.
    static let customAttribute: UInt8 = 0
    /// Followed by a string value.
    static let name: UInt8 = 1
    /// Followed by the offset from the span's start, the name as a string value, and the count of attributes that belong to it.
    static let event: UInt8 = 2
    /// Followed by the 24 bytes of another trace's and span's ids.
    static let link: UInt8 = 3
}

/// The type byte before a value.
enum RecordValue {
    /// A 16-bit length and UTF-8 bytes.
    static let string: UInt8 = 0
    /// Zigzag LEB128.
    static let integer: UInt8 = 1
    /// 8 bytes, IEEE 754.
    static let double: UInt8 = 2
    static let `false`: UInt8 = 3
    static let `true`: UInt8 = 4
    /// 16 bytes; read as the text of a UUID.
    static let uuid: UInt8 = 5
    /// One byte; read as the flag's code.
    static let flag: UInt8 = 6
    /// A count byte and that many values, none of them an array.
    static let array: UInt8 = 7
    /// One byte; read as the name of a `KeepReason`.
    static let reason: UInt8 = 8
}
