import Curl
import Foundation
import Testing

/// New versions of a service that are no good: each is found out beside the old one, which goes on, and the person is told why.
extension RealProcesses {
    @Suite struct TrialTests {
        private func yaml(_ run: String, deploy: String = "min_healthy_time: 200ms", replicas: Int = 2, timeout: String = "1s") -> String {
            """
            mesh: tried
            defaults: { timeout: \(timeout), retry: never }
            gateway: { run: "${BIN}/edge-gateway", listen: "127.0.0.1:0", deadline: 10s, routes: { "/**": crm } }
            services:
              crm: { tier: domain, run: \(run), replicas: \(replicas), ready: { get: /healthz, every: 100ms, within: 2s }, deploy: { \(deploy) } }
            """
        }

        private static let good = "[\"${BIN}/fake-version\", good]"

        private func start(
            deploy: String = "min_healthy_time: 200ms", replicas: Int = 2, timeout: String = "1s"
        ) throws -> TestMesh {
            let mesh = try TestMesh(yaml(Self.good, deploy: deploy, replicas: replicas, timeout: timeout))
            try mesh.up()
            return mesh
        }

        private func load(on mesh: TestMesh, rate: Int = 60) throws -> SteadyLoad {
            let url = try mesh.gateway + "/customers/1"
            return SteadyLoad([CurlRequest("GET", url), CurlRequest("POST", url, body: .text("{}"))], rate: rate)
        }

        static let badVersions: [(run: String, reason: String)] = [
            ("[sh, -c, \"echo bad schema v7 >&2; exit 3\"]", "exit 3 after"),
            ("[\"${BIN}/fake-version\", hang]", "not ready within 2.0s: GET /healthz"),
            ("[\"${BIN}/fake-version\", status, \"500\"]", "requests failed in the new version, 0 of"),
            ("[\"${BIN}/fake-version\", slow, \"0.4\"]", "ms in the new version"),
            // Slower than callers wait.
            ("[\"${BIN}/fake-version\", slow, \"3\"]", "requests failed in the new version, 0 of"),
        ]

        @Test(arguments: badVersions.indices) func aBadVersionIsStoppedAndTheOldOneGoesOn(_ index: Int) throws {
            let (run, reason) = Self.badVersions[index]
            let mesh = try start()
            let before = try mesh.pids(of: "crm")
            let load = try load(on: mesh)
            try mesh.write(yaml(run))
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 1, "\(up.errors)")
            let told = (up.output + up.errors).split(separator: "\n")
            let line = try #require(told.first { $0.hasPrefix("✗ domain · crm") }, "\(told)")
            #expect(line.contains(reason) && line.hasSuffix("; what ran before goes on"), "\(line)")
            #expect(try mesh.pids(of: "crm") == before, "the old version serves, and nothing is left of the new one")
            #expect(try mesh.instances.allSatisfy { $0["ready"] as? Bool == true })
            let result = load.finish()
            // What the bad version was asked while it was tried out is what it costs to know.
            #expect(result.failures.count < 120, "\(result.failures.count): \(result.failures.prefix(3))")
            #expect(result.answered > result.failures.count)
            #expect(try mesh.send("GET", "/").status == 200)
        }

        @Test func aGoodVersionComesInAsACanaryByItsShares() throws {
            let deploy = "strategy: canary, canary: { steps: [20%, 50%], pause: 4s }, min_healthy_time: 200ms"
            let mesh = try start(deploy: deploy)
            let before = try mesh.pids(of: "crm").map { "\($0)\n" }
            let load = try load(on: mesh)
            try mesh.write(yaml(Self.good.replacing("good]", with: "good, again]"), deploy: deploy))
            let up = try mesh.start(["up", "-d"])
            #expect(Wait.until(20) { up.errors.contains("20% of the calls") }, "\(up.errors)")
            let call = CurlRequest("GET", try mesh.gateway + "/")
            var new = 0
            for _ in 0..<200 where try !before.contains(TestMesh.client.send(call).text) { new += 1 }
            // 200 calls of which a fifth goes to the new version: 40, with a standard deviation of 5.7.
            #expect((17...63).contains(new), "\(new) of 200 calls")
            let ended = up.end(within: 60)
            #expect(ended.status == 0, "\(ended.errors)")
            #expect(ended.errors.contains("50% of the calls for 4.0s (step 2 of 2)"), "\(ended.errors)")
            #expect(try mesh.pids(of: "crm").count == 2)
            #expect(try mesh.pids(of: "crm").allSatisfy { !before.contains("\($0)\n") })
            let result = load.finish()
            #expect(result.failures.isEmpty, "\(result.failures.prefix(3))")
        }

        @Test func aBadCanaryIsTakenBack() throws {
            let deploy = "strategy: canary, canary: { steps: [30%], pause: 20s }, min_healthy_time: 200ms"
            let mesh = try start(deploy: deploy, replicas: 1)
            let before = try mesh.pids(of: "crm")
            let load = try load(on: mesh)
            try mesh.write(yaml("[\"${BIN}/fake-version\", status, \"500\"]", deploy: deploy, replicas: 1))
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 1 && up.errors.contains("requests failed in the new version"), "\(up.errors)")
            #expect(try mesh.pids(of: "crm") == before)
            _ = load.finish()
        }

        @Test func aBadVersionThatGotAllCallsAtOnceIsTakenBack() throws {
            let deploy = "strategy: blue_green, min_healthy_time: 2s"
            let mesh = try start(deploy: deploy)
            let before = try mesh.pids(of: "crm")
            let load = try load(on: mesh)
            try mesh.write(yaml("[\"${BIN}/fake-version\", status, \"500\"]", deploy: deploy))
            let up = try mesh.mesh("up", "-d")
            #expect(up.status == 1 && up.errors.contains("requests failed in the new version, 0 of"), "\(up.errors)")
            #expect(try mesh.pids(of: "crm") == before)
            #expect(try mesh.mesh("ps").output.contains("2/2"))
            // All calls are the old ones' again.
            for _ in 0..<20 { #expect(try mesh.send("GET", "/").status == 200) }
            let result = load.finish()
            #expect(result.failures.count < 200 && result.answered > 60, "\(result.failures.count) of \(result.answered)")
        }

        @Test(arguments: ["blue_green", "recreate"]) func nothingIsLostByTheOtherStrategies(strategy: String) throws {
            let deploy = "strategy: \(strategy), min_healthy_time: 200ms, drain: 5s"
            // Longer than all of them are away.
            let mesh = try start(deploy: deploy, timeout: "10s")
            let before = try mesh.pids(of: "crm")
            let load = try load(on: mesh)
            let long = SteadyLoad(CurlRequest("GET", try mesh.gateway + "/slow?s=0.8"), rate: 4, seconds: 3)
            try mesh.write(yaml(Self.good.replacing("good]", with: "good, again]"), deploy: deploy, timeout: "10s"))
            try mesh.up()
            #expect(try mesh.pids(of: "crm").isDisjoint(with: before))
            #expect(try mesh.pids(of: "crm").count == 2)
            for load in [long, load] {
                let result = load.finish()
                #expect(result.failures.isEmpty, "\(result.failures.count): \(result.failures.prefix(3))")
                #expect(result.answered > 10)
            }
        }
    }
}
