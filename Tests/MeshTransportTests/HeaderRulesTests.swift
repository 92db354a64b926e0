import MeshExchange
import MeshModel
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct HeaderRulesTests {
    /// The head that the upstream sees for a request with `fields`.
    private func forwarded(
        _ fields: String, _ options: MeshUnderTest.Options = MeshUnderTest.Options(), target: String = "/", version: String = "1.1"
    ) async throws -> String {
        let seen = Guarded("")
        let upstream = try ScriptedUpstream.answering { head in
            seen.withLock { $0 = head }
            return
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: 5\r\nmesh-retry: yes\r\nmesh-secret: 1\r\n\r\n"
        }
        return try await MeshUnderTest.run([upstream.address], options) { mesh in
            let answer = try mesh.request("GET \(target) HTTP/\(version)\r\nhost: Shop.Example:8080\r\n\(fields)\r\n")
            #expect(field("x-hop", answer.head) == nil)
            #expect(field("keep-alive", answer.head) == nil)
            if case .gateway = options.mode {
                #expect(field("mesh-retry", answer.head) == nil)
                #expect(field("mesh-secret", answer.head) == nil)
            }
            return seen.withLock { $0 }
        }
    }

    @Test func hopByHopFieldsEndHere() async throws {
        let head = try await forwarded(
            "connection: x-mine, keep-alive\r\nx-mine: 1\r\nkeep-alive: 5\r\nte: gzip\r\nupgrade: h2c\r\nx-kept: 1\r\n")
        for name in ["connection", "x-mine", "keep-alive", "te", "upgrade"] { #expect(field(name, head) == nil, "\(name)") }
        #expect(field("x-kept", head) == "1")
        #expect(field("via", head) == "1.1 front")
    }

    @Test func theEdgeSaysWhoAskedAndBelievesNobody() async throws {
        let head = try await forwarded(
            "x-forwarded-for: 1.2.3.4\r\nx-forwarded-proto: https\r\nx-forwarded-host: evil\r\nforwarded: for=1.2.3.4\r\nmesh-timeout-ms: 1\r\nmesh-caller: evil\r\nmesh-other: 1\r\n"
        )
        #expect(field("x-forwarded-for", head) == "127.0.0.1")
        #expect(field("x-forwarded-proto", head) == "http")
        #expect(field("x-forwarded-host", head) == "Shop.Example:8080")
        #expect(field("forwarded", head) == "for=127.0.0.1;host=\"Shop.Example:8080\";proto=http")
        #expect(field("mesh-caller", head) == "front")
        #expect(field("mesh-other", head) == nil)
        #expect(head.lowercased().components(of: "x-forwarded-for:") == 1)
        let left = try #require(field("mesh-timeout-ms", head).flatMap { text in Int(text) })
        #expect((100...60_000).contains(left))
        #expect(field("host", head) == "shop.example:8080")
    }

    @Test func aTrustedProxyIsBelieved() async throws {
        var options = MeshUnderTest.Options()
        options.change = { $0.trustedProxies = ["10.0.0.0/8", "127.0.0.0/8"] }
        let head = try await forwarded("x-forwarded-for: 1.2.3.4\r\nx-forwarded-proto: https\r\nx-forwarded-host: shop\r\n", options)
        #expect(head.contains("x-forwarded-for: 1.2.3.4\r\n") && head.contains("x-forwarded-for: 127.0.0.1\r\n"))
        #expect(field("x-forwarded-proto", head) == "https")
        #expect(field("x-forwarded-host", head) == "shop")
    }

    @Test func aStrangersTraceIsLinkedAndNotContinued() async throws {
        let context = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"
        let fresh = try #require(field("traceparent", try await forwarded("traceparent: \(context)\r\ntracestate: a=1\r\n")))
        #expect(!fresh.contains("0123456789abcdef0123456789abcdef"))
        #expect(fresh.hasSuffix("-03"))
        var options = MeshUnderTest.Options()
        options.change = { $0.traceContextContinues = true }
        let head = try await forwarded("traceparent: \(context)\r\ntracestate: a=1\r\n", options)
        let continued = try #require(field("traceparent", head))
        #expect(continued.contains("0123456789abcdef0123456789abcdef"))
        // The parent is this process's own span, and recording is not the stranger's to switch off.
        #expect(!continued.contains("-0123456789abcdef-") && continued.hasSuffix("-01"))
        #expect(field("tracestate", head) == "a=1")
    }

    @Test func aRequestIDIsMadeWhereNoneIsUsable() async throws {
        #expect(field("x-request-id", try await forwarded(""))?.count == 32)
        #expect(field("x-request-id", try await forwarded("x-request-id: mine-7\r\n")) == "mine-7")
        #expect(field("x-request-id", try await forwarded("x-request-id: a b\r\n"))?.count == 32)
    }

    @Test func anOutsideServiceSeesNothingOfTheMesh() async throws {
        var options = MeshUnderTest.Options()
        options.isExternal = true
        options.change = { $0.destinations[0].endpoints[0].basePath = "/v1/" }
        let head = try await forwarded("baggage: user=7\r\nmesh-criticality: critical\r\n", options, target: "/rates?x=1")
        #expect(head.hasPrefix("GET /v1/rates?x=1 HTTP/1.1\r\n"))
        #expect(field("host", head) == "outside.example")
        #expect(!head.contains("\r\nmesh-"))
        #expect(field("baggage", head) == nil)
        #expect(field("traceparent", head) != nil)
        #expect(head.lowercased().components(of: "\r\nhost:") == 1)
    }

    @Test func insideTheMeshTheFieldsOfTheMeshAreBelieved() async throws {
        var options = MeshUnderTest.Options()
        options.mode = .forward(to: "backend")
        let context = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
        let head = try await forwarded(
            "traceparent: \(context)\r\ntracestate: a=1\r\nmesh-timeout-ms: 20000\r\nmesh-caller: orders\r\nmesh-criticality: critical\r\nx-forwarded-for: 1.2.3.4\r\n",
            options)
        #expect(field("traceparent", head)?.contains("0123456789abcdef0123456789abcdef") == true)
        #expect(field("tracestate", head) == "a=1")
        #expect(field("mesh-caller", head) == "front")
        #expect(field("mesh-criticality", head) == "critical")
        #expect(field("x-forwarded-for", head) == "1.2.3.4")
        #expect(field("host", head) == "Shop.Example:8080")
        let left = try #require(field("mesh-timeout-ms", head).flatMap { text in Int(text) })
        #expect((1...20000).contains(left))
    }

    @Test(arguments: [
        ("/a/./b/../c", "/a/c"), ("/%61%2Fb?q=%2e", "/a%2Fb?q=%2e"), ("//a//b", "/a/b"), ("http://other.example/x?y", "/x?y"),
    ])
    func theUpstreamSeesTheNormalFormOfThePath(_ target: String, _ expected: String) async throws {
        let head = try await forwarded("", target: target)
        #expect(head.hasPrefix("GET \(expected) HTTP/1.1\r\n"))
        if target.hasPrefix("http") { #expect(field("host", head) == "other.example") }
    }

    @Test func routesChooseAndRewrite() async throws {
        var options = MeshUnderTest.Options()
        options.routes = [
            RouteConfiguration(pattern: "/orders/**", target: "backend", rewrite: "/v2"),
            RouteConfiguration(method: "GET", pattern: "/search", target: "backend", rewrite: "/catalog/search"),
        ]
        #expect(try await forwarded("", options, target: "/orders/7?a=1").hasPrefix("GET /v2/7?a=1 HTTP/1.1\r\n"))
        #expect(try await forwarded("", options, target: "/search?q=x").hasPrefix("GET /catalog/search?q=x HTTP/1.1\r\n"))
        try await MeshUnderTest.run([], options) { mesh in
            let answer = try mesh.get("/elsewhere")
            #expect(status(answer.head) == 404)
            #expect(field("proxy-status", answer.head)?.contains("flag=NR") == true)
        }
    }

    @Test func theHealthPathIsAnsweredHere() async throws {
        try await MeshUnderTest.run([]) { mesh in
            let answer = try mesh.get("/-/healthy")
            #expect(status(answer.head) == 200)
            #expect(answer.body == Array("ok\n".utf8))
        }
    }
}

extension String {
    func components(of part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: part) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
