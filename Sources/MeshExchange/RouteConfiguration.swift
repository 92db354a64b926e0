package import MeshModel
package import MeshPolicy

/// What the gateway does with requests of one shape.
package struct RouteConfiguration: Hashable, Sendable, Codable {
    /// nil for any.
    package var method: String?
    /// `/exact`, `/prefix/**` (also `/prefix` itself), `/a/*/b`.
    package var pattern: String
    /// What a request must be like besides its method and path.
    package var conditions: RouteConditions
    /// The services that it leads to, by relative weight; mostly one, and none where the gateway answers itself.
    package var targets: [RouteTarget]
    /// Instead of the timeout of the edge.
    package var timeout: Timespan?
    package var deadline: RouteDeadline
    /// How long a response may go on after its head; nil for as long as it moves.
    package var maxDuration: Timespan?
    /// Every request on it may be sent twice.
    package var idempotent: Bool
    /// See `PathRewrite`.
    package var rewrite: String?
    /// See `RouteAnswer`; nil where a service answers.
    package var answer: RouteAnswer?
    package var requestHeaders: HeaderEditsConfiguration
    package var responseHeaders: HeaderEditsConfiguration
    package var cors: CrossOriginConfiguration?
    package var rateLimit: RateLimitConfiguration?
    package var mirror: MirrorConfiguration?
    package var sticky: RequestKey?
    package var criticality: Criticality
    package var fault: FaultPolicy?
    /// As traces call it, for instance `POST /orders`.
    package var name: String

    package init(
        method: String? = nil, pattern: String, conditions: RouteConditions = RouteConditions(), targets: [RouteTarget],
        timeout: Timespan? = nil, deadline: RouteDeadline = .standard, maxDuration: Timespan? = nil, idempotent: Bool = false,
        rewrite: String? = nil, name: String? = nil
    ) {
        self.method = method
        self.pattern = pattern
        self.conditions = conditions
        self.targets = targets
        self.timeout = timeout
        self.deadline = deadline
        self.maxDuration = maxDuration
        self.idempotent = idempotent
        self.rewrite = rewrite
        requestHeaders = HeaderEditsConfiguration()
        responseHeaders = HeaderEditsConfiguration()
        criticality = .standard
        self.name = name ?? Self.name(method: method, pattern: pattern)
    }

    package init(
        method: String? = nil, pattern: String, target: String, timeout: Timespan? = nil, deadline: RouteDeadline = .standard,
        maxDuration: Timespan? = nil, idempotent: Bool = false, rewrite: String? = nil, name: String? = nil
    ) {
        self.init(
            method: method, pattern: pattern, targets: [RouteTarget(service: target)], timeout: timeout, deadline: deadline,
            maxDuration: maxDuration, idempotent: idempotent, rewrite: rewrite, name: name)
    }

    private static func name(method: String?, pattern: String) -> String { method.map { "\($0) \(pattern)" } ?? pattern }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        method = try values.decodeIfPresent(String.self, forKey: .method)
        pattern = try values.decode(String.self, forKey: .pattern)
        conditions = try values.decode(.conditions, default: RouteConditions())
        targets = try values.decode(.targets, default: [])
        timeout = try values.decodeIfPresent(Timespan.self, forKey: .timeout)
        deadline = try values.decode(.deadline, default: .standard)
        maxDuration = try values.decodeIfPresent(Timespan.self, forKey: .maxDuration)
        idempotent = try values.decode(.idempotent, default: false)
        rewrite = try values.decodeIfPresent(String.self, forKey: .rewrite)
        answer = try values.decodeIfPresent(RouteAnswer.self, forKey: .answer)
        requestHeaders = try values.decode(.requestHeaders, default: HeaderEditsConfiguration())
        responseHeaders = try values.decode(.responseHeaders, default: HeaderEditsConfiguration())
        cors = try values.decodeIfPresent(CrossOriginConfiguration.self, forKey: .cors)
        rateLimit = try values.decodeIfPresent(RateLimitConfiguration.self, forKey: .rateLimit)
        mirror = try values.decodeIfPresent(MirrorConfiguration.self, forKey: .mirror)
        sticky = try values.decodeIfPresent(RequestKey.self, forKey: .sticky)
        criticality = try values.decode(.criticality, default: .standard)
        fault = try values.decodeIfPresent(FaultPolicy.self, forKey: .fault)
        name = try values.decode(.name, default: Self.name(method: method, pattern: pattern))
    }
}

package struct RouteTarget: Hashable, Sendable, Codable {
    package var service: String
    package var weight: Double

    package init(service: String, weight: Double = 1) {
        self.service = service
        self.weight = weight
    }
}

/// What a route says about the deadline of its requests.
package enum RouteDeadline: Hashable, Sendable, Codable {
    /// The gateway's.
    case standard
    /// `deadline: none`: streams, events, tunnels.
    case none
    case after(Timespan)
}

/// What a request must be like besides its method and path; all of it.
package struct RouteConditions: Hashable, Sendable, Codable {
    /// `shop.example.com`, or `*.example.com` for all below it; nil for any.
    package var host: String?
    /// Header fields, one of whose lines is exactly this value. Names in any case.
    package var fields: [NameAndValue]
    /// Query parameters whose first occurrence is exactly this value.
    package var query: [NameAndValue]

    package init(host: String? = nil, fields: [NameAndValue] = [], query: [NameAndValue] = []) {
        self.host = host
        self.fields = fields
        self.query = query
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        host = try values.decodeIfPresent(String.self, forKey: .host)
        fields = try values.decode(.fields, default: [])
        query = try values.decode(.query, default: [])
    }
}

package struct NameAndValue: Hashable, Sendable, Codable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What the gateway answers in a service's place.
package enum RouteAnswer: Hashable, Sendable, Codable {
    /// `location` is a URL or a path; `**` at its end stands for what the pattern's `**` matched.
    case redirect(location: String, status: Int)
    case respond(status: Int, body: String)
}

/// What is changed in the fields of a head; `remove` comes first, so that a field can be replaced.
package struct HeaderEditsConfiguration: Hashable, Sendable, Codable {
    package var set: [NameAndValue]
    package var add: [NameAndValue]
    package var remove: [String]

    package init(set: [NameAndValue] = [], add: [NameAndValue] = [], remove: [String] = []) {
        self.set = set
        self.add = add
        self.remove = remove
    }

    package var isEmpty: Bool { self.set.isEmpty && add.isEmpty && remove.isEmpty }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        set = try values.decode(.set, default: [])
        add = try values.decode(.add, default: [])
        remove = try values.decode(.remove, default: [])
    }
}

/// Which pages of other origins may use a route (Fetch, "CORS protocol").
package struct CrossOriginConfiguration: Hashable, Sendable, Codable {
    /// `https://shop.example.com`, `https://*.example.com`, or `*` for all.
    package var origins: [String]
    /// Empty for those of the route, which means whatever is asked for.
    package var methods: [String]
    /// Fields that requests may carry; empty for whatever is asked for.
    package var headers: [String]
    package var expose: [String]
    package var credentials: Bool
    package var maxAge: Timespan?

    package init(
        origins: [String], methods: [String] = [], headers: [String] = [], expose: [String] = [], credentials: Bool = false,
        maxAge: Timespan? = nil
    ) {
        self.origins = origins
        self.methods = methods
        self.headers = headers
        self.expose = expose
        self.credentials = credentials
        self.maxAge = maxAge
    }
}

/// How many requests of a route are let through, for each value of its key.
package struct RateLimitConfiguration: Hashable, Sendable, Codable {
    /// In one `window`; also how many may come at once.
    package var requests: Double
    package var window: Timespan
    /// nil for all of them together.
    package var key: RequestKey?

    package init(requests: Double, window: Timespan = .seconds(1), key: RequestKey? = nil) {
        self.requests = requests
        self.window = window
        self.key = key
    }
}

/// A second service that gets a copy of requests, and whose answers nobody reads.
package struct MirrorConfiguration: Hashable, Sendable, Codable {
    package var service: String
    /// 0...1.
    package var share: Double

    package init(service: String, share: Double = 1) {
        self.service = service
        self.share = share
    }
}

/// What of a request tells one client from another.
package enum RequestKey: Hashable, Sendable, Codable {
    /// The client's address.
    case client
    case field(String)
    case cookie(String)
}
