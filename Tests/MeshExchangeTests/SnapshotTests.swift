import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import Testing

@Suite("A snapshot")
struct SnapshotTests {
    private func configuration(_ change: (inout SnapshotConfiguration) -> Void = { _ in }) -> SnapshotConfiguration {
        var configuration = SnapshotConfiguration(
            mesh: "shop", tiers: ["edge", "domain"], service: "gateway", tier: "edge",
            destinations: [
                DestinationConfiguration(
                    service: "orders", endpoints: [Endpoint(instance: InstanceID(high: 0, low: 1), addresses: [.unix(path: "/a")])]),
                DestinationConfiguration(service: "catalog"),
            ],
            routes: [
                RouteConfiguration(pattern: "/orders/**", target: "orders"),
                RouteConfiguration(
                    method: "GET", pattern: "/search", target: "catalog", timeout: .milliseconds(300), rewrite: "/catalog/search"),
                RouteConfiguration(pattern: "/events", target: "orders", deadline: .none, maxDuration: .seconds(3600)),
                RouteConfiguration(pattern: "/slow", target: "orders", deadline: .after(.seconds(60))),
            ],
            deadline: .seconds(1))
        change(&configuration)
        return configuration
    }

    @Test("leads a request to its destination, by its own limits")
    func routes() throws {
        let snapshot = try Snapshot(configuration(), now: .zero)
        var random = RandomSource(seed: 1)
        func route(_ method: String, _ path: String) throws -> Route {
            let index = Array(method.utf8).withUnsafeBytes { method in
                Array(path.utf8).withUnsafeBytes { snapshot.router.match(RouteSubject(method: method, path: $0)) }
            }
            return snapshot.routes[try #require(index)]
        }
        let orders = try route("POST", "/orders")
        #expect(orders.name == "/orders/**" && orders.destination(random: &random) === snapshot.destination(named: "orders"))
        #expect(orders.deadline(received: .zero) == .zero + .seconds(1) && orders.timeout == nil)
        let search = try route("GET", "/search")
        #expect(search.name == "GET /search" && search.timeout == .milliseconds(300))
        #expect(search.filters.contains { if case .rewrite = $0 { true } else { false } })
        let events = try route("GET", "/events")
        #expect(events.deadline(received: .zero) == nil && events.timeout == Exchange.unlimited && events.maxDuration == .seconds(3600))
        #expect(try route("GET", "/slow").deadline(received: .zero) == .zero + .seconds(60))
        #expect(snapshot.destination(named: "nobody") == nil)
    }

    @Test("draws among the services of a route by weight")
    func weighted() throws {
        let snapshot = try Snapshot(
            configuration {
                $0.routes[0].targets = [RouteTarget(service: "orders", weight: 3), RouteTarget(service: "catalog", weight: 1)]
            }, now: .zero)
        var random = RandomSource(seed: 1)
        let orders = (0..<4000).map { _ in snapshot.routes[0].destination(random: &random).service }.count { $0 == "orders" }
        #expect((2850...3150).contains(orders))
    }

    @Test("refuses what leads nowhere, and says what to do", arguments: 0...4)
    func refused(number: Int) {
        let wrong = configuration {
            switch number {
            case 0: $0.routes[0].pattern = "orders"
            case 1: $0.routes[0].targets = [RouteTarget(service: "nobody")]
            case 2: $0.routes[0].targets = []
            case 3: $0.routes[0].rewrite = "/a/*"
            default: $0.destinations.append($0.destinations[0])
            }
        }
        #expect(throws: SnapshotError.self) { try Snapshot(wrong, now: .zero) }
    }

    @Test("hands on what its destinations have learnt, and leaves the other snapshot usable")
    func succession() throws {
        let first = try Snapshot(configuration(), now: .zero)
        let destination = try #require(first.destination(named: "orders"))
        let call = Call(to: destination)
        call.beginAndSend()
        let second = try Snapshot(configuration { $0.revision = 2 }, after: first, now: .zero)
        #expect(try #require(second.destination(named: "orders")).statistics(now: .zero).active == 1)
        call.head(200)
        call.end()
        #expect(call.isComplete && destination.isAtRest && second.revision == 2)
    }

    @Test("travels as JSON, whole, and with every key missing that has a default")
    func json() throws {
        let whole = configuration {
            $0.destinations[0].policy.breaker = nil
            $0.destinations[1].policy.attemptTimeout = .milliseconds(50)
            $0.destinations[1].versions = [VersionWeight(name: "v1", weight: 90)]
            $0.healthPath = "/-/healthy"
        }
        #expect(try JSONDecoder().decode(SnapshotConfiguration.self, from: JSONEncoder().encode(whole)) == whole)

        let bare = #"{"destinations": [{"service": "orders", "policy": {"retry": {"attempts": 9}}}], "routes": [{"pattern": "/**"}]}"#
        let read = try JSONDecoder().decode(SnapshotConfiguration.self, from: Data(bare.utf8))
        #expect(read.destinations[0].policy.breaker == BreakerPolicy() && read.destinations[0].policy.timeout == .seconds(2))
        #expect(read.destinations[0].policy.retry.attempts == 5, "five at most")
        #expect(read.routes[0].name == "/**" && read.limits == InboundLimits() && read.replicas == 1)
    }
}
