package import MeshModel
import MeshPolicy

/// What one process knows of the mesh at one time, made ready for look-ups. Immutable, and replaced as a whole.
package final class Snapshot: Sendable {
    package let configuration: SnapshotConfiguration
    package let router: Router
    /// What `router` answers is an index into it.
    package let routes: [Route]
    private let destinations: [String: Destination]

    package var revision: UInt64 { configuration.revision }

    /// - Parameter previous: the snapshot that this one replaces: what its destinations have learnt passes on.
    /// - Throws: where a route can't be understood or leads nowhere; `previous` stays in force then, untouched.
    package init(_ configuration: SnapshotConfiguration, after previous: Snapshot? = nil, now: Instant) throws(SnapshotError) {
        var services = Set<String>()
        for destination in configuration.destinations where !services.insert(destination.service).inserted {
            throw SnapshotError(description: "destination '\(destination.service)' is there twice: name it once")
        }
        var entries: [Router.Entry] = []
        var rewrites: [PathRewrite?] = []
        for route in configuration.routes {
            do {
                let pattern = try RoutePattern(route.pattern)
                entries.append((route.method, pattern))
                rewrites.append(try route.rewrite.map { text throws(RoutePattern.Invalid) in try PathRewrite(text, for: pattern) })
            } catch {
                throw SnapshotError(description: "route '\(route.name)': \(error)")
            }
            for target in route.targets where !services.contains(target.service) {
                throw SnapshotError(description: "route '\(route.name)' leads to '\(target.service)': add it to the destinations")
            }
            guard !route.targets.isEmpty else {
                throw SnapshotError(description: "route '\(route.name)' leads nowhere: give it a service")
            }
        }
        // From here on nothing fails: destinations hand on their state.
        var destinations: [String: Destination] = [:]
        for destination in configuration.destinations {
            destinations[destination.service] = Destination(
                destination, replicas: configuration.replicas, after: previous?.destinations[destination.service], now: now)
        }
        self.configuration = configuration
        self.destinations = destinations
        router = Router(entries)
        routes = zip(configuration.routes, rewrites).map { route, rewrite in
            Route(
                route, rewrite: rewrite, targets: route.targets.map { (destinations[$0.service]!, $0.weight) },
                standardDeadline: configuration.deadline)
        }
    }

    package func destination(named service: String) -> Destination? { destinations[service] }
    package var allDestinations: some Collection<Destination> { destinations.values }
}

package struct SnapshotError: Error, CustomStringConvertible {
    package let description: String
}

/// A route with its destinations at hand.
package final class Route: Sendable {
    package let name: String
    package let isIdempotent: Bool
    package let maxDuration: Timespan?
    package let rewrite: PathRewrite?
    /// For `Exchange.init(timeout:)`: instead of the edge's own, where it is not nil.
    package let timeout: Timespan?
    /// From the first byte of the request; nil for none.
    private let deadline: Timespan?
    private let targets: [(destination: Destination, weight: Double)]

    init(
        _ configuration: RouteConfiguration, rewrite: PathRewrite?, targets: [(Destination, Double)], standardDeadline: Timespan?
    ) {
        name = configuration.name
        isIdempotent = configuration.idempotent
        maxDuration = configuration.maxDuration
        self.rewrite = rewrite
        self.targets = targets
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
    }

    /// For `Exchange.init(inherited:)`.
    package func deadline(received: Instant) -> Instant? { deadline.map { received + $0 } }

    /// Where a request goes, by weight.
    package func destination(random: inout RandomSource) -> Destination {
        if targets.count == 1 { return targets[0].destination }
        let drawn = WeightedChoice.draw(of: targets.count, random: &random) {
            targets[$0].weight
        } isUsable: { _ in
            true
        }
        return targets[drawn ?? 0].destination
    }
}
