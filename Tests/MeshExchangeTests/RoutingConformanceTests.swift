import MeshExchange
import Testing

/// Cases of the Gateway API's conformance tests for HTTP routes, by their names there: which of several routes a request takes.
@Suite("Routes match as the Gateway API's conformance tests say")
struct RoutingConformanceTests {
    struct Rule: Sendable {
        var pattern = "/**"
        var method: String?
        var host: String?
        var fields: [String: String] = [:]
        var query: [String: String] = [:]
        var backend: String
    }

    struct Case: Sendable {
        var name: String
        var rules: [Rule]
        var requests: [Request]
    }

    struct Request: Sendable {
        var method = "GET"
        var host = "example.com"
        var target: String
        var fields: [String: String] = [:]
        /// nil for 404.
        var backend: String?

        init(_ target: String, _ backend: String?, method: String = "GET", host: String = "example.com", _ fields: [String: String] = [:]) {
            self.target = target
            self.backend = backend
            self.method = method
            self.host = host
            self.fields = fields
        }
    }

    static let cases: [Case] = [
        Case(
            name: "HTTPExactPathMatching",
            rules: [Rule(pattern: "/one", backend: "v1"), Rule(pattern: "/two", backend: "v2")],
            requests: [
                Request("/one", "v1"), Request("/two", "v2"), Request("/", nil), Request("/one/example", nil), Request("/two/", nil),
                Request("/Two", nil),
            ]),
        Case(
            name: "HTTPRouteMatching",
            rules: [
                Rule(backend: "v1"), Rule(fields: ["version": "one"], backend: "v1"), Rule(pattern: "/v2/**", backend: "v2"),
                Rule(fields: ["version": "two"], backend: "v2"),
            ],
            requests: [
                Request("/", "v1"), Request("/example", "v1"), Request("/", "v1", ["Version": "one"]), Request("/v2", "v2"),
                Request("/v2/example", "v2"), Request("/", "v2", ["Version": "two"]), Request("/v2/", "v2"), Request("/v2example", "v1"),
                Request("/foo/v2/example", "v1"),
            ]),
        Case(
            name: "HTTPRouteMatchingAcrossRoutes",
            rules: ["example.com", "example.net"].flatMap { host in
                [Rule(host: host, backend: "v1"), Rule(host: host, fields: ["version": "one"], backend: "v1")]
            } + [
                Rule(pattern: "/v2/**", host: "example.com", backend: "v2"),
                Rule(host: "example.com", fields: ["version": "two"], backend: "v2"),
            ],
            requests: [
                Request("/", "v1"), Request("/example", "v1", host: "example.net"), Request("/example", "v1", ["Version": "one"]),
                Request("/v2", "v2"), Request("/v2/example", "v2"), Request("/", "v2", ["Version": "two"]), Request("/v2/", "v2"),
                Request("/v2", "v1", host: "example.net"), Request("/v2example", "v1"), Request("/foo/v2/example", "v1"),
                Request("/", "v1", host: "example.net", ["Version": "two"]),
            ]),
        Case(
            name: "HTTPRoutePathMatchOrder",
            rules: [
                Rule(pattern: "/match/exact/one", backend: "v3"), Rule(pattern: "/match/exact", backend: "v2"),
                Rule(pattern: "/match", backend: "v1"), Rule(pattern: "/match/prefix/one/**", backend: "v2"),
                Rule(pattern: "/match/prefix/**", backend: "v1"), Rule(pattern: "/match/**", backend: "v3"),
            ],
            requests: [
                Request("/match/exact/one", "v3"), Request("/match/exact", "v2"), Request("/match", "v1"),
                Request("/match/prefix/one/any", "v2"), Request("/match/prefix/any", "v1"), Request("/match/any", "v3"),
            ]),
        Case(
            name: "HTTPRouteHeaderMatching",
            rules: [
                Rule(fields: ["version": "one"], backend: "v1"), Rule(fields: ["version": "two"], backend: "v2"),
                Rule(fields: ["version": "two", "color": "orange"], backend: "v1"), Rule(fields: ["color": "blue"], backend: "v1"),
                Rule(fields: ["color": "green"], backend: "v1"), Rule(fields: ["color": "red"], backend: "v2"),
                Rule(fields: ["color": "yellow"], backend: "v2"),
            ],
            requests: [
                Request("/", "v1", ["Version": "one"]), Request("/", "v2", ["Version": "two"]),
                Request("/", "v1", ["Version": "two", "Color": "orange"]), Request("/", "v2", ["Version": "two", "Color": "purple"]),
                Request("/", nil, ["Color": "purple"]), Request("/", nil, ["Version": "three"]), Request("/", nil),
                Request("/", "v1", ["Color": "blue"]), Request("/", "v1", ["Color": "green"]), Request("/", "v2", ["Color": "red"]),
                Request("/", "v2", ["COLOR": "yellow"]), Request("/", nil, ["Color": "Yellow"]),
            ]),
        Case(
            name: "HTTPRouteQueryParamMatching",
            rules: [
                Rule(query: ["animal": "whale"], backend: "v1"), Rule(query: ["animal": "dolphin"], backend: "v2"),
                Rule(query: ["animal": "dolphin", "color": "blue"], backend: "v3"), Rule(query: ["ANIMAL": "Whale"], backend: "v3"),
                Rule(pattern: "/path1/**", query: ["animal": "whale"], backend: "v1"),
                Rule(fields: ["version": "one"], query: ["animal": "whale"], backend: "v2"),
                Rule(pattern: "/path2/**", fields: ["version": "two"], query: ["animal": "whale"], backend: "v3"),
                Rule(pattern: "/path3/**", query: ["animal": "shark"], backend: "v1"),
                Rule(pattern: "/path4/**", fields: ["version": "three"], query: ["animal": "kraken"], backend: "v1"),
                Rule(pattern: "/path5/**", backend: "v1"), Rule(query: ["animal": "hydra"], backend: "v2"),
                Rule(fields: ["version": "four"], backend: "v3"),
            ],
            requests: [
                Request("/?animal=whale", "v1"), Request("/?animal=dolphin", "v2"), Request("/?animal=dolphin&color=blue", "v3"),
                Request("/?ANIMAL=Whale", "v3"), Request("/?animal=whale&otherparam=irrelevant", "v1"),
                Request("/?animal=dolphin&color=yellow", "v2"), Request("/?color=blue", nil), Request("/?animal=dog", nil),
                Request("/?animal=whaledolphin", nil), Request("/", nil), Request("/path1?animal=whale", "v1"),
                Request("/?animal=whale", "v2", ["version": "one"]), Request("/path2?animal=whale", "v3", ["version": "two"]),
                Request("/path3?animal=shark", "v1"), Request("/path4?animal=kraken", "v1", ["version": "three"]),
                Request("/?animal=shark", nil), Request("/path4?animal=kraken", nil), Request("/path5?animal=hydra", "v1"),
                Request("/?animal=hydra", "v3", ["version": "four"]),
            ]),
        Case(
            name: "HTTPRouteMethodMatching",
            rules: [
                Rule(method: "POST", backend: "v1"), Rule(method: "GET", backend: "v2"),
                Rule(pattern: "/path1/**", method: "GET", backend: "v1"), Rule(method: "PUT", fields: ["version": "one"], backend: "v2"),
                Rule(pattern: "/path2/**", method: "POST", fields: ["version": "two"], backend: "v3"),
                Rule(pattern: "/path3/**", method: "PATCH", backend: "v1"),
                Rule(pattern: "/path4/**", method: "DELETE", fields: ["version": "three"], backend: "v1"),
                Rule(pattern: "/path5/**", backend: "v1"), Rule(method: "PATCH", backend: "v2"),
                Rule(fields: ["version": "four"], backend: "v3"),
            ],
            requests: [
                Request("/", "v1", method: "POST"), Request("/", "v2", method: "GET"), Request("/", nil, method: "HEAD"),
                Request("/path1", "v1", method: "GET"), Request("/", "v2", method: "PUT", ["version": "one"]),
                Request("/path2", "v3", method: "POST", ["version": "two"]), Request("/path3", "v1", method: "PATCH"),
                Request("/path4", "v1", method: "DELETE", ["version": "three"]), Request("/", nil, method: "PUT"),
                Request("/path4", nil, method: "DELETE"), Request("/path5", "v1", method: "PATCH"),
                Request("/", "v2", method: "PATCH", ["version": "four"]),
            ]),
        Case(
            name: "HTTPRouteHostnameIntersection",
            rules: [
                Rule(pattern: "/s1/**", host: "very.specific.com", backend: "v1"),
                Rule(pattern: "/s2/**", host: "*.wildcard.io", backend: "v2"),
                Rule(pattern: "/s4/**", host: "*.anotherwildcard.io", backend: "v1"),
                Rule(pattern: "/all/**", host: "first.com", backend: "v2"),
                Rule(pattern: "/all/**", host: "*.first.com", backend: "v2"),
            ],
            requests: [
                Request("/s1", "v1", host: "very.specific.com"), Request("/s1", "v1", host: "VERY.Specific.com"),
                Request("/s1", nil, host: "non.matching.com"), Request("/s1", nil, host: "foo.wildcard.io"),
                Request("/non-matching-prefix", nil, host: "very.specific.com"), Request("/s2", "v2", host: "foo.wildcard.io"),
                Request("/s2", "v2", host: "bar.wildcard.io"), Request("/s2", "v2", host: "foo.bar.wildcard.io"),
                Request("/s2", nil, host: "foo.nonmatchingwildcard.io"), Request("/s2", nil, host: "wildcard.io"),
                Request("/s2", nil, host: "very.specific.com"), Request("/s4", "v1", host: "foo.bar.anotherwildcard.io"),
                Request("/s4", nil, host: "anotherwildcard.io"), Request("/s4", nil, host: "foo.wildcard.io"),
                Request("/all", "v2", host: "first.com"), Request("/all", "v2", host: "sub.first.com"),
                Request("/all", nil, host: "third.com"), Request("/all", nil, host: ""),
            ]),
        Case(
            name: "HTTPRouteListenerHostnameMatching",
            rules: [
                Rule(host: "bar.com", backend: "v1"), Rule(host: "foo.bar.com", backend: "v2"), Rule(host: "*.bar.com", backend: "v3"),
                Rule(host: "*.foo.com", backend: "v3"), Rule(host: "*.deep.bar.com", backend: "v4"),
            ],
            requests: [
                Request("/", "v1", host: "bar.com"), Request("/", "v2", host: "foo.bar.com"), Request("/", "v3", host: "baz.bar.com"),
                Request("/", "v3", host: "boo.bar.com"), Request("/", "v3", host: "multiple.prefixes.bar.com"),
                Request("/", "v3", host: "multiple.prefixes.foo.com"), Request("/", nil, host: "foo.com"),
                Request("/", nil, host: "no.matching.host"), Request("/", "v4", host: "x.deep.bar.com"),
                Request("/", "v3", host: "deep.bar.com"),
            ]),
    ]

    @Test(arguments: cases.map(\.name))
    func conformance(name: String) throws {
        let row = try #require(Self.cases.first { $0.name == name })
        // Which rule is said first must not matter, but between two that are alike.
        for rules in [row.rules, row.rules.reversed()] {
            let router = try Self.router(rules)
            for request in row.requests {
                let found = Self.match(router, request)
                #expect(found.map { rules[$0].backend } == request.backend, "\(request)")
            }
        }
    }

    @Test("ties are broken by order, and a rule that does not fit leaves the request to the next")
    func ties() throws {
        let rules = [
            Rule(fields: ["a": "1"], backend: "first"), Rule(fields: ["b": "1"], backend: "second"),
            Rule(pattern: "/x", method: "PUT", backend: "put"),
            Rule(pattern: "/x/**", query: ["q": "a b&c"], backend: "query"),
        ]
        let router = try Self.router(rules)
        #expect(Self.match(router, Request("/", nil, ["a": "1", "b": "1"])) == 0)
        #expect(Self.match(router, Request("/x", nil, ["b": "1"])) == 1)
        #expect(Self.match(router, Request("/x?q=a+b%26c", nil, ["b": "1"])) == 3)
        #expect(Self.match(router, Request("/x?z=1&q=a%20b%26c&q=2", nil)) == 3)
        #expect(Self.match(router, Request("/x?q=2&q=a+b%26c", nil)) == nil)
        #expect(Self.match(router, Request("/x?q=a+b%2", nil)) == nil)
    }

    static func router(_ rules: [Rule]) throws -> Router {
        Router(
            try rules.map { rule in
                func pairs(_ values: [String: String]) -> [NameAndValue] {
                    values.sorted { $0.key < $1.key }.map { NameAndValue($0.key, $0.value) }
                }
                return Router.Entry(
                    method: rule.method, pattern: try RoutePattern(rule.pattern),
                    conditions: RouteConditions(host: rule.host, fields: pairs(rule.fields), query: pairs(rule.query)))
            })
    }

    static func match(_ router: Router, _ request: Request) -> Int? {
        let parts = request.target.split(separator: "?", maxSplits: 1)
        let query = parts.count == 2 ? Array(parts[1].utf8) : []
        return Array(request.method.utf8).withUnsafeBytes { method in
            Array(parts[0].utf8).withUnsafeBytes { path in
                query.withUnsafeBytes { query in
                    Array(request.host.utf8).withUnsafeBytes { host in
                        router.match(RouteSubject(method: method, path: path, query: query, host: host)) { name, value in
                            request.fields.contains {
                                $0.key.lowercased() == String(decoding: name, as: UTF8.self)
                                    && $0.value == String(decoding: value, as: UTF8.self)
                            }
                        }
                    }
                }
            }
        }
    }
}
