package import MeshModel
package import MeshPolicy

/// What is done with a request of a route before it goes anywhere, in the order of `Route.filters`.
///
/// A closed set, so that carrying one out is a jump and not a call through a table.
package enum RouteFilter: Sendable {
    /// Position: first, since a preflight carries no credentials and counts against no limit.
    case crossOrigin(CrossOriginPolicy)
    /// Position: above all that costs something.
    case limit(RateLimiter)
    case redirect(Redirect)
    case respond(status: Int, body: [UInt8])
    /// Position: below whatever answers, and above `rewrite`: the copy is of the request as it came.
    case mirror(Destination, share: Double)
    case rewrite(PathRewrite)
}

/// What makes a route the same one in the next snapshot.
struct RouteIdentity: Hashable, Sendable {
    private let name: String
    private let conditions: RouteConditions

    init(_ configuration: RouteConfiguration) {
        name = configuration.name
        conditions = configuration.conditions
    }
}

/// A route with its destinations at hand.
package final class Route: Sendable {
    package let name: String
    let identity: RouteIdentity
    package let isIdempotent: Bool
    package let maxDuration: Timespan?
    package let filters: [RouteFilter]
    package let requestEdits: HeaderEdits?
    package let responseEdits: HeaderEdits?
    package let criticality: Criticality
    /// What keeps a client at one version.
    package let sticky: RequestKey?
    private let activeFault: ActiveFault?
    /// For `Exchange.init(timeout:)`: instead of the edge's own, where it is not nil.
    package let timeout: Timespan?
    /// From the first byte of the request; nil for none.
    private let deadline: Timespan?
    private let targets: [(destination: Destination, weight: Double)]

    /// What of a route can be wrong, found before anything is changed.
    struct Compiled: Sendable {
        var configuration: RouteConfiguration
        var pattern: RoutePattern
        var rewrite: PathRewrite?
        var redirect: Redirect?
        var requestEdits: HeaderEdits?
        var responseEdits: HeaderEdits?
        var crossOrigin: CrossOriginPolicy?

        init(_ configuration: RouteConfiguration) throws(RoutePattern.Invalid) {
            self.configuration = configuration
            pattern = try RoutePattern(configuration.pattern)
            if let text = configuration.rewrite { rewrite = try PathRewrite(text, for: pattern) }
            if case .redirect(let location, let status)? = configuration.answer {
                redirect = try Redirect(location: location, status: status, for: pattern)
            }
            requestEdits = try HeaderEdits(configuration.requestHeaders)
            responseEdits = try HeaderEdits(configuration.responseHeaders)
            if let cors = configuration.cors { crossOrigin = try CrossOriginPolicy(cors) }
        }
    }

    init(
        _ compiled: Compiled, destinations: [String: Destination], standardDeadline: Timespan?, replicas: Int, after previous: Route?,
        now: Instant
    ) {
        let configuration = compiled.configuration
        name = configuration.name
        identity = RouteIdentity(configuration)
        isIdempotent = configuration.idempotent
        maxDuration = configuration.maxDuration
        requestEdits = compiled.requestEdits
        responseEdits = compiled.responseEdits
        criticality = configuration.criticality
        sticky = configuration.sticky
        activeFault = ActiveFault(configuration.fault, after: previous?.activeFault, now: now)
        targets = configuration.targets.map { (destinations[$0.service]!, $0.weight) }
        switch configuration.deadline {
        case .standard:
            deadline = standardDeadline
            timeout = configuration.timeout
        case .after(let span):
            deadline = span
            timeout = configuration.timeout
        case .none:
            deadline = nil
            timeout = configuration.timeout ?? Exchange.unlimited
        }
        var filters: [RouteFilter] = []
        if let policy = compiled.crossOrigin { filters.append(.crossOrigin(policy)) }
        if let limit = configuration.rateLimit {
            filters.append(.limit(RateLimiter(limit, replicas: replicas, after: previous?.limiter)))
        }
        if let redirect = compiled.redirect { filters.append(.redirect(redirect)) }
        if case .respond(let status, let body)? = configuration.answer { filters.append(.respond(status: status, body: Array(body.utf8))) }
        if let mirror = configuration.mirror, let destination = destinations[mirror.service], mirror.share > 0 {
            filters.append(.mirror(destination, share: mirror.share))
        }
        if let rewrite = compiled.rewrite { filters.append(.rewrite(rewrite)) }
        self.filters = filters
    }

    package var crossOrigin: CrossOriginPolicy? {
        if case .crossOrigin(let policy)? = filters.first { policy } else { nil }
    }

    package var limiter: RateLimiter? {
        for case .limit(let limiter) in filters { return limiter }
        return nil
    }

    /// What trouble is made on purpose now.
    package func fault(at now: Instant) -> FaultPolicy? { activeFault?.policy(at: now) }

    /// For `Exchange.init(inherited:)`.
    package func deadline(received: Instant) -> Instant? { deadline.map { received + $0 } }

    /// Where a request goes, by weight; the same one for the same `affinity`, as long as the weights stay. It has one, unless it
    /// answers itself.
    package func destination(affinity: UInt64? = nil, random: inout RandomSource) -> Destination {
        if targets.count == 1 { return targets[0].destination }
        var fixed = affinity.map { RandomSource(seed: $0) }
        func draw(_ random: inout RandomSource) -> Int? {
            WeightedChoice.draw(of: targets.count, random: &random) {
                targets[$0].weight
            } isUsable: { _ in
                true
            }
        }
        let drawn = fixed != nil ? draw(&fixed!) : draw(&random)
        return targets[drawn ?? 0].destination
    }
}
