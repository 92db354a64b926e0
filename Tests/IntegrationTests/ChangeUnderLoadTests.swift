import Curl
import Foundation
import Testing

/// Requests a second; nil where it was not asked for.
private let loadRate = ProcessInfo.processInfo.environment["MESH_LOAD_RATE"].flatMap { Int($0) }

/// Everything that may be changed of a mesh that serves, one after the other, at a rate of 300 requests a second: `make check` runs it
/// on a release build.
extension RealProcesses {
    @Suite(.enabled(if: loadRate != nil)) struct ChangeUnderLoadTests {
        private static let services = ["inventory", "ledger", "crm", "orders", "catalog", "customers", "echo", "gateway"]

        /// The shop, its programs replaceable, with a route to a service that takes its time.
        private func shop() throws -> TestMesh {
            let yaml = try String(contentsOf: Programs.checkout.appending(path: "mesh.yaml"), encoding: .utf8)
                .replacing(".build/release", with: ".")
                .replacing(
                    "/customers/**: customers", with: "/slow: { to: echo, timeout: 20s, deadline: 20s }\n    /customers/**: customers"
                )
                .replacing("\n  crm:       {", with: "\n  echo:      { tier: enterprise, run: ./echo }\n  crm:       {")
            let mesh = try TestMesh(yaml, environment: ["PORT": "0"])
            for program in Self.services where program != "gateway" { try mesh.install(program, build: 0) }
            try mesh.install("edge-gateway", build: 0)
            return mesh
        }

        @Test func nothingIsLostAndNothingTakesLong() throws {
            let mesh = try shop()
            try mesh.up()
            let gateway = try mesh.gateway
            let order = CurlRequest(
                "POST", gateway + "/orders", headers: [CurlHeader("Content-Type", "application/json")],
                body: .text(#"{"customer": "1", "items": [{"sku": "tea-green", "qty": 1}]}"#))
            let load = SteadyLoad(
                [CurlRequest("GET", gateway + "/catalog"), order, CurlRequest("GET", gateway + "/customers/1")], rate: loadRate ?? 300,
                threads: 64,
                // Sold out is an answer.
                accepts: [200, 201, 409])
            let long = SteadyLoad([CurlRequest("GET", gateway + "/slow?s=8")], rate: 1)

            for service in Self.services { try mesh.expectSuccess("restart", service) }
            try mesh.expectSuccess("scale", "inventory=5", "orders=4")
            try mesh.expectSuccess("scale", "inventory=3", "orders=2")
            for (number, service) in ["inventory", "orders", "crm", "catalog", "gateway"].enumerated() {
                try mesh.install(service == "gateway" ? "edge-gateway" : service, build: number + 1)
                try mesh.expectSuccess("deploy", service)
            }
            let original = try String(contentsOf: mesh.file, encoding: .utf8)
            for number in 1...20 {
                try mesh.write(original.replacing("timeout: 800ms", with: "timeout: \(800 + number)ms"))
                try mesh.expectSuccess("up", "-d")
            }

            let slow = long.finish()
            #expect(slow.failures.isEmpty, "\(slow.failures.count): \(slow.failures.prefix(3))")
            let result = load.finish()
            #expect(result.failures.isEmpty, "\(result.failures.count) of \(result.answered): \(result.failures.prefix(5))")
            let p999 = result.latency(atQuantile: 0.999)
            #expect(p999 < 1)
            print(
                "\(result.answered) answered, \(result.failures.count) failed; ms: p50 \(milliseconds(result, 0.5)), "
                    + "p99 \(milliseconds(result, 0.99)), p99.9 \(milliseconds(result, 0.999)), most \(milliseconds(result, 1)); "
                    + "\(slow.answered) of 8 s each uncut")
        }

        private func milliseconds(_ result: SteadyLoad.Result, _ quantile: Double) -> Int {
            Int((result.latency(atQuantile: quantile) * 1000).rounded())
        }
    }
}
