import Curl
import Foundation
import Testing

/// Other rules hold for all instances or for none.
extension RealProcesses {
    @Suite struct AgreementTests {
        private func yaml(_ gateway: String = "", route: String = "") -> String {
            """
            mesh: agreed
            gateway:
              run: "${BIN}/edge-gateway"
              listen: "127.0.0.1:0"
              \(gateway)
              routes: { "/**": relay \(route) }
            services:
              relay: { tier: domain, run: "${BIN}/relay", calls: { echo: {} } }
              echo:  { tier: enterprise, run: "${BIN}/echo" }
            """
        }

        private static let answered = ", /new: { respond: { status: 200, body: \"the new rules\" } }"

        private func expectOldRules(_ mesh: TestMesh, _ told: String...) throws {
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 1)
            for text in told + ["the old ones hold for all; what ran before goes on"] { #expect(up.errors.contains(text), "\(up.errors)") }
            #expect(try !mesh.send("GET", "/new").text.contains("the new rules"))
        }

        @Test func rulesThatOneInstanceRefusesAreTakenBackFromAll() throws {
            let mesh = try TestMesh(yaml())
            try mesh.up()
            #expect(try mesh.instances.map { $0["rules"] as? String } == ["current", "current", "current"])
            try mesh.write(yaml("access_log: /proc/1/no/access.log", route: Self.answered))
            try expectOldRules(mesh, "gateway-1: refuses the new rules")
            #expect(try mesh.instances.map { $0["rules"] as? String } == ["current", "current", "current"])

            try mesh.write(yaml(route: Self.answered))
            try mesh.up()
            #expect(try mesh.send("GET", "/new").text.contains("the new rules"))
        }

        @Test func rulesThatOneInstanceDoesNotAnswerToAreTakenBackFromAll() throws {
            let mesh = try TestMesh(yaml())
            try mesh.up()
            let relay = Int32(try #require(try mesh.pids(of: "relay").first))
            kill(relay, SIGSTOP)
            defer { kill(relay, SIGCONT) }
            // Rules that concern both.
            try mesh.write(yaml(route: Self.answered).replacing("echo: {}", with: "echo: { timeout: 700ms }"))
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 1)
            #expect(up.errors.contains("relay-1: has not answered to the new rules within 3 s; the old ones hold for all"), "\(up.errors)")
            #expect(try mesh.mesh("ps").output.contains("old rules") || mesh.mesh("ps").output.contains("not ready"))
            kill(relay, SIGCONT)
            let isCurrent = try Wait.until(10) {
                try mesh.instances.allSatisfy { $0["rules"] as? String == "current" && $0["ready"] as? Bool == true }
            }
            #expect(isCurrent)
            #expect(try !mesh.send("GET", "/new").text.contains("the new rules"))
        }
    }
}
