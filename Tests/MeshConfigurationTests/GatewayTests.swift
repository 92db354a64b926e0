import MeshConfiguration
import MeshExchange
import MeshModel
import MeshPolicy
import Testing

/// What the gateway's own keys, and `https:` services, become.
@Suite struct GatewayTests {
    private func snapshot(_ gateway: String, services: String = "orders: { tier: domain, run: bin/orders }") throws -> SnapshotConfiguration
    {
        let (document, findings) = judge(
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes: { /**: orders }
            \(gateway)
            services:
              \(services)
            """)
        #expect(findings.rendered == "")
        let snapshot = try #require(document).snapshotConfiguration(for: "gateway", revision: 1) { _ in [] }
        return try #require(snapshot)
    }

    @Test func certificatesAreSoughtFromTheFilesFolder() throws {
        let snapshot = try snapshot(
            """
              redirect_http: on
              tls:
                - { cert: tls/a.pem, key: /etc/a.key, names: [a.example, "*.a.example"] }
                - { cert: ../b.pem, key: b.key }
            """)
        #expect(
            snapshot.tls
                == InboundTLS(
                    certificates: [
                        CertificateFiles(certificate: "/mesh/tls/a.pem", key: "/etc/a.key", names: ["a.example", "*.a.example"]),
                        CertificateFiles(certificate: "/b.pem", key: "/mesh/b.key"),
                    ], redirectsHTTP: true))
    }

    @Test func withoutCertificatesThereIsNoTLS() throws { #expect(try snapshot("  deadline: 1s").tls == nil) }

    @Test func aCertificateThatIsNotThereIsSaid() throws {
        let (_, findings) = judge(
            """
            mesh: shop
            gateway:
              run: /bin/true
              tls: { cert: a.pem, key: b.key }
              routes: { /**: orders }
            services:
              orders: { tier: domain, run: /bin/true }
            """, executables: ["/bin/true", "/mesh/a.pem"])
        #expect(places(findings) == ["M003 4:28"])
    }

    @Test func whatAClientMayTakeReachesTheSnapshot() throws {
        let snapshot = try snapshot(
            """
              trusted_proxies: [10.0.0.0/8, "::1"]
              trace_context: continue
              proxy_protocol: on
              limits: { head: 16KiB, fields: 50, uri: 4KiB, body: 1MiB, streams: 10 }
              timeouts: { head: 2s, idle: 30s }
            """)
        #expect(snapshot.trustedProxies == ["10.0.0.0/8", "::1"] && snapshot.traceContextContinues && snapshot.proxyProtocol)
        #expect(
            snapshot.limits == InboundLimits(headBytes: 16 << 10, fields: 50, targetBytes: 4 << 10, bodyBytes: 1 << 20, streams: 10))
        #expect(snapshot.timeouts == InboundTimeouts(head: .seconds(2), idle: .seconds(30)))
    }

    @Test(arguments: [
        ("stdout", AccessLogConfiguration(file: nil)), ("logs/access.log", AccessLogConfiguration(file: "/mesh/logs/access.log")),
        ("{ to: /var/log/a.log, format: json }", AccessLogConfiguration(file: "/var/log/a.log", format: .json)),
        ("{ to: stdout, format: json }", AccessLogConfiguration(file: nil, format: .json)), ("off", nil),
    ])
    func theAccessLogIsAFileOrStandardOutput(_ text: String, _ expected: AccessLogConfiguration?) throws {
        #expect(try snapshot("  access_log: \(text)").accessLog == expected)
    }

    @Test func httpsServicesAreCheckedAsTheCallSays() throws {
        let (document, findings) = judge(
            """
            mesh: shop
            gateway:
              run: bin/edge-gateway
              routes: { /**: orders }
            services:
              orders:
                tier: domain
                run: bin/orders
                calls: { rates: { tls: { ca: ca.pem } }, tax: { tls: { verify: false } } }
              rates: { tier: enterprise, url: "https://rates.example:8443/v1" }
              tax: { tier: enterprise, url: "https://10.0.0.1" }
            """)
        #expect(findings.rendered == "")
        let made = try #require(document).snapshotConfiguration(for: "orders", revision: 1) { _ in [] }
        let snapshot = try #require(made)
        let rates = try #require(snapshot.destinations.first { $0.service == "rates" })
        #expect(rates.policy.tls == UpstreamTLS(authorities: "/mesh/ca.pem"))
        #expect(rates.endpoints.map(\.tlsName) == ["rates.example"])
        #expect(rates.endpoints.map(\.addresses) == [[.tcp(host: "rates.example", port: 8443)]])
        let tax = try #require(snapshot.destinations.first { $0.service == "tax" })
        #expect(tax.policy.tls == UpstreamTLS(verifies: false))
        #expect(tax.endpoints.map(\.addresses) == [[.tcp(host: "10.0.0.1", port: 443)]])
    }
}
