import MeshExchange
import Testing

@Suite("A router")
struct RouterTests {
    private func router(_ routes: [String]) throws -> Router {
        Router(
            try routes.map { route in
                let words = route.split(separator: " ")
                return Router.Entry(method: words.count == 2 ? String(words[0]) : nil, pattern: try RoutePattern(String(words.last!)))
            })
    }

    private func match(_ router: Router, _ method: String, _ path: String) -> Int? {
        Array(method.utf8).withUnsafeBytes { method in
            Array(path.utf8).withUnsafeBytes { router.match(RouteSubject(method: method, path: $0)) }
        }
    }

    @Test(
        "matches what a pattern says, and nothing else",
        arguments: [
            ("/orders", "/orders", true), ("/orders", "/orders/", false), ("/orders", "/order", false), ("/orders", "/orders/1", false),
            ("/orders/**", "/orders", true), ("/orders/**", "/orders/", true), ("/orders/**", "/orders/1/items", true),
            ("/orders/**", "/ordersx", false), ("/orders/**", "/", false),
            ("/**", "/", true), ("/**", "/anything/at/all", true), ("/", "/", true), ("/", "/x", false),
            ("/a/*/b", "/a/1/b", true), ("/a/*/b", "/a//b", false), ("/a/*/b", "/a/b", false), ("/a/*/b", "/a/1/2/b", false),
            ("/a/*/b/**", "/a/1/b", true), ("/a/*/b/**", "/a/1/b/c", true), ("/a/*", "/a/1", true), ("/a/*", "/a/", false),
            ("/*", "/", false), ("/*/**", "/x/y", true), ("/a/", "/a/", true), ("/a/", "/a", false),
            ("/a//b", "/a//b", true), ("/**", "no-slash", false), ("/**", "", false), ("/%2F", "/%2F", true),
        ])
    func patterns(row: (pattern: String, path: String, matches: Bool)) throws {
        #expect((match(try router([row.pattern]), "GET", row.path) != nil) == row.matches)
    }

    /// Left to right: a literal, then `*`, then `**`; of one pattern, the method's own route first.
    @Test(
        "takes the most specific route",
        arguments: [
            ("GET", "/orders/new", "/orders/new"), ("GET", "/orders/7", "/orders/*"), ("GET", "/orders/7/items", "/orders/*/items"),
            ("GET", "/orders/7/notes", "/orders/**"), ("POST", "/orders", "POST /orders"), ("GET", "/orders", "/orders/**"),
            ("GET", "/search", "GET /search"), ("POST", "/search", "/**"), ("GET", "/nothing", "/**"),
            ("GET", "/orders/new/x", "/orders/**"), ("DELETE", "/orders/new", "/orders/new"),
            ("GET", "/orders/vip/items", "/orders/vip/**"), ("GET", "/deep/a/b/c", "/deep/a/**"), ("GET", "/deep/b/b/c", "/deep/**"),
        ])
    func precedence(row: (method: String, path: String, route: String)) throws {
        let routes = [
            "/**", "/orders/**", "/orders/new", "/orders/*", "/orders/*/items", "/orders/vip/**", "POST /orders", "GET /search", "/deep/**",
            "/deep/a/**",
        ]
        for order in [routes, routes.reversed(), routes.sorted()] {
            let found = match(try router(order), row.method, row.path)
            #expect(found.map { order[$0] } == row.route, "whatever the order of the routes")
        }
    }

    @Test("goes back to a less specific pattern where a more specific one leads nowhere")
    func backtracking() throws {
        let routes = ["/a/b/c", "/a/*/d", "/*/b/e", "/**"]
        let router = try router(routes)
        #expect(match(router, "GET", "/a/b/c") == 0)
        #expect(match(router, "GET", "/a/b/d") == 1)
        #expect(match(router, "GET", "/a/b/e") == 2)
        #expect(match(router, "GET", "/a/b/f") == 3)
    }

    @Test("of two routes alike, the first one rules; of an empty table, none")
    func alike() throws {
        #expect(match(try router(["/a", "/a"]), "GET", "/a") == 0)
        #expect(match(try router(["/a", "GET /a"]), "GET", "/a") == 1)
        #expect(match(try router([]), "GET", "/") == nil)
    }

    @Test("finds each of ten thousand routes, as a search through all of them would")
    func many() throws {
        var routes: [String] = []
        for index in 0..<5_000 {
            routes += ["/service\(index % 100)/resource\(index)/**", "/service\(index % 100)/resource\(index)/*/items"]
        }
        let router = try router(routes)
        for index in stride(from: 0, to: 5_000, by: 37) {
            #expect(match(router, "GET", "/service\(index % 100)/resource\(index)/x") == 2 * index)
            #expect(match(router, "GET", "/service\(index % 100)/resource\(index)/x/items") == 2 * index + 1)
            #expect(match(router, "GET", "/service\((index + 1) % 100)/resource\(index)/x") == nil)
        }
    }

    @Test("refuses a pattern that means nothing", arguments: ["", "orders", "/a/**/b", "/a*", "/**x", "/a/***"])
    func invalid(pattern: String) { #expect(throws: RoutePattern.Invalid.self) { try RoutePattern(pattern) } }
}

@Suite("A rewrite")
struct PathRewriteTests {
    @Test(
        "replaces a path, or a prefix of it",
        arguments: [
            ("/search", "/catalog/search", "/search", "/catalog/search"), ("/old/**", "/new", "/old/x/y", "/new/x/y"),
            ("/old/**", "/new/**", "/old/x/y", "/new/x/y"), ("/old/**", "/new", "/old", "/new"), ("/old/**", "/new", "/old/", "/new/"),
            ("/old/**", "/", "/old/x", "/x"), ("/old/**", "/", "/old", "/"), ("/**", "/v2", "/", "/v2/"), ("/**", "/v2", "/a", "/v2/a"),
            ("/a/*/b", "/x/*", "/a/7/b", "/x/7"), ("/a/*/**", "/v2/*/z", "/a/7/q", "/v2/7/z/q"), ("/a/*/*", "/*/b/*", "/a/1/2", "/1/b/2"),
        ])
    func rewrites(row: (pattern: String, rewrite: String, path: String, result: String)) throws {
        let rewrite = try PathRewrite(row.rewrite, for: RoutePattern(row.pattern))
        var result: [UInt8] = []
        Array(row.path.utf8).withUnsafeBytes { path in rewrite.rewrite(path) { result.append(contentsOf: $0) } }
        #expect(String(decoding: result, as: UTF8.self) == row.result)
    }

    @Test("refuses what it could not fill in", arguments: [("/a", "/b/**"), ("/a", "/*"), ("/a/*", "/*/*"), ("/a", "b")])
    func invalid(row: (pattern: String, rewrite: String)) {
        #expect(throws: RoutePattern.Invalid.self) { try PathRewrite(row.rewrite, for: RoutePattern(row.pattern)) }
    }
}
