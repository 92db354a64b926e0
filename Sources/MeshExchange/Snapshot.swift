package import MeshModel
import MeshPolicy

/// What one process knows of the mesh at one time, made ready for look-ups. Immutable, and replaced as a whole.
package final class Snapshot: Sendable {
    package let configuration: SnapshotConfiguration
    package let router: Router
    /// What `router` answers is an index into it.
    package let routes: [Route]
    private let destinations: [String: Destination]
    /// Some route is for a host, so that the request's is of importance.
    package let looksAtHosts: Bool

    package var revision: UInt64 { configuration.revision }

    /// - Parameter previous: the snapshot that this one replaces: what its destinations have learnt passes on.
    /// - Throws: where a route can't be understood or leads nowhere; `previous` stays in force then, untouched.
    package init(_ configuration: SnapshotConfiguration, after previous: Snapshot? = nil, now: Instant) throws(SnapshotError) {
        var services = Set<String>()
        for destination in configuration.destinations where !services.insert(destination.service).inserted {
            throw SnapshotError(description: "destination '\(destination.service)' is there twice: name it once")
        }
        var compiled: [Route.Compiled] = []
        for route in configuration.routes {
            do {
                compiled.append(try Route.Compiled(route))
            } catch {
                throw SnapshotError(description: "route '\(route.name)': \(error)")
            }
            for service in route.targets.map(\.service) + (route.mirror.map { [$0.service] } ?? []) where !services.contains(service) {
                throw SnapshotError(description: "route '\(route.name)' leads to '\(service)': add it to the destinations")
            }
            guard !route.targets.isEmpty || route.answer != nil else {
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
        router = Router(
            compiled.map { Router.Entry(method: $0.configuration.method, pattern: $0.pattern, conditions: $0.configuration.conditions) })
        looksAtHosts = router.hasHosts
        var before: [RouteIdentity: Route] = [:]
        for route in previous?.routes ?? [] { before[route.identity] = route }
        routes = compiled.map { route in
            Route(
                route, destinations: destinations, standardDeadline: configuration.deadline, replicas: configuration.replicas,
                after: before[RouteIdentity(route.configuration)], now: now)
        }
    }

    /// The index of the request's route in `routes`; here, since a router that is handed out is copied.
    ///
    /// - Parameter hasField: whether the request has this header field with this value.
    package func route(
        of subject: RouteSubject, hasField: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) -> Int? {
        router.match(subject, hasField: hasField)
    }

    package func destination(named service: String) -> Destination? { destinations[service] }
    package var allDestinations: some Collection<Destination> { destinations.values }
}

package struct SnapshotError: Error, CustomStringConvertible {
    package let description: String
}
