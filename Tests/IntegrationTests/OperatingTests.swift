import Foundation
import Testing

extension RealProcesses {
    /// What an operator reads: logs, top and doctor.
    @Suite struct OperatingTests {
        private let yaml = """
            mesh: operated
            services:
              talker:
                tier: enterprise
                run: [sh, -c, 'echo "{\\"level\\":\\"info\\",\\"message\\":\\"up\\",\\"port\\":7}"; read go < gate; echo "bad schema v7" >&2; exit 3']
                ready: { log: up }
                limits: { memory: 64MB }
                restart: { backoff: { base: 100ms } }
              waiter: { tier: domain, run: [sh, -c, "echo up; exec sleep 1000"], ready: { log: up }, calls: [talker], wait_for_calls: false }
            """

        @Test func logsTopAndDoctorSayWhatHappens() throws {
            let mesh = try TestMesh(yaml)
            let gate = mesh.folder.appending(path: "gate")
            #expect(mkfifo(gate.path, 0o600) == 0)
            #expect(try mesh.mesh("doctor", "--json").objects.first { $0["check"] as? String == "daemon" }?["status"] as? String == "ok")
            try mesh.up()

            let lines = try mesh.mesh("logs", "talker", "--json", "--since", "10m").output.split(separator: "\n")
            let line = try #require(lines.first)
            let first = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect((first["fields"] as? [String: Any])?["port"] as? Int == 7)
            #expect(try mesh.mesh("logs", "talker").output.contains(" talker-1 info up port=7\n"))
            let none = try mesh.mesh("logs", "--last-crash")
            #expect(none.status == 1 && none.errors.contains("nothing has crashed"))

            let top = try #require(try mesh.mesh("top", "--json").json as? [String: Any])
            let instances = try #require(top["instances"] as? [[String: Any]])
            let talker = try #require(instances.first { $0["instance"] as? String == "talker-1" })
            #expect(talker["memory_limit_bytes"] as? Int == 64_000_000)
            #expect((talker["usage"] as? [String: Any])?["rss_bytes"] as? Int ?? 0 > 0)
            let table = try mesh.mesh("top").output
            #expect(table.contains("INSTANCE") && table.contains("waiter-1"))

            let talkers = try mesh.pids(of: "talker")
            let writer = try #require(FileHandle(forWritingAtPath: gate.path))
            try writer.write(contentsOf: Data("go\n".utf8))
            try writer.close()
            #expect(try Wait.until(30) { try mesh.pids(of: "talker").subtracting(talkers).count == 1 })
            let crash = try mesh.mesh("logs", "talker", "--last-crash").output
            #expect(crash.contains("bad schema v7\n") && crash.contains("── exit 3 after "), "\(crash)")

            let daemon = try #require(
                mesh.processes.first { (try? String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8)) == "meshd\n" })
            kill(daemon, SIGKILL)
            #expect(try Wait.until(10) { try mesh.mesh("ps").status != 0 })
            let doctor = try mesh.mesh("doctor", "--json")
            #expect(doctor.status == 1)
            let lost = try #require(doctor.objects.first { $0["check"] as? String == "daemon" })
            #expect(lost["status"] as? String == "error" && (lost["fix"] as? String)?.hasPrefix("mesh up -d") == true)
            try mesh.up()
            #expect(try mesh.mesh("doctor").status == 0)
        }
    }
}
