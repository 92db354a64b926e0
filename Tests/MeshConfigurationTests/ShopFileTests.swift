import MeshConfiguration
import MeshExchange
import MeshModel
import MeshPolicy
import Testing

@Suite struct ShopFileTests {
    @Test func hasNoFinding() throws {
        let (document, findings) = judge(try packageFile("mesh.yaml"))
        #expect(findings.rendered == "")
        #expect(document?.processCount == 11)
    }

    @Test func saysWhatRuns() throws {
        let document = try #require(judge(try packageFile("mesh.yaml"), variables: ["PORT": "9000"]).document)
        #expect(document.name == "shop")
        #expect(document.tiers == ["edge", "domain", "enterprise"])
        #expect(document.folder == "/mesh")
        let gateway = try #require(document.gateway)
        #expect(gateway.command?.executable == "/mesh/.build/release/edge-gateway")
        #expect(gateway.listen.map(\.address) == [.tcp(host: "0.0.0.0", port: 9000)])
        #expect(gateway.deadline == .seconds(1))
        #expect(gateway.routes.map(\.name) == ["/orders/**", "/customers/**", "/catalog/**", "GET /search"])
        #expect(gateway.routes[3].method == "GET")
        #expect(gateway.routes[3].rewrite == "/catalog/search")
        #expect(gateway.routes[2].timeout == .milliseconds(300))
        #expect(document.services.map(\.name) == ["orders", "catalog", "customers", "ledger", "inventory", "crm"])
        #expect(document.services.map(\.replicas) == [2, 2, 1, 1, 3, 1])
        let catalog = try #require(document.service(named: "catalog"))
        #expect(catalog.versions.map(\.name) == ["v1", "v2"])
        #expect(catalog.versions.map(\.weight) == [90, 10])
        #expect(catalog.versions[1].command.arguments == ["--ranked"])
        #expect(catalog.readiness.question == .http(method: "GET", path: "/healthz"))
        #expect(document.tier(of: "gateway") == "edge")
        #expect(document.tier(of: "ledger") == "enterprise")
    }

    @Test func laysDefaultsBelowCallsKeyByKey() throws {
        let document = try #require(judge(try packageFile("mesh.yaml")).document)
        let customers = try #require(document.service(named: "customers"))
        let policy = customers.calls[0].policy
        #expect(policy.timeout == .milliseconds(200))
        #expect(policy.breaker?.openFor == .seconds(30))
        #expect(policy.breaker?.minCalls == 20)
        let orders = try #require(document.service(named: "orders"))
        #expect(orders.calls.map(\.service) == ["inventory", "ledger", "crm"])
        #expect(orders.calls[1].policy.retry.never)
        #expect(orders.calls[0].policy.retry == RetryPolicy(attempts: 3))
        #expect(document.defaults.policy.timeout == .milliseconds(800))
    }

    @Test func startsCalleesFirst() throws {
        let document = try #require(judge(try packageFile("mesh.yaml")).document)
        #expect(document.startOrder == ["ledger", "inventory", "crm", "orders", "catalog", "customers", "gateway"])
    }

    @Test func makesSnapshots() throws {
        let document = try #require(judge(try packageFile("mesh.yaml")).document)
        let endpoint = Endpoint(instance: InstanceID(high: 1, low: 2), addresses: [.unix(path: "/run/x")])
        let gateway = try #require(document.snapshotConfiguration(for: "gateway", revision: 7) { $0 == "orders" ? [endpoint] : [] })
        #expect(gateway.revision == 7)
        #expect(gateway.mesh == "shop")
        #expect(gateway.tier == "edge")
        #expect(gateway.deadline == .seconds(1))
        #expect(gateway.healthPath == "/-/healthy")
        #expect(gateway.destinations.map(\.service) == ["orders", "customers", "catalog"])
        #expect(gateway.destinations[0].endpoints == [endpoint])
        #expect(gateway.destinations[2].versions == [VersionWeight(name: "v1", weight: 90), VersionWeight(name: "v2", weight: 10)])
        #expect(gateway.routes.map(\.name) == ["/orders/**", "/customers/**", "/catalog/**", "GET /search"])
        #expect(gateway.routes[3].targets == [RouteTarget(service: "catalog")])
        let inventory = try #require(document.snapshotConfiguration(for: "inventory", revision: 1) { _ in [] })
        #expect(inventory.destinations.isEmpty)
        #expect(inventory.replicas == 3)
        #expect(document.snapshotConfiguration(for: "nobody", revision: 1) { _ in [] } == nil)
        #expect(gateway.keeping == TraceKeeping(slowerThan: .quantile(0.99), rest: 0.1))
        #expect(inventory.keeping == gateway.keeping)
        _ = try Snapshot(gateway, after: nil, now: .zero)
    }

    @Test func readsWhereTracesComeFromAndGo() throws {
        let traces = try #require(
            judge(
                """
                mesh: shop
                services: { a: { tier: edge, url: "http://127.0.0.1:1" } }
                traces:
                  keep: { errors: 50%, retried: all, slower_than: 300ms, rest: 0.2 }
                  store: { for: 2h, max: 64MB }
                  otlp_listen: 4318
                  export:
                    - http://collector:4318/otlp
                    - { url: "https://otlp.example", tls: { ca: own.pem }, headers: { Authorization: Bearer t } }
                """
            ).document?.traces)
        #expect(traces.keeping == TraceKeeping(errors: 0.5, slowerThan: .duration(.milliseconds(300)), rest: 0.2))
        #expect(traces.storedFor == .seconds(7200) && traces.storedAtMost == 64_000_000)
        // Spans of anybody who can reach it are believed: a port alone is this host's.
        #expect(traces.otlpListen == .tcp(host: "127.0.0.1", port: 4318))
        #expect(traces.exports.map(\.text) == ["http://collector:4318/otlp", "https://otlp.example"])
        let (plain, secure) = (traces.exports[0], traces.exports[1])
        #expect(plain.endpoint.basePath == "/otlp" && plain.endpoint.tlsName == nil)
        #expect(secure.endpoint.tlsName == "otlp.example" && secure.tls == UpstreamTLS(authorities: "/mesh/own.pem"))
        #expect(secure.headers.map { "\($0.name): \($0.value)" } == ["Authorization: Bearer t"])
    }

    @Test func chainIsReadable() throws {
        let (document, findings) = MeshDocument.load(
            path: "Benchmarks/chain/mesh.yaml",
            environment: FixedEnvironment(
                files: ["/src/Benchmarks/chain/mesh.yaml": try packageFile("Benchmarks/chain/mesh.yaml")], workingFolder: "/src"))
        #expect(findings.rendered == "")
        #expect(document?.startOrder == ["echo", "relay", "gateway"])
        #expect(document?.gateway?.command?.executable == "/src/.build/release/edge-gateway")
    }
}

@Suite struct GatewayAloneTests {
    let text = """
        mesh: bench
        gateway: { listen: 127.0.0.1:${PORT}, deadline: 1s, routes: { "/**": origin } }
        services: { origin: { tier: enterprise, url: "http://127.0.0.1:${UPPORT}/base/" } }
        traces: { keep: { errors: all, rest: 1% } }
        """

    @Test func hasExternalEndpoints() throws {
        let (document, findings) = judge(text, variables: ["PORT": "8081", "UPPORT": "9001"])
        #expect(findings.rendered == "")
        #expect(document?.traces.keeping == TraceKeeping(rest: 0.01))
        let configuration = try #require(document?.snapshotConfiguration(for: "gateway", revision: 1) { _ in [] })
        let origin = try #require(configuration.destinations.first)
        #expect(origin.isExternal)
        #expect(origin.endpoints.map(\.addresses) == [[.tcp(host: "127.0.0.1", port: 9001)]])
        #expect(origin.endpoints[0].authority == "127.0.0.1:9001")
        #expect(origin.endpoints[0].basePath == "/base")
        #expect(document?.gateway?.command == nil)
        #expect(document?.startOrder == [])
        let again = try #require(
            judge(text, variables: ["PORT": "1", "UPPORT": "9001"]).document?.snapshotConfiguration(for: "gateway", revision: 2) { _ in [] }
        )
        #expect(again.destinations[0].endpoints[0].instance == origin.endpoints[0].instance)
    }
}
