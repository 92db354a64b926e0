import Foundation
import Testing

/// Variables from files: they reach the processes that they are for, and stand nowhere else.
extension RealProcesses {
    @Suite struct SecretTests {
        private let yaml = """
            mesh: secretive
            services:
              keeper:
                tier: enterprise
                run: [sh, -c, "echo up; exec sleep 1000"]
                ready: { log: up }
                env: { LEVEL: info }
                env_file: settings.env
                secrets: { DB_PASSWORD: db.password }
                deploy: { min_healthy_time: 100ms, drain: 0s }
            """

        private func write(_ name: String, _ text: String, in mesh: TestMesh) throws {
            let file = mesh.folder.appending(path: name)
            try text.write(to: file, atomically: true, encoding: .utf8)
            chmod(file.path, 0o600)
        }

        private func environment(of process: Int) -> String {
            String(decoding: FileManager.default.contents(atPath: "/proc/\(process)/environ") ?? Data(), as: UTF8.self)
        }

        @Test func aSecretReachesItsServiceAndNothingElse() throws {
            let mesh = try TestMesh(yaml)
            try write("settings.env", "REGION=eu-1\nLEVEL=debug\n", in: mesh)
            try write("db.password", "hunter2-first\n", in: mesh)
            try mesh.up()
            let first = try #require(try mesh.pids(of: "keeper").first)
            let variables = environment(of: first).split(separator: "\0")
            #expect(variables.contains("DB_PASSWORD=hunter2-first"))
            #expect(variables.contains("REGION=eu-1"))
            #expect(variables.contains("LEVEL=info"), "mesh.yaml counts over the file")
            #expect(try mesh.mesh("plan").status == 0)

            try write("db.password", "hunter2-second\n", in: mesh)
            let plan = try mesh.mesh("plan")
            #expect(plan.status == 2)
            #expect(plan.output.contains("DB_PASSWORD"))
            try mesh.up()
            let second = try #require(try mesh.pids(of: "keeper").first)
            #expect(second != first)
            #expect(environment(of: second).contains("DB_PASSWORD=hunter2-second"))

            // A process that ends by itself gets them again, from a daemon that came back too.
            kill(pid_t(second), SIGKILL)
            #expect(try Wait.until(30) { try mesh.pids(of: "keeper").subtracting([second]).count == 1 })
            let third = try #require(try mesh.pids(of: "keeper").first)
            #expect(environment(of: third).contains("DB_PASSWORD=hunter2-second"))

            let said = try ["ps", "logs"].map { try mesh.mesh($0, "--json") }.map { $0.output + $0.errors } + [plan.output, plan.errors]
            for text in said { #expect(!text.contains("hunter2")) }
            for process in mesh.processes.map(Int.init) where process != third { #expect(!environment(of: process).contains("hunter2")) }
            for path in try FileManager.default.subpathsOfDirectory(atPath: mesh.stateFolder.path) {
                let file = mesh.stateFolder.appending(path: path)
                let status = try FileManager.default.attributesOfItem(atPath: file.path)
                guard status[.type] as? FileAttributeType == .typeRegular else { continue }
                let holdsIt = try Data(contentsOf: file).range(of: Data("hunter2".utf8)) != nil
                #expect(!holdsIt, "\(path)")
            }
        }

        @Test func whatIsWrongWithASecretIsSaidBeforeAnythingIsStarted() throws {
            let mesh = try TestMesh(yaml)
            try write("settings.env", "REGION eu-1\n", in: mesh)
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 1)
            #expect(up.errors.contains("M045") && up.errors.contains("'settings.env', line 1"))
            #expect(up.errors.contains("M003") && up.errors.contains("services.keeper.secrets.DB_PASSWORD: 'db.password'"))
            #expect(mesh.processes.isEmpty)
        }
    }
}
