import MeshExchange
import MeshModel
import MeshPolicy
import NIOCore
import NIOSSL
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct TLSTests {
    private let folder: CertificateFolder

    init() throws { folder = try CertificateFolder() }

    private func options(_ certificates: [CertificateFiles], redirects: Bool = false) -> MeshUnderTest.Options {
        var options = MeshUnderTest.Options()
        options.change = { $0.tls = InboundTLS(certificates: certificates, redirectsHTTP: redirects) }
        return options
    }

    private func options() throws -> MeshUnderTest.Options { try options([folder.files("one", TestCertificates.one)]) }

    // MARK: - Clients

    @Test func requestsComeThroughAndTheServiceIsToldHow() async throws {
        let upstream = try ScriptedUpstream.answering { head in
            let scheme = field("x-forwarded-proto", head) ?? ""
            return "HTTP/1.1 200 OK\r\ncontent-length: \(scheme.utf8.count)\r\n\r\n\(scheme)"
        }
        try await MeshUnderTest.run([upstream.address], options()) { mesh in
            let client = try TLSPeer.client(mesh.connect(), name: "one.example", protocols: ["h2", "http/1.1"])
            #expect(client.negotiated == "h2")
            let old = try TLSPeer.client(mesh.connect(), name: "one.example")
            #expect(old.negotiated == "http/1.1")
            // Several on one connection.
            for _ in 0..<3 {
                let answer = try old.get("/")
                #expect(status(answer.head) == 200 && answer.body == "https")
            }
            #expect(upstream.connections == 1)
        }
    }

    @Test func aLargeAnswerIsWhole() async throws {
        let body = String(repeating: "0123456789abcdef", count: 1 << 16)
        let upstream = try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)" }
        try await MeshUnderTest.run([upstream.address], options()) { mesh in
            let client = try TLSPeer.client(mesh.connect(), name: "one.example")
            #expect(try client.get("/").body == body)
        }
    }

    @Test func theNameThatIsAskedForChoosesTheCertificate() async throws {
        let files = [
            try folder.files("one", TestCertificates.one, names: ["one.example", "*.one.example"]),
            try folder.files("two", TestCertificates.two, names: ["two.example"]),
        ]
        try await MeshUnderTest.run([], options(files)) { mesh in
            for name in ["one.example", "www.one.example", "two.example"] {
                #expect(throws: Never.self, "\(name)") { try TLSPeer.client(mesh.connect(), name: name) }
            }
            #expect(throws: (any Error).self) { try TLSPeer.client(mesh.connect(), name: "three.example") }
            #expect(throws: (any Error).self) { try TLSPeer.client(mesh.connect(), name: "a.b.one.example") }
        }
    }

    @Test func newCertificatesEndNoConnection() async throws {
        let upstream = try ScriptedUpstream.echo()
        let files = try folder.files("current", TestCertificates.one)
        let folder = folder
        try await MeshUnderTest.run([upstream.address], options([files])) { mesh in
            let old = try TLSPeer.client(mesh.connect(), name: "one.example")
            #expect(try status(old.get("/").head) == 200)
            _ = try folder.files("current", TestCertificates.two)
            try mesh.runtime.install(mesh.runtime.snapshot.configuration)
            let new = try TLSPeer.client(mesh.connect(), name: "two.example")
            #expect(new.peerCertificate != old.peerCertificate)
            #expect(try status(new.get("/").head) == 200)
            #expect(try status(old.get("/").head) == 200)
        }
    }

    @Test func filesThatCannotBeUsedChangeNothing() async throws {
        let one = try folder.files("one", TestCertificates.one)
        let two = try folder.files("two", TestCertificates.two)
        let mixed = CertificateFiles(certificate: one.certificate, key: two.key)
        let missing = CertificateFiles(certificate: folder.path + "/none.pem", key: one.key)
        try await MeshUnderTest.run([], options([one])) { mesh in
            for (files, part) in [(mixed, "does not belong"), (missing, "can't be read")] {
                var configuration = mesh.runtime.snapshot.configuration
                configuration.tls?.certificates = [files]
                let error = #expect(throws: TLSUnusable.self) { try mesh.runtime.install(configuration) }
                #expect(error?.description.contains(part) == true)
            }
            #expect(throws: Never.self) { try TLSPeer.client(mesh.connect(), name: "one.example") }
        }
    }

    @Test func versionsBefore12AreRefused() async throws {
        try await MeshUnderTest.run([], options()) { mesh in
            #expect(throws: (any Error).self) {
                try TLSPeer.client(mesh.connect(), name: "one.example") { settings in
                    settings.minimumTLSVersion = .tlsv1
                    settings.maximumTLSVersion = .tlsv11
                }
            }
            #expect(throws: Never.self) {
                try TLSPeer.client(mesh.connect(), name: "one.example") { $0.maximumTLSVersion = .tlsv12 }
            }
        }
    }

    @Test func aHandshakeThatStandsStillEnds() async throws {
        var options = try options()
        let change = options.change
        options.change = {
            change(&$0)
            $0.timeouts = .init(head: .milliseconds(200), idle: .seconds(75))
        }
        try await MeshUnderTest.run([], options) { mesh in
            let client = try mesh.connect()
            try client.send([22, 3, 1, 0])
            #expect(client.sawEnd())
            #expect(eventually { mesh.clientConnections == [0] })
        }
    }

    @Test func anAnswerThatBreaksOffDoesNotLookComplete() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
        }
        try await MeshUnderTest.run([upstream.address], options()) { mesh in
            let client = try TLSPeer.client(mesh.connect(), name: "one.example")
            try client.send("GET / HTTP/1.0\r\nhost: one.example\r\n\r\n")
            _ = try client.receive(until: "\r\n\r\n")
            let rest = client.receiveToEnd()
            #expect(rest.text == "half" && !rest.isOrderly)
        }
    }

    // MARK: - Plain HTTP

    @Test func plainHTTPIsRefused() async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address], options()) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 400)
            #expect(String(decoding: answer.body, as: UTF8.self).contains("HTTPS"))
            #expect(try status(mesh.get("/-/healthy").head) == 200)
            #expect(upstream.connections == 0)
        }
    }

    @Test func plainHTTPIsLedToTheSamePlace() async throws {
        try await MeshUnderTest.run([], options([folder.files("one", TestCertificates.one)], redirects: true)) { mesh in
            for (target, host, location) in [
                ("/a%2Fb?c=d&e", "Shop.example", "https://shop.example/a%2Fb?c=d&e"), ("/", "shop.example:80", "https://shop.example/"),
                ("/x", "shop.example:8080", "https://shop.example:8080/x"), ("/x", "[::1]:80", "https://[::1]/x"),
                ("http://shop.example", "other.example", "https://shop.example/"),
            ] {
                let answer = try mesh.request("POST \(target) HTTP/1.1\r\nhost: \(host)\r\ncontent-length: 2\r\n\r\nab")
                #expect(status(answer.head) == 308)
                #expect(field("location", answer.head) == location)
            }
            #expect(try status(mesh.request("GET / HTTP/1.0\r\n\r\n").head) == 400)
        }
    }

    // MARK: - Instances

    /// A mesh that speaks TLS, and one that calls it.
    private func chain(
        name: String = "one.example", certificate: TestCertificates.Certificate = TestCertificates.one, _ policy: CallPolicy,
        _ body: @escaping @Sendable (MeshUnderTest, MeshUnderTest) throws -> Void
    ) async throws {
        let upstream = try ScriptedUpstream.echo()
        let inner = try await MeshUnderTest.start([upstream.address], options([folder.files("inner", certificate)]))
        var outer = MeshUnderTest.Options()
        outer.policy = policy
        outer.isExternal = true
        outer.change = { configuration in
            for index in configuration.destinations[0].endpoints.indices { configuration.destinations[0].endpoints[index].tlsName = name }
        }
        try await MeshUnderTest.run([.tcp(host: "127.0.0.1", port: inner.port)], outer) { try body($0, inner) }
        await inner.runtime.shutDown()
    }

    private func policy(_ tls: UpstreamTLS, _ spoken: UpstreamProtocol = .auto) -> CallPolicy {
        CallPolicy(timeout: Patience.call, connectTimeout: Patience.call, protocol: spoken, tls: tls)
    }

    @Test(arguments: [(UpstreamProtocol.auto, true), (.http1, false), (.http2, true)])
    func whatIsSpokenIsAgreedInTheHandshake(_ spoken: UpstreamProtocol, _ isHTTP2: Bool) async throws {
        try await chain(policy(UpstreamTLS(authorities: folder.authority), spoken)) { outer, inner in
            for number in 0..<3 {
                let answer = try outer.request("POST /\(number) HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello")
                #expect(status(answer.head) == 200 && answer.body == Array("hello".utf8))
            }
            #expect(inner.clientConnections == [1])
            let loop = inner.runtime.loops[0]
            let isSeen = try loop.eventLoop.submit { loop.connections.values.allSatisfy { $0 is HTTP2ServerConnection } }.wait()
            #expect(isSeen == isHTTP2)
        }
    }

    @Test(arguments: [
        ("one.example", UpstreamTLS(), "tls_certificate_error"), ("127.0.0.1", UpstreamTLS(), "tls_certificate_error"),
    ])
    func aCertificateOfAStrangerIsNotAccepted(_ name: String, _ tls: UpstreamTLS, _ error: String) async throws {
        try await chain(name: name, policy(tls)) { outer, _ in
            let answer = try outer.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
            #expect(status(answer.head) == 502)
            #expect(field("proxy-status", answer.head)?.contains(error) == true)
        }
    }

    @Test(arguments: ["one.example", "localhost", "127.0.0.1"]) func aNameOrAddressMayBeInTheCertificate(_ name: String) async throws {
        try await chain(name: name, policy(UpstreamTLS(authorities: folder.authority))) { outer, _ in
            let answer = try outer.get("/")
            #expect(status(answer.head) == 200)
        }
    }

    /// One that has no address: that of the connection would do as well.
    @Test(arguments: [("two.example", true), ("one.example", false), ("127.0.0.1", false)])
    func theNameMustBeInTheCertificate(_ name: String, _ isIn: Bool) async throws {
        try await chain(name: name, certificate: TestCertificates.two, policy(UpstreamTLS(authorities: folder.authority))) { outer, _ in
            let answer = try outer.get("/")
            #expect(status(answer.head) == (isIn ? 200 : 502))
        }
    }

    @Test func aCheckCanBeSwitchedOff() async throws {
        try await chain(name: "two.example", policy(UpstreamTLS(verifies: false))) { outer, _ in
            let answer = try outer.get("/")
            #expect(status(answer.head) == 200)
        }
    }

    @Test func anEndpointThatSpeaksNoTLSIsABrokenOne() async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive()
            try socket.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        }
        var options = MeshUnderTest.Options()
        options.change = { $0.destinations[0].endpoints[0].tlsName = "one.example" }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let answer = try mesh.get("/")
            #expect(status(answer.head) == 502)
            #expect(field("proxy-status", answer.head)?.contains("tls_protocol_error") == true)
        }
    }

    @Test(arguments: [true, false]) func aBodyThatEndsWithTheConnectionNeedsAFarewell(_ saysIt: Bool) async throws {
        let upstream = try ScriptedUpstream { socket, _ in
            let peer = try TLSPeer.server(socket, TestCertificates.one)
            _ = try peer.receive(until: "\r\n\r\n")
            try peer.send("HTTP/1.1 200 OK\r\n\r\nall of it")
            if saysIt { try peer.sayFarewell() }
            socket.shutdownWriting()
            _ = socket.sawEnd()
        }
        var options = MeshUnderTest.Options()
        options.policy = policy(UpstreamTLS(authorities: folder.authority))
        options.change = { $0.destinations[0].endpoints[0].tlsName = "one.example" }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            _ = try client.receive(until: "\r\n\r\n")
            let rest = client.receiveToEnd().map { String(decoding: $0, as: UTF8.self) } ?? ""
            #expect(rest.contains("all of it"))
            #expect(rest.hasSuffix("0\r\n\r\n") == saysIt)
        }
    }
}
