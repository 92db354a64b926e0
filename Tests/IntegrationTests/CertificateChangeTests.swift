import Foundation
import TestSupport
import Testing

/// A certificate that is renewed in its place, as certbot does it, ends no connection.
extension RealProcesses {
    @Suite struct CertificateChangeTests {
        private static func yaml(_ files: (certificate: String, key: String), run: String = "", services: String) -> String {
            """
            mesh: secure
            gateway:
              \(run)
              listen: "127.0.0.1:0"
              tls: { cert: "\(files.certificate)", key: "\(files.key)" }
              routes: { "/**": { respond: { status: 200, body: served } }, "/echo/**": echo }
            services:
              echo: { tier: domain, \(services) }
            """
        }

        /// Uses one connection while `change` has the gateway read its files again.
        private func keep(_ mesh: TestMesh, port: String, _ certificates: CertificateFolder, _ change: () throws -> Void) throws {
            let client = try RunningCommand(
                Programs.python, [Programs.python("keep_connection.py"), "127.0.0.1", port, certificates.authority],
                environment: mesh.environment, folder: mesh.folder)
            #expect(Wait.until(60) { client.output.contains("\n") || !client.isRunning })
            _ = try certificates.write("gateway", TestCertificates.two)
            try change()
            let run = client.end(within: 60)
            let lines = run.output.split(separator: "\n")
            #expect(run.status == 0 && lines.count == 3 && lines.last == "kept", "\(run.output)\(run.errors)")
            #expect(Set(lines).count == 3, "\(run.output)")
        }

        @Test func bySIGHUPOfAGatewayAlone() throws {
            let certificates = try CertificateFolder()
            let files = try certificates.write("gateway", TestCertificates.one)
            let mesh = try TestMesh(Self.yaml(files, services: "url: \"http://127.0.0.1:1\""))
            let gateway = try RunningCommand(
                Programs.path("edge-gateway"), ["--mesh", mesh.file.path(percentEncoded: false), "--threads", "1"],
                environment: mesh.environment, folder: mesh.folder)
            defer {
                gateway.signal(SIGTERM)
                _ = gateway.end(within: 30)
            }
            #expect(Wait.until(30) { gateway.errors.contains("listening on ") })
            let address = try #require(gateway.errors.split(separator: "\n").first { $0.hasPrefix("listening on ") })
            let port = String(try #require(address.split(separator: ":").last))
            try keep(mesh, port: port, certificates) { gateway.signal(SIGHUP) }
            // Files that can't be used change nothing.
            try "nonsense".write(toFile: files.certificate, atomically: true, encoding: .utf8)
            gateway.signal(SIGHUP)
            #expect(Wait.until(30) { gateway.errors.contains("gateway.pem") }, "\(gateway.errors)")
            #expect(gateway.isRunning)
        }

        @Test func byMeshUpUnderTheDaemon() throws {
            let certificates = try CertificateFolder()
            let files = try certificates.write("gateway", TestCertificates.one)
            let mesh = try TestMesh(Self.yaml(files, run: "run: \"${BIN}/edge-gateway\"", services: "run: \"${BIN}/echo\""))
            try mesh.up()
            let before = try mesh.instances.compactMap { $0["pid"] as? Int }
            let port = String(try #require(try mesh.gateway.split(separator: ":").last))
            try keep(mesh, port: port, certificates) { try mesh.up() }
            #expect(try mesh.instances.compactMap { $0["pid"] as? Int } == before, "nothing was started anew")
        }
    }
}
