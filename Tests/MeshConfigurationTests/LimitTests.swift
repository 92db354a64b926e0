import MeshConfiguration
import MeshExchange
import MeshPolicy
import Testing

/// How many requests there may be at once, on either side.
@Suite struct LimitTests {
    @Test(
        "limits reach those who keep them",
        arguments: [
            (limit: "gradient2", inFlight: "gradient2", edge: LimitPolicy.gradient2, service: LimitPolicy.gradient2),
            ("fixed 40", "64", .fixed(40), .fixed(64)), ("{ fixed: 7 }", "1", .fixed(7), .fixed(1)),
        ] as [(limit: String, inFlight: String, edge: LimitPolicy, service: LimitPolicy)])
    func limits(row: (limit: String, inFlight: String, edge: LimitPolicy, service: LimitPolicy)) throws {
        let (document, findings) = judge(
            """
            mesh: shop
            gateway: { run: bin/edge-gateway, routes: { /**: orders } }
            services:
              orders: { tier: domain, run: bin/orders, calls: { crm: { limit: \(row.limit) } } }
              crm: { tier: enterprise, run: bin/crm, limits: { in_flight: \(row.inFlight) } }
            """)
        #expect(findings.rendered == "")
        let orders = try #require(document?.snapshotConfiguration(for: "orders", revision: 1) { _ in [] })
        #expect(orders.destinations[0].policy.limit == row.edge && orders.limits.inFlight == nil)
        let crm = try #require(document?.snapshotConfiguration(for: "crm", revision: 1) { _ in [] })
        #expect(crm.limits.inFlight == row.service)
        let gateway = try #require(document?.snapshotConfiguration(for: "gateway", revision: 1) { _ in [] })
        #expect(gateway.destinations[0].policy.limit == nil)
    }

    @Test("there is none where none is said, or it is off")
    func off() throws {
        let (document, _) = judge(
            """
            mesh: shop
            defaults: { limit: fixed 9 }
            services:
              orders: { tier: domain, run: bin/orders, calls: { crm: { limit: off } } }
              crm: { tier: enterprise, run: bin/crm }
            """)
        let orders = try #require(document?.snapshotConfiguration(for: "orders", revision: 1) { _ in [] })
        #expect(orders.destinations[0].policy.limit == nil)
    }
}
