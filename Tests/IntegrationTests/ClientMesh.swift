import Foundation
import TestSupport
import Testing

/// A mesh for clients that are not ours: a gateway, by HTTPS or without, before `echo` and before servers that are not ours either.
final class ClientMesh {
    let mesh: TestMesh
    private let certificates: CertificateFolder?
    private let servers: [RunningCommand]

    /// - Parameters:
    ///   - servers: programs of Tests/Python by the names of their services, which are reached below `/NAME/`, or by `routes`.
    ///   - protocol: that services are spoken to in.
    init(isSecure: Bool = false, servers: [String: String] = [:], routes: [String: String] = [:], protocol: String = "auto") throws {
        var running: [RunningCommand] = []
        var services = ""
        var paths = routes
        for (name, program) in servers {
            let server = try RunningCommand(
                Programs.python, [Programs.python(program)], environment: ProcessInfo.processInfo.environment,
                folder: FileManager.default.temporaryDirectory)
            running.append(server)
            let hasBegun = Wait.until(60) { server.output.contains("\n") }
            try #require(hasBegun, "\(program): \(server.errors)")
            services += "  \(name): { tier: domain, url: \"http://127.0.0.1:\(server.output.prefix { $0 != "\n" })\" }\n"
            if !paths.values.contains(name) { paths["/\(name)/**"] = name }
        }
        self.servers = running
        var tls = ""
        certificates = isSecure ? try CertificateFolder() : nil
        if let certificates {
            let files = try certificates.write("gateway", TestCertificates.one)
            tls = "tls: { cert: \"\(files.certificate)\", key: \"\(files.key)\" }"
        }
        let list = paths.map { "\"\($0)\": { to: \($1), deadline: none }" }.sorted()
        mesh = try TestMesh(
            """
            mesh: clients
            defaults: { timeout: 60s, protocol: \(`protocol`) }
            gateway:
              run: "${BIN}/edge-gateway"
              listen: "127.0.0.1:0"
              deadline: 60s
              \(tls)
              routes: { \((list + ["\"/**\": echo"]).joined(separator: ", ")) }
            services:
              echo: { tier: domain, run: "${BIN}/echo" }
            \(services)
            """)
        try mesh.up()
    }

    deinit {
        for server in servers {
            server.signal(SIGKILL)
            _ = server.end(within: 10)
        }
    }

    /// As clients name it: a name that is in the certificate, and the port.
    var authority: String {
        get throws {
            try mesh.gateway.replacing("http://", with: "").replacing("127.0.0.1", with: certificates == nil ? "127.0.0.1" : "localhost")
        }
    }

    var url: String { get throws { "\(certificates == nil ? "http" : "https")://\(try authority)" } }

    /// What signs the gateway's certificate, as the last argument of a client; none where it has none.
    var trust: [String] { certificates.map { [$0.authority] } ?? [] }

    /// Runs a client to its end, expected to find nothing wrong.
    @discardableResult
    func run(_ program: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) throws -> CommandRun {
        let run = try RunningCommand(program, arguments, environment: mesh.environment, folder: mesh.folder).end(within: 180)
        #expect(run.status == 0, "\(program): \(run.output.suffix(2000))\(run.errors.suffix(4000))", sourceLocation: sourceLocation)
        return run
    }

    @discardableResult
    func python(_ program: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) throws -> CommandRun {
        try run(Programs.python, [Programs.python(program)] + arguments + trust, sourceLocation: sourceLocation)
    }
}
