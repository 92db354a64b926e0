import MeshConfiguration
import Testing

@Suite struct SchemaTests {
    @Test(arguments: Schema.withoutEffect.sorted()) func tableOfEffectsNamesRealKeys(_ line: String) throws {
        let key = try #require(line.split(separator: "=").first.map(String.init))
        #expect(Schema.keys.contains(key))
    }

    @Test func keysWithEffectGetNoWarning() {
        let (_, findings) = judge(
            """
            mesh: shop
            tiers: [edge, domain]
            same_tier: true
            registry: embedded
            defaults:
              timeout: 1s
              attempt_timeout: 100ms
              connect_timeout: 50ms
              idle_timeout: 30s
              retry: { attempts: 2, on: [connect, 503], methods: [GET], backoff: { base: 1ms, max: 10ms }, budget: 10%, reserve: 1/s }
              breaker: { errors: 20%, consecutive: 3, min_calls: 5, window: 5s, open_for: 1s, max_open: 10s, slow: { over: 500ms, share: 50% } }
              balance: p2c
              slow_start: 1s
              bulkhead: { calls: 10, pending: 10 }
            gateway:
              run: bin/edge-gateway
              listen: [127.0.0.1:8080, "[::1]:8080"]
              threads: 2
              deadline: 2s
              health: /up
              routes:
                /a/**: { to: a, timeout: 1s, deadline: none, idempotent: true, rewrite: /b }
                /w: { to: { a: 50, b: 50 } }
            services:
              a:
                tier: domain
                versions: { v1: { run: bin/a, weight: 50 }, v2: { run: [bin/a, --two], weight: 50, replicas: 2, args: [x], env: { B: c } } }
                env: { A: b }
                args: [--fast]
                ready: { get: /ready, every: 500ms, timeout: 1s, failures: 2, within: 10s }
                restart: { policy: on_failure, backoff: { base: 1s, max: 10s } }
                sidecar: library
                calls: [b]
              b: { tier: domain, url: ["http://127.0.0.1:9000", "http://127.0.0.1:9001"] }
            traces: { store: { for: 12h, max: 64MB } }
            """)
        #expect(findings.rendered == "")
    }
}

@Suite struct RetryArithmeticTests {
    private func arrivals(
        _ routes: String, edge: String = "{ attempts: 2 }", a: String = "{ attempts: 2 }", b: String = "{ attempts: 2 }",
        credit: String = "off"
    ) -> [String] {
        judge(
            """
            mesh: shop
            same_tier: true
            defaults: { retry: \(edge) }
            gateway: { run: bin/g, retry_credit: \(credit), routes: { \(routes) } }
            services:
              a: { tier: domain, run: bin/a, calls: { b: { retry: \(a) } } }
              b: { tier: domain, run: bin/b, calls: { c: { retry: \(b) } } }
              c: { tier: enterprise, run: bin/c }
            """
        ).findings.map(\.message)
    }

    @Test func multipliesAlongTheWorstPath() {
        #expect(arrivals("/a/**: a") == ["one GET /a/** can become 8 calls to c (edge 2 x a 2 x b 2; retry_credit is off)"])
        #expect(arrivals("/a/**: a", b: "never") == [])
        #expect(arrivals("/a/**: a", a: "never") == [])
        // What the calls say lies over it, so that only the edge itself never repeats.
        #expect(arrivals("/a/**: a", edge: "never") == [])
        #expect(
            arrivals("/a/**: a, \"GET /b\": b", a: "{ attempts: 3 }", b: "never")
                == ["one GET /a/** can become 6 calls to b (edge 2 x a 3; retry_credit is off)"])
    }

    @Test func creditBoundsIt() {
        #expect(arrivals("/a/**: a", credit: "3") == [])
        #expect(arrivals("/a/**: a", credit: "0") == [])
        #expect(
            arrivals("/a/**: a", credit: "5") == ["one GET /a/** can become 6 calls to c (edge 2 x a 2 x b 2; retry_credit is 5)"])
    }

    @Test func unsafeMethodsAreNotRepeatedAtTheEdge() {
        #expect(arrivals("\"POST /a\": a") == [])
        #expect(
            arrivals("\"POST /a\": { to: a, idempotent: true }")
                == ["one POST /a can become 8 calls to c (edge 2 x a 2 x b 2; retry_credit is off)"])
    }
}
