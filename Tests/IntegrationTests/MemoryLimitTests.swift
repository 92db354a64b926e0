import Foundation
import Testing

extension RealProcesses {
    @Suite struct MemoryLimitTests {
        @Test func aServiceThatTakesTooMuchIsKilledAndNamedSo() throws {
            let mesh = try TestMesh(
                """
                mesh: hungry
                services:
                  hog:
                    tier: enterprise
                    run: [sh, -c, "echo up; read go < gate; x=$(yes | head -c 80000000); sleep 1000"]
                    ready: { log: up }
                    limits: { memory: 40MB, files: 99 }
                    restart: { backoff: { base: 20s } }
                """)
            let gate = mesh.folder.appending(path: "gate")
            #expect(mkfifo(gate.path, 0o600) == 0)
            try mesh.up()
            let hog = try #require(try mesh.pids(of: "hog").first)
            #expect(try String(contentsOfFile: "/proc/\(hog)/limits", encoding: .utf8).contains(/Max open files +99 +99/))
            let writer = try #require(FileHandle(forWritingAtPath: gate.path))
            try writer.write(contentsOf: Data("go\n".utf8))
            try writer.close()
            func ending() throws -> String { (try mesh.instances.first?["last_exit"] as? String) ?? "" }
            #expect(try Wait.until(30) { try ending().hasPrefix("killed out of memory: it used ") })
            #expect(try ending().contains("limits.memory is 38M"))
            #expect(try mesh.mesh("logs").output.contains("killed out of memory: it used "))
        }
    }
}
