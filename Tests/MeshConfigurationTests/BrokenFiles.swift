import Testing

/// A mesh.yaml that is wrong, and every finding that it must get: `M012 4:7` is a code, a line and a column.
struct BrokenFile: CustomTestStringConvertible, Sendable {
    var name: String
    var text: String
    var places: [String]
    var profile: String?

    init(_ name: String, _ text: String, _ places: String..., profile: String? = nil) {
        self.name = name
        self.text = text
        self.places = places
        self.profile = profile
    }

    var testDescription: String { name }

    static let all: [BrokenFile] = [
        BrokenFile(
            "misspelt key of a call",
            """
            mesh: shop
            services:
              orders:
                tier: domain
                run: bin/orders
                calls:
                  ledger:    { timout: 400ms, retry: never }
              ledger: { tier: enterprise, run: bin/ledger }
            """, "M012 7:20"),
        BrokenFile(
            "misspelt keys at the top and in the gateway",
            """
            mesh: shop
            tier: [edge, domain]
            gateway:
              run: bin/edge-gateway
              listens: 8080
            """, "M012 2:1", "M012 5:3"),
        BrokenFile("not YAML", "mesh: shop\nservices:\n  orders: { tier: domain\n  crm: { tier: enterprise }\n", "M001 4:6"),
        BrokenFile("a tab as indentation", "mesh: shop\nservices:\n\torders: {}\n", "M001 3:1"),
        BrokenFile("two documents", "mesh: shop\n---\nmesh: shop\n", "M001 2:1"),
        BrokenFile(
            "two services of one name, and a misspelt key besides",
            """
            mesh: shop
            services:
              crm: { tier: enterprise, run: bin/crm }
              ledger: { tier: enterprise, run: bin/ledger }
              crm: { tier: enterprise, run: bin/crm2 }
            tiers: [edge, domain, enterprise]
            mesh: shop2
            traces: { keeep: all }
            """, "M002 5:3", "M002 7:1", "M012 8:11"),
        BrokenFile(
            "quoted and threefold duplicates",
            """
            mesh: shop
            defaults:
              timeout: 1s
              "timeout": 2s
              'timeout': 3s
            """, "M002 4:3", "M002 5:3"),
        BrokenFile("no name", "tiers: [edge]\n", "M010 1:1"),
        BrokenFile("nothing", "", "M010 1:1"),
        BrokenFile("a list instead of a map", "- mesh: shop\n", "M011 1:1"),
        BrokenFile(
            "services without tier or command",
            """
            mesh: shop
            services:
              orders: { run: bin/orders }
              crm: { tier: enterprise }
              ledger:
            """, "M010 3:3", "M010 4:3", "M010 5:3", "M010 5:3"),
        BrokenFile(
            "a command and a URL",
            """
            mesh: shop
            services:
              rates: { tier: enterprise, run: bin/rates, url: "http://localhost:9000" }
            """, "M014 3:46"),
        BrokenFile(
            "values without units, words that are none",
            """
            mesh: shop
            same_tier: maybe
            defaults:
              timeout: 800
              retry: { attempts: 9, budget: 20 }
              breaker: of
              balance: p3c
            services:
              crm: { tier: enterprise, run: bin/crm, replicas: many, ready: /healthz, restart: sometimes }
            """, "M013 2:12", "M013 4:12", "M013 5:22", "M013 5:33", "M013 6:12", "M013 7:12", "M013 9:52", "M013 9:65", "M013 9:84"),
        BrokenFile(
            "values of the wrong kind",
            """
            mesh: [shop]
            tiers: edge
            defaults: 800ms
            gateway: { deadline: { of: 1s } }
            services: [crm]
            """, "M011 1:7", "M011 2:8", "M011 3:11", "M011 4:22", "M011 5:11"),
        BrokenFile(
            "names that can't be names",
            """
            mesh: 2nd
            gateway:
              run: bin/edge-gateway
              routes:
                get /x: crm
                orders: crm
                /a/b*: crm
                /crm/**: crm
            services:
              "c.r.m": { tier: enterprise, run: bin/crm }
              gateway: { tier: domain, run: bin/x }
              crm: { tier: enterprise, run: bin/crm, env: { "MY VAR": 1 } }
            """, "M013 1:7", "M015 5:5", "M015 6:5", "M015 7:5", "M015 10:3", "M024 10:3", "M015 11:3", "M024 11:3", "M015 12:49"),
        BrokenFile(
            "variables without a value",
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              listen: ${GATEWAY_PORT}
              deadline: ${1X}
              health: /${ONE}${TWO:-two}
            """, "M005 4:11", "M005 5:13", "M005 6:11"),
        BrokenFile(
            "calls and routes to nobody",
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes:
                /orders/**: order
                /crm/**: { to: { crm: 50, crn: 50 } }
            services:
              orders: { tier: domain, run: bin/orders, calls: { crmm: {} } }
              crm: { tier: enterprise, run: bin/crm }
            """, "M020 5:17", "M020 6:31", "M024 8:3", "M020 8:53"),
        BrokenFile(
            "a call to the left, a call within a tier, an unknown tier",
            """
            mesh: shop
            services:
              orders: { tier: domain, run: bin/orders, calls: { catalog: {} } }
              catalog: { tier: domain, run: bin/catalog }
              crm: { tier: enterprise, run: bin/crm, calls: [catalog] }
              tax: { tier: enterprize, run: bin/tax }
            """, "M022 3:53", "M022 5:50", "M021 6:16"),
        BrokenFile(
            "calls in a circle",
            """
            mesh: shop
            same_tier: true
            services:
              a: { tier: domain, run: bin/a, calls: { b: {} } }
              b: { tier: domain, run: bin/b, calls: { c: {} } }
              c: { tier: domain, run: bin/c, calls: { a: {}, c: {} } }
            """, "M023 6:43", "M023 6:50"),
        BrokenFile(
            "what nothing leads to",
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              health: /up
              routes:
                /crm/**: crm
                /up: crm
                /a/../b: crm
            services:
              crm: { tier: enterprise, run: bin/crm }
              reports: { tier: enterprise, run: bin/reports }
            """, "M025 7:5", "M025 8:5", "M024 11:3"),
        BrokenFile(
            "one route twice in a list",
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes:
                - { match: { path: /a, method: [GET, PUT] }, to: crm }
                - { match: { path: /a, method: PUT }, to: crm }
            services:
              crm: { tier: enterprise, run: bin/crm }
            """, "M025 6:7"),
        BrokenFile(
            "a rewrite by what the pattern does not stand for",
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes:
                /a: { to: crm, rewrite: /b/** }
            services:
              crm: { tier: enterprise, run: bin/crm }
            """, "M026 5:29"),
        BrokenFile(
            "an attempt as long as the call",
            """
            mesh: shop
            services:
              orders:
                tier: domain
                run: bin/orders
                calls:
                  crm: { timeout: 200ms, attempt_timeout: 200ms }
              crm: { tier: enterprise, run: bin/crm }
            """, "M030 7:47"),
        BrokenFile(
            "a child that may wait longer than its parent",
            """
            mesh: shop
            defaults: { timeout: 800ms }
            gateway:
              run: bin/edge-gateway
              deadline: 1s
              routes:
                /catalog/**: { to: catalog, timeout: 300ms }
            services:
              catalog:
                tier: domain
                run: bin/catalog
                calls: { inventory: {} }
              inventory: { tier: enterprise, run: bin/inventory }
            """, "M031 12:14"),
        BrokenFile(
            "routes that may last longer than the deadline",
            """
            mesh: shop
            defaults: { timeout: 2s }
            gateway:
              run: bin/edge-gateway
              deadline: 1s
              routes:
                /a: crm
                /b: { to: crm, timeout: 3s }
                /c: { to: crm, timeout: 3s, deadline: none }
            services:
              crm: { tier: enterprise, run: bin/crm }
            """, "M031 2:22", "M031 8:29"),
        BrokenFile(
            "retries that multiply",
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              retry_credit: off
              routes:
                /orders/**: orders
            services:
              orders:
                tier: domain
                run: bin/orders
                calls:
                  inventory: { retry: { attempts: 3 } }
                  crm: { retry: never }
              inventory: { tier: enterprise, run: bin/inventory }
              crm: { tier: enterprise, run: bin/crm }
            """, "M032 12:7"),
        BrokenFile(
            "attempts that don't fit",
            """
            mesh: shop
            services:
              orders:
                tier: domain
                run: bin/orders
                calls:
                  crm: { timeout: 300ms, attempt_timeout: 150ms, retry: { attempts: 3 } }
              crm: { tier: enterprise, run: bin/crm }
            """, "M033 7:47"),
        BrokenFile(
            "a POST that is repeated",
            """
            mesh: shop
            defaults: { retry: { methods: [GET, POST] } }
            gateway:
              run: bin/edge-gateway
              routes:
                POST /crm: crm
                PUT /crm: crm
                POST /safe: { to: crm, idempotent: true }
            services:
              crm: { tier: enterprise, run: bin/crm }
            """, "M034 6:5"),
        BrokenFile(
            "an ejection of none",
            """
            mesh: shop
            services:
              orders:
                tier: domain
                run: bin/orders
                calls:
                  inventory: { eject: { max: 20% } }
              inventory: { tier: enterprise, run: bin/inventory, replicas: 3 }
            """, "M035 7:34"),
        BrokenFile(
            "two on one port",
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              listen: [8080, "[::1]:9090", 127.0.0.1:8080]
            metrics: { listen: 127.0.0.1:8080 }
            services:
              rates: { tier: enterprise, url: "http://localhost:9000" }
              taxes: { tier: enterprise, url: "http://localhost:9000/" }
            """, "M040 4:32", "M040 5:20", "M040 8:35"),
        BrokenFile(
            "weights of 110 and of 90",
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes:
                /crm/**: { to: { crm: 60, catalog: 30 } }
            services:
              crm: { tier: enterprise, run: bin/crm }
              catalog:
                tier: domain
                versions:
                  v1: { run: bin/catalog, weight: 90 }
                  v2: { run: bin/catalog, weight: 20 }
            """, "M042 5:16", "M042 10:5"),
        BrokenFile(
            "more ready replicas than there are",
            """
            mesh: shop
            services:
              crm: { tier: enterprise, run: bin/crm, replicas: 3, min_available: 60% }
              ledger: { tier: enterprise, run: bin/ledger, replicas: 1, min_available: 2 }
              catalog:
                tier: domain
                versions: { v1: { run: bin/catalog, replicas: 2 }, v2: { run: bin/catalog2, replicas: 4 } }
                min_available: 5
            """, "M047 8:20"),
        BrokenFile(
            "secrets in the file",
            """
            mesh: shop
            services:
              crm:
                tier: enterprise
                run: bin/crm --password=hunter2
                env:
                  DB_PASSWORD: hunter2
                  DB_PASSWORD_FILE: /run/secrets/db
                  API_TOKEN: ${API_TOKEN:-none}
              rates: { tier: enterprise, url: "http://me:hunter2@localhost:9000" }
            """, "M043 5:10", "M043 7:20", "M043 10:35"),
        BrokenFile(
            "keys without effect",
            """
            mesh: shop
            registry: "etcd://10.0.0.1:2379"
            services:
              crm:
                tier: enterprise
                run: bin/crm
                sidecar: process
                on: [host-a]
            """, "M044 2:1", "M044 7:5", "M044 8:5"),
        BrokenFile(
            "a profile that isn't there", "mesh: shop\nprofiles: { dev: {}, prod: {} }\n", "M007 2:1", profile: "prd"),
        BrokenFile("an included file that isn't there", "mesh: shop\ninclude: [more.yaml]\n", "M003 2:11"),
        BrokenFile(
            "a profile that breaks the file",
            """
            mesh: shop
            services:
              crm: { tier: enterprise, run: bin/crm }
            profiles:
              dev: { services: { crm: { url: "http://localhost:1" }, new: {} } }
            """, "M014 5:29", "M010 5:58", "M010 5:58", profile: "dev"),
        BrokenFile("nested too deep", "mesh: " + String(repeating: "[", count: 80) + String(repeating: "]", count: 80) + "\n", "M006 1:71"),
    ]
}
