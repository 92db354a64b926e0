import MeshExchange
import MeshModel
import MeshPolicy
import MeshTelemetry
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct RouteFilterTests {
    /// Runs `body` in front of an upstream that answers with the head that it saw.
    private func mesh<Result: Sendable>(
        _ change: @escaping @Sendable (inout RouteConfiguration) -> Void, answer: String = "x-up: 1\r\n",
        _ body: @escaping @Sendable (MeshUnderTest, @Sendable () -> String) throws -> Result
    ) async throws -> Result {
        let seen = Guarded("")
        let upstream = try ScriptedUpstream.answering { head in
            seen.withLock { $0 = head }
            return "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\(answer)\r\nok"
        }
        var route = RouteConfiguration(pattern: "/**", target: "backend")
        change(&route)
        var options = MeshUnderTest.Options()
        options.routes = [route]
        return try await MeshUnderTest.run([upstream.address], options) { mesh in try body(mesh) { seen.withLock { $0 } } }
    }

    @Test func fieldsOfARequestAreSetAddedAndRemoved() async throws {
        try await mesh {
            $0.requestHeaders = HeaderEditsConfiguration(
                set: [NameAndValue("X-Set", "new")], add: [NameAndValue("x-add", "2")], remove: ["X-Gone"])
        } _: { mesh, seen in
            _ = try mesh.get("/", fields: "x-set: old\r\nX-SET: older\r\nx-add: 1\r\nx-gone: 1\r\nx-kept: 1\r\n")
            let head = seen().lowercased()
            #expect(head.components(of: "x-set:") == 1 && field("x-set", head) == "new")
            #expect(head.contains("x-add: 1\r\n") && head.contains("x-add: 2\r\n"))
            #expect(field("x-gone", head) == nil && field("x-kept", head) == "1")
        }
    }

    @Test func fieldsOfAResponseAreSetAddedAndRemovedWhoeverAnswers() async throws {
        try await mesh(
            {
                $0.responseHeaders = HeaderEditsConfiguration(set: [NameAndValue("x-set", "new")], remove: ["server"])
                $0.rateLimit = RateLimitConfiguration(requests: 1, window: .seconds(3600))
            }, answer: "server: nginx\r\nX-Set: old\r\n"
        ) { mesh, _ in
            let head = try mesh.get("/").head
            #expect(field("server", head) == nil && field("x-set", head) == "new")
            #expect(head.lowercased().components(of: "x-set:") == 1)
            let refused = try mesh.get("/").head
            #expect(status(refused) == 429 && field("x-set", refused) == "new")
        }
    }

    @Test func aRewriteKeepsTheQuery() async throws {
        try await mesh {
            $0.pattern = "/old/**"
            $0.rewrite = "/new/**"
        } _: { mesh, seen in
            _ = try mesh.get("/old/a/b?c=1")
            #expect(seen().hasPrefix("GET /new/a/b?c=1 HTTP/1.1\r\n"))
        }
    }

    @Test func aRedirectIsAnsweredHere() async throws {
        try await mesh {
            $0.pattern = "/old/**"
            $0.targets = []
            $0.answer = .redirect(location: "https://new.example.com/**", status: 301)
        } _: { mesh, seen in
            let answer = try mesh.get("/old/a/b?c=1")
            #expect(status(answer.head) == 301)
            #expect(field("location", answer.head) == "https://new.example.com/a/b?c=1")
            #expect(field("content-length", answer.head) == "0" && field("mesh-trace", answer.head)?.count == 32)
            #expect(seen() == "")
            #expect(try status(mesh.get("/other").head) == 404)
        }
    }

    @Test func aRouteMayAnswerItself() async throws {
        try await mesh {
            $0.targets = []
            $0.answer = .respond(status: 503, body: "closed for stocktaking\n")
            $0.responseHeaders = HeaderEditsConfiguration(set: [NameAndValue("retry-after", "60")])
        } _: { mesh, _ in
            let answer = try mesh.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            #expect(status(answer.head) == 503 && String(decoding: answer.body, as: UTF8.self) == "closed for stocktaking\n")
            #expect(field("content-type", answer.head) == "text/plain; charset=utf-8" && field("retry-after", answer.head) == "60")
            #expect(field("proxy-status", answer.head) == nil)
            let head = try mesh.request("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", isHead: true).head
            #expect(field("content-length", head) == "23")
        }
    }

    @Test func aRateLimitIsKeptForEachClientKey() async throws {
        try await mesh {
            $0.rateLimit = RateLimitConfiguration(requests: 2, window: .seconds(3600), key: .field("x-key"))
        } _: { mesh, _ in
            for key in ["one", "two"] {
                for left in [1, 0] {
                    let head = try mesh.get("/", fields: "X-Key: \(key)\r\n").head
                    #expect(status(head) == 200)
                    #expect(field("ratelimit-policy", head) == "\"route\";q=2;w=3600")
                    #expect(field("ratelimit", head)?.hasPrefix("\"route\";r=\(left);t=") == true)
                }
                let answer = try mesh.get("/", fields: "X-Key: \(key)\r\n")
                #expect(status(answer.head) == 429)
                let wait = try #require(field("retry-after", answer.head).flatMap { text in Int(text) })
                #expect((1790...1800).contains(wait))
                #expect(field("proxy-status", answer.head)?.contains("flag=RL") == true)
                #expect(field("content-type", answer.head) == "application/problem+json")
                #expect(String(decoding: answer.body, as: UTF8.self).contains("\"flag\":\"RL\""))
            }
            #expect(try status(mesh.get("/").head) == 200)
        }
    }

    @Test func aRateLimitPerClientCountsTheAddress() async throws {
        try await mesh {
            $0.rateLimit = RateLimitConfiguration(requests: 1, window: .seconds(3600), key: .client)
        } _: { mesh, _ in
            let first = try mesh.get("/", fields: "x-forwarded-for: 1.1.1.1\r\n").head
            // Nobody gets a new bucket by what he says of himself.
            let second = try mesh.get("/", fields: "x-forwarded-for: 2.2.2.2\r\n").head
            #expect(status(first) == 200 && status(second) == 429)
        }
    }

    // MARK: Cross-origin requests (Fetch, "CORS protocol")

    @Test func aPreflightIsAnsweredHereAndCountsAgainstNoLimit() async throws {
        try await mesh {
            $0.method = "PUT"
            $0.cors = CrossOriginConfiguration(
                origins: ["https://shop.example", "https://*.shop.example"], methods: ["GET", "PUT"], headers: ["x-a", "x-b"],
                credentials: true, maxAge: .seconds(600))
            $0.rateLimit = RateLimitConfiguration(requests: 1, window: .seconds(3600))
        } _: { mesh, seen in
            for origin in ["https://shop.example", "https://eu.shop.example", "HTTPS://SHOP.example"] {
                let head = try mesh.request(
                    "OPTIONS /x HTTP/1.1\r\nhost: a\r\norigin: \(origin)\r\naccess-control-request-method: PUT\r\n\r\n", isHead: true
                ).head
                #expect(status(head) == 204)
                #expect(field("access-control-allow-origin", head) == origin)
                #expect(field("access-control-allow-methods", head) == "GET, PUT")
                #expect(field("access-control-allow-headers", head) == "x-a, x-b")
                #expect(field("access-control-max-age", head) == "600")
                #expect(field("access-control-allow-credentials", head) == "true")
                #expect(field("vary", head)?.contains("origin") == true)
                #expect(field("content-length", head) == nil)
            }
            for origin in ["https://evil.example", "http://shop.example", "https://shop.example.evil", "https://evilshop.example", "null"] {
                let head = try mesh.request(
                    "OPTIONS /x HTTP/1.1\r\nhost: a\r\norigin: \(origin)\r\naccess-control-request-method: PUT\r\n\r\n", isHead: true
                ).head
                #expect(status(head) == 204 && field("access-control-allow-origin", head) == nil, "\(origin)")
            }
            #expect(seen() == "")
            // An OPTIONS that is no preflight is a request like any other.
            #expect(try status(mesh.request("OPTIONS /x HTTP/1.1\r\nhost: a\r\n\r\n").head) == 404)
        }
    }

    @Test func otherAnswersSayWhichOriginMayReadThem() async throws {
        try await mesh(
            { $0.cors = CrossOriginConfiguration(origins: ["https://shop.example"], expose: ["x-up"]) },
            answer: "access-control-allow-origin: *\r\nx-up: 1\r\n"
        ) { mesh, _ in
            let head = try mesh.get("/", fields: "origin: https://shop.example\r\n").head
            #expect(head.lowercased().components(of: "access-control-allow-origin:") == 1)
            #expect(field("access-control-allow-origin", head) == "https://shop.example")
            #expect(field("access-control-expose-headers", head) == "x-up")
            #expect(field("vary", head) == "origin")
            let other = try mesh.get("/", fields: "origin: https://evil.example\r\n").head
            #expect(status(other) == 200 && field("access-control-allow-origin", other) == nil && field("vary", other) == "origin")
        }
    }

    @Test func anyOriginNeedsNoVary() async throws {
        try await mesh {
            $0.cors = CrossOriginConfiguration(origins: ["*"])
        } _: { mesh, _ in
            let head = try mesh.get("/", fields: "origin: https://a\r\n").head
            #expect(field("access-control-allow-origin", head) == "*" && field("vary", head) == nil)
        }
    }

    // MARK: Criticality

    @Test func criticalityGoesDownAndIsNotBelievedFromOutside() async throws {
        try await mesh {
            $0.criticality = .critical
        } _: { mesh, seen in
            _ = try mesh.get("/", fields: "mesh-criticality: sheddable\r\n")
            #expect(field("mesh-criticality", seen()) == "critical")
            #expect(seen().lowercased().components(of: "mesh-criticality:") == 1)
        }
    }

    // MARK: Sticky

    /// A gateway in front of two versions that say who they are.
    private func versions<Result: Sendable>(
        sticky: RequestKey, _ body: @escaping @Sendable (MeshUnderTest) throws -> Result
    ) async throws -> Result {
        let upstreams = try (0..<4).map { number in
            try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nx-who: \(number)\r\n\r\n." }
        }
        var options = MeshUnderTest.Options()
        var route = RouteConfiguration(pattern: "/**", target: "backend")
        route.sticky = sticky
        options.routes = [route]
        options.change = { configuration in
            configuration.destinations[0].versions = [VersionWeight(name: "v1", weight: 50), VersionWeight(name: "v2", weight: 50)]
            for index in configuration.destinations[0].endpoints.indices {
                configuration.destinations[0].endpoints[index].version = index < 2 ? "v1" : "v2"
            }
        }
        return try await MeshUnderTest.run(upstreams.map(\.address), options, body)
    }

    @Test func aHeaderKeepsAClientAtOneInstance() async throws {
        try await versions(sticky: .field("x-user")) { mesh in
            var seen: Set<String> = []
            for user in 0..<24 {
                let who = try field("x-who", mesh.get("/", fields: "x-user: \(user)\r\n").head)
                for _ in 0..<4 { #expect(try field("x-who", mesh.get("/", fields: "x-user: \(user)\r\n").head) == who) }
                seen.insert(who ?? "")
            }
            #expect(seen == ["0", "1", "2", "3"])
        }
    }

    @Test func aClientWithoutTheCookieGetsOneAndStaysWhereItWas() async throws {
        try await versions(sticky: .cookie("shop")) { mesh in
            for _ in 0..<8 {
                let first = try mesh.get("/", fields: "cookie: other=1\r\n").head
                let cookie = try #require(field("set-cookie", first)?.split(separator: ";").first)
                #expect(cookie.hasPrefix("shop="))
                for _ in 0..<4 {
                    let next = try mesh.get("/", fields: "cookie: other=1; \(cookie)\r\n").head
                    #expect(field("x-who", next) == field("x-who", first) && field("set-cookie", next) == nil)
                }
            }
        }
    }

    // MARK: Mirror

    /// A gateway whose route copies every request to a second service.
    private func mirrored<Result: Sendable>(
        to copy: MeshModel.SocketAddress, telemetry: TelemetryPipeline? = nil, share: Double = 1,
        _ body: @escaping @Sendable (MeshUnderTest) throws -> Result
    ) async throws -> Result {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        var route = RouteConfiguration(pattern: "/**", target: "backend")
        route.mirror = MirrorConfiguration(service: "copy", share: share)
        options.routes = [route]
        options.telemetry = telemetry
        options.change = { configuration in
            var random = RandomSource(seed: 9)
            configuration.destinations.append(
                DestinationConfiguration(
                    service: "copy", tier: "enterprise", policy: CallPolicy(timeout: Patience.call),
                    endpoints: [Endpoint(instance: .random(&random), addresses: [copy])]))
        }
        return try await MeshUnderTest.run([upstream.address], options, body)
    }

    @Test func aCopyHasTheWholeRequestAndSaysWhatItIs() async throws {
        let seen = Guarded<[(head: String, body: String)]>([])
        let copy = try ScriptedUpstream { socket, _ in
            while true {
                let message = try socket.receiveMessage()
                seen.withLock { $0.append((message.head, String(decoding: message.body, as: UTF8.self))) }
                try socket.send("HTTP/1.1 500 Oops\r\ncontent-length: 3\r\n\r\nbad")
            }
        }
        try await mirrored(to: copy.address) { mesh in
            for number in 0..<3 {
                let answer = try mesh.request("POST /a?b=1 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nx-n: \(number)\r\n\r\nhello")
                #expect(status(answer.head) == 200 && String(decoding: answer.body, as: UTF8.self) == "hello")
            }
            #expect(eventually { seen.withLock { $0.count } == 3 })
            for copy in seen.withLock({ $0 }) {
                #expect(copy.head.hasPrefix("POST /a?b=1 HTTP/1.1\r\n") && copy.body == "hello")
                #expect(field("mesh-mirror", copy.head) == "1" && field("traceparent", copy.head) != nil)
            }
        }
    }

    @Test func aCopyThatFailsOrHangsHoldsUpNobody() async throws {
        try await mirrored(to: RefusingPort().address) { mesh in
            let statuses = try (0..<5).map { _ in status(try mesh.get("/").head) }
            #expect(statuses.allSatisfy { $0 == 200 })
        }
        let silent = try ScriptedUpstream { socket, _ in while !(try socket.receive()).isEmpty {} }
        try await mirrored(to: silent.address) { mesh in
            // More than any buffer on the way to somebody who does not answer takes.
            let body = String(repeating: "x", count: 4 << 20)
            let answer = try mesh.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(status(answer.head) == 200 && answer.body.count == body.utf8.count)
        }
    }

    @Test func aShareOfTheRequestsIsCopied() async throws {
        let count = Atomic<Int>(0)
        let copy = try ScriptedUpstream.answering { _ in
            count.wrappingAdd(1, ordering: .relaxed)
            return "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        }
        try await mirrored(to: copy.address, share: 0.5) { mesh in
            let socket = try mesh.connect()
            for _ in 0..<200 {
                try socket.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                _ = try socket.receiveMessage()
            }
            #expect(eventually { count.load(ordering: .relaxed) > 60 })
        }
        #expect((60...140).contains(count.load(ordering: .relaxed)))
    }

    // MARK: max_duration

    @Test func aResponseThatGoesOnForTooLongIsBrokenOff() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
            _ = socket.sawEnd()
        }
        var route = RouteConfiguration(pattern: "/**", target: "backend")
        route.maxDuration = .milliseconds(200)
        var options = MeshUnderTest.Options()
        options.routes = [route]
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let socket = try mesh.connect()
            try socket.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(try status(socket.receive(until: "\r\n\r\n")) == 200)
            let rest = socket.receiveToEnd().map { String(decoding: $0, as: UTF8.self) } ?? ""
            #expect(!rest.contains("0\r\n\r\n"), "it must not look complete")
        }
    }
}
