import Curl
import Foundation
import Testing

extension RealProcesses {
    /// Services that follow their executables.
    @Suite struct WatchTests {
        private let yaml = """
            mesh: watched
            defaults: { timeout: 10s }
            gateway: { run: ./edge-gateway, listen: "127.0.0.1:0", deadline: 10s, routes: { "/**": echo } }
            services:
              echo: { tier: domain, run: ./echo, replicas: 2, ready: { get: /healthz, every: 100ms }, deploy: { min_healthy_time: 100ms } }
            profiles:
              dev: { watch: true }
            """

        @Test func aNewBuildReplacesItsServiceAndAHalfOneNothing() throws {
            let mesh = try TestMesh(yaml)
            for program in ["edge-gateway", "echo"] { try mesh.install(program, build: 0) }
            let up = try mesh.mesh("up", "-d", "--profile", "dev", within: 120)
            try #require(up.status == 0, "\(up.errors)\(mesh.daemonLog)")
            let (first, gateway) = (try mesh.pids(of: "echo"), try mesh.pids(of: "gateway"))
            let load = SteadyLoad([CurlRequest("GET", try mesh.gateway + "/")], rate: 60)

            // A linker that takes its time.
            let program = mesh.folder.appending(path: "echo")
            let whole = try Data(contentsOf: program)
            unlink(program.path)
            #expect(FileManager.default.createFile(atPath: program.path, contents: nil, attributes: [.posixPermissions: 0o755]))
            let linker = try #require(FileHandle(forWritingAtPath: program.path))
            try linker.write(contentsOf: whole.prefix(whole.count / 2))
            #expect(!Wait.until(3) { mesh.daemonLog.contains("another executable") }, "\(mesh.daemonLog)")
            try linker.write(contentsOf: whole.suffix(whole.count - whole.count / 2) + Data("build 1".utf8))
            try linker.close()

            #expect(try Wait.until(60) { try mesh.pids(of: "echo").isDisjoint(with: first) && mesh.daemonLog.contains("echo: replaced") })
            #expect(try mesh.pids(of: "echo").count == 2)
            #expect(try mesh.pids(of: "gateway") == gateway)
            let result = load.finish()
            #expect(result.failures.isEmpty, "\(result.failures.prefix(3))")

            // Touched only: the same build.
            let second = try mesh.pids(of: "echo")
            try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: program.path)
            #expect(Wait.until(30) { mesh.daemonLog.contains("echo: the same build") })
            #expect(try mesh.pids(of: "echo") == second)

            // One that can't run: what serves goes on.
            unlink(program.path)
            try Data("#!/bin/sh\necho broken >&2\nexit 1\n".utf8).write(to: program)
            chmod(program.path, 0o755)
            #expect(Wait.until(60) { mesh.daemonLog.contains("what ran before goes on") })
            #expect(try Wait.until(30) { try mesh.pids(of: "echo") == second })
        }
    }
}
