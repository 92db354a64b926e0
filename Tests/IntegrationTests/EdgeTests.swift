import Curl
import Foundation
import MeshModel
import Testing

/// Edges, faults, load and metrics of a mesh of real processes, as an operator meets them.
extension RealProcesses {
    @Suite struct EdgeTests {
        private static func yaml(_ more: String = "") -> String {
            """
            mesh: chain
            tiers: [edge, domain, enterprise]
            defaults: { timeout: 10s, retry: { attempts: 2 } }
            gateway: { run: "${BIN}/edge-gateway", listen: "${PORT:-0}", deadline: 10s, routes: { /**: relay } }
            services:
              relay: { tier: domain, run: "${BIN}/relay", calls: { echo: {} } }
              echo:  { tier: enterprise, run: "${BIN}/echo" }
            \(more)
            """
        }

        private func edge(_ mesh: TestMesh, _ from: String, _ to: String) throws -> [String: Any]? {
            try mesh.mesh("edges", "--json").objects.first { $0["from"] as? String == from && $0["to"] as? String == to }
        }

        @Test func loadIsSeenOnEveryEdge() throws {
            let mesh = try TestMesh(Self.yaml())
            try mesh.up()
            let load = try mesh.start(["load", "GET", "/", "--rate", "100/s", "--for", "4s", "--json"])
            #expect(
                try Wait.until(20) {
                    guard let edge = try edge(mesh, "relay", "echo"), let rps = edge["rps"] as? Double, rps > 20 else { return false }
                    return edge["ok_ratio"] as? Double == 1 && edge["tries"] as? Double == 1 && edge["p99_ms"] is Double
                        && edge["breaker"] as? String == "closed" && edge["budget_left"] is Double
                })
            let run = load.end(within: 60)
            let result = try #require(run.json as? [String: Any], "\(run.errors)")
            #expect(result["sent"] as? Int == 400 && result["errors"] as? Int == 0, "\(run.output)")
            #expect((result["outcomes"] as? [String: Int]) == ["200": 400])
            let slowest = try #require((result["slowest"] as? [[String: Any]])?.first?["trace_id"] as? String)
            _ = try mesh.trace(slowest, with: ["gateway", "relay", "echo"])

            let table = try mesh.mesh("edges", "--width", "80")
            #expect(table.output.hasPrefix("FROM     TO     ") && table.output.contains("relay"))
            let services = try mesh.mesh("stat", "--json").objects
            #expect(services.compactMap { $0["service"] as? String } == ["echo", "relay"])
            #expect(try mesh.mesh("why", "gateway", "relay").output.contains("no breaker of this edge has opened"))
            let wrong = try mesh.mesh("why", "relay", "gateway")
            #expect(wrong.status == 1 && wrong.errors.contains("it calls: echo") && wrong.errors.contains("next: mesh edges"))
        }

        @Test func aFaultIsMadeMarkedExplainedAndEndsByItself() throws {
            let mesh = try TestMesh(Self.yaml())
            try mesh.up()
            #expect(try mesh.send("GET", "/").status == 200)
            let ordered = try mesh.mesh("fault", "relay", "echo", "--abort", "503", "--for", "6s", "--json")
            #expect(ordered.objects.first?["what"] as? String == "abort 503", "\(ordered.errors)")

            var failed: CurlResponse?
            #expect(
                try Wait.until(5) {
                    let answer = try mesh.send("GET", "/")
                    if answer.status == 503 { failed = answer }
                    return failed != nil
                })
            let answer = try #require(failed)
            #expect(answer.headers["Proxy-Status"] != nil && answer.headers["Content-Type"] == "application/problem+json")
            let spans = try mesh.trace(try #require(answer.headers["mesh-trace"]), with: ["gateway", "relay"])
            let attempts = spans.filter { $0["kind"] as? String == "attempt" && $0["service"] as? String == "relay" }
            #expect(attempts.contains { ($0["attributes"] as? [String: Any])?["mesh.fault"] as? String == "abort 503" })
            #expect(!spans.contains { $0["service"] as? String == "echo" }, "nothing left the caller")

            // Enough of it opens the breaker, and why says so.
            for _ in 0..<40 { _ = try mesh.send("GET", "/") }
            #expect(
                try Wait.until(10) {
                    let why = try mesh.mesh("why", "relay", "echo", "--json").json as? [String: Any]
                    let opened = (why?["events"] as? [[String: Any]])?.first { $0["what"] as? String == "opened" }
                    return ((opened?["causes"] as? [[String: Any]])?.first?["cause"] as? String) == "fault injected"
                })
            #expect(try mesh.mesh("why", "relay", "echo").output.contains("xfault injected); example "))
            #expect(try Wait.until(30) { try mesh.send("GET", "/").status == 200 }, "it ends by itself, and calls go on")
            #expect(try mesh.mesh("fault").errors.contains("no faults"))
            #expect(try mesh.mesh("fault", "relay", "echo", "--off").status == 1)
        }

        @Test func metricsOfEveryInstanceAreScrapedAtOnePlace() throws {
            let port = TestMesh.portFromTheKernel()
            let mesh = try TestMesh(Self.yaml("metrics: { listen: \"127.0.0.1:\(port)\" }"))
            try mesh.up()
            for _ in 0..<20 { #expect(try mesh.send("GET", "/").status == 200) }
            var text = ""
            #expect(
                Wait.until(20) {
                    text = (try? TestMesh.metrics(at: port)) ?? ""
                    return text.contains("mesh_calls_total{service=\"relay\"") && text.contains("to=\"echo\"} 20\n")
                }, "\(text)")
            #expect(text.contains("# TYPE mesh_call_duration_seconds histogram\n"))
            // Prometheus's own check.
            let file = mesh.folder.appending(path: "metrics.txt")
            try text.write(to: file, atomically: true, encoding: .utf8)
            let check = try RunningCommand(
                "/bin/sh", ["-c", "promtool check metrics < '\(file.path(percentEncoded: false))'"], environment: mesh.environment,
                folder: mesh.folder
            ).end(within: 30)
            #expect(check.status == 0, "\(check.output)\(check.errors)")
        }
    }
}
