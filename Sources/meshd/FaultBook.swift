import MeshExchange
import MeshModel
import MeshPolicy

/// The faults that were asked for at run time: they lie over what mesh.yaml says, and end by themselves.
///
/// A daemon that ends forgets them; instances that hear of no end then end them after their time.
struct FaultBook: Sendable {
    struct Edge: Hashable, Sendable {
        var from: String
        var to: String
    }

    struct Order: Sendable {
        var policy: FaultPolicy
        var expires: Instant
    }

    private(set) var orders: [Edge: Order] = [:]
    private var count: UInt64 = 0

    /// When `expire` has something to do; nil for never.
    var nextExpiry: Instant? { orders.values.map(\.expires).min() }

    /// - Parameter policy: its `lasts` says how long.
    mutating func ordered(_ policy: FaultPolicy, on edge: Edge, now: Instant) {
        count += 1
        var policy = policy
        policy.order = count
        orders[edge] = Order(policy: policy, expires: policy.lasts.map { now + $0 } ?? .distantFuture)
    }

    /// True when there was one.
    mutating func removed(_ edge: Edge) -> Bool { orders.removeValue(forKey: edge) != nil }

    /// True when one ended.
    mutating func expire(now: Instant) -> Bool {
        let before = orders.count
        orders = orders.filter { $0.value.expires > now }
        return orders.count < before
    }

    /// Lays them over the snapshot of a service.
    func apply(to snapshot: inout SnapshotConfiguration) {
        guard !orders.isEmpty else { return }
        for index in snapshot.destinations.indices {
            let edge = Edge(from: snapshot.service, to: snapshot.destinations[index].service)
            if let order = orders[edge] { snapshot.destinations[index].policy.fault = order.policy }
        }
    }
}
