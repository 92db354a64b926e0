import MeshConfiguration
import MeshExchange
import MeshModel
import MeshPolicy
import Testing

@Suite struct RouteTests {
    private func routes(_ text: String) throws -> [RouteConfiguration] {
        let (document, findings) = judge(
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes:
            \(text)
            services:
              orders: { tier: domain, run: bin/orders }
              audit: { tier: domain, run: bin/audit }
            """)
        #expect(findings.filter { $0.code != .unreachableService }.rendered == "")
        let snapshot = try #require(document).snapshotConfiguration(for: "gateway", revision: 1) { _ in [] }
        return try #require(snapshot).routes
    }

    /// Work that grows with the square of the routes takes a quarter of an hour here, and under the thread sanitizer hours.
    @Test("10,000 routes are checked at once, each against all others", .timeLimit(.minutes(5)))
    func manyRoutes() {
        let many = (0..<10_000).map { "    - { match: { path: /shop-\($0)/** }, to: orders }\n" }.joined()
        let (document, findings) = judge(
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes:
            \(many)    - { match: { path: /shop-9999/**, method: GET }, to: orders }
                - { match: { path: /shop-0/** }, to: orders }
            services:
              orders: { tier: domain, run: bin/orders }
            """)
        #expect(document?.gateway?.routes.count == 10_002)
        #expect(findings.map { "\($0.code.rawValue) \($0.line)" } == ["M025 10006"])
    }

    @Test func everythingOfARouteReachesTheSnapshot() throws {
        let route = try #require(
            try routes(
                """
                    /orders/**:
                      to: orders
                      timeout: 300ms
                      max_duration: 1m
                      idempotent: true
                      rewrite: /v2/**
                      headers:
                        set: { X-Mesh: 1 }
                        remove: X-Debug
                        response: { add: { Cache-Control: no-store }, remove: [Server, X-Powered-By] }
                      rate_limit: 30/m per header X-Key
                      criticality: critical
                      mirror: { to: audit, share: 10% }
                      sticky: { cookie: shop }
                      cors: { origins: ["https://shop.example"], methods: [GET], headers: X-A, expose: X-B, credentials: true, max_age: 10m }
                      fault: { delay: 20ms, abort: 503, share: 1%, for: 5m }
                """
            ).first)
        #expect(route.name == "/orders/**" && route.targets == [RouteTarget(service: "orders")])
        #expect(route.maxDuration == .seconds(60) && route.rewrite == "/v2/**" && route.idempotent)
        #expect(route.requestHeaders == HeaderEditsConfiguration(set: [NameAndValue("X-Mesh", "1")], remove: ["X-Debug"]))
        #expect(
            route.responseHeaders
                == HeaderEditsConfiguration(add: [NameAndValue("Cache-Control", "no-store")], remove: ["Server", "X-Powered-By"]))
        #expect(route.rateLimit == RateLimitConfiguration(requests: 30, window: .seconds(60), key: .field("x-key")))
        #expect(route.criticality == .critical && route.mirror == MirrorConfiguration(service: "audit", share: 0.1))
        #expect(route.sticky == .cookie("shop"))
        #expect(
            route.cors
                == CrossOriginConfiguration(
                    origins: ["https://shop.example"], methods: ["GET"], headers: ["X-A"], expose: ["X-B"], credentials: true,
                    maxAge: .seconds(600)))
        #expect(route.fault == FaultPolicy(delay: .milliseconds(20), abort: 503, share: 0.01, lasts: .seconds(300)))
    }

    @Test func conditionsMakeARouteForEachMethodAndHost() throws {
        let routes = try routes(
            """
                - match: { path: /a, method: [GET, PUT], host: [Shop.example, "*.shop.example"], headers: { X-Beta: 1 }, query: { q: tea } }
                  to: orders
                - match: { path: /b }
                  redirect: https://b.example/
                - match: { path: /c/** }
                  redirect: { to: /d/**, status: 302 }
                - match: { path: /e }
                  respond: { status: 204 }
                - to: { orders: 90, audit: 10 }
                  match: {}
                  rate_limit: 200/s per client
            """)
        #expect(routes.count == 8)
        #expect(
            routes[..<4].map(\.name) == [
                "GET shop.example/a", "GET *.shop.example/a", "PUT shop.example/a", "PUT *.shop.example/a",
            ])
        #expect(
            routes[1].conditions
                == RouteConditions(
                    host: "*.shop.example", fields: [NameAndValue("x-beta", "1")], query: [NameAndValue("q", "tea")]))
        #expect(routes[4].answer == .redirect(location: "https://b.example/", status: 308))
        #expect(routes[5].answer == .redirect(location: "/d/**", status: 302))
        #expect(routes[6].answer == .respond(status: 204, body: "") && routes[6].targets.isEmpty)
        #expect(routes[7].pattern == "/**" && routes[7].targets.map(\.weight) == [90, 10])
        #expect(routes[7].rateLimit == RateLimitConfiguration(requests: 200, key: .client))
    }

    @Test func aFaultOfACallReachesItsCaller() throws {
        let (document, findings) = judge(
            """
            mesh: shop
            services:
              orders: { tier: domain, run: bin/orders, calls: { crm: { fault: { reset: true, share: 5% } } } }
              crm: { tier: enterprise, run: bin/crm }
            """)
        #expect(findings.rendered == "")
        let snapshot = try #require(document?.snapshotConfiguration(for: "orders", revision: 1) { _ in [] })
        #expect(snapshot.destinations[0].policy.fault == FaultPolicy(reset: true, share: 0.05))
    }

    @Test func whatCannotBeCarriedOutIsFound() {
        let (_, findings) = judge(
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes:
                /a: { to: orders, rewrite: /b/** }
                /b/**: { redirect: ftp://b.example/ }
                /c: { redirect: { to: "https://c.example/**" } }
                /d: { to: orders, headers: { set: { Host: x }, response: { remove: [mesh-trace, Content-Length] } } }
                /e: { to: orders, cors: { origins: [shop.example, "https://*.ok.example", "https://a/b"] } }
                /f: { to: orders, headers: { add: { x-a: "a\\nb" } } }
                /g: { to: orders, fault: { abort: 503, reset: true } }
            services:
              orders: { tier: domain, run: bin/orders }
            """)
        #expect(
            places(findings) == [
                "M026 5:32", "M026 6:24", "M026 7:27", "M026 8:41", "M026 8:73", "M026 8:85", "M026 9:41", "M026 9:79", "M026 10:46",
                "M014 11:44",
            ])
        #expect(findings.allSatisfy { $0.severity == .error })
    }
}
