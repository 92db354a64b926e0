import Curl
import Foundation
import Testing

extension RealProcesses {
    /// Three hops that all retry, before a leaf that fails: what arrives at the leaf is bounded for the whole request, not for each hop.
    @Suite struct RetryStormTests {
        private let port = TestMesh.portFromTheKernel()

        private func storm(breaker: String) throws -> TestMesh {
            let mesh = try TestMesh(
                """
                mesh: storm
                tiers: [edge, domain, stock, enterprise]
                defaults: { timeout: 900ms, attempt_timeout: 300ms, retry: { attempts: 3 }, breaker: \(breaker) }
                gateway: { run: "${BIN}/edge-gateway", listen: "127.0.0.1:0", deadline: 2s, routes: { "/**": orders } }
                services:
                  orders: { tier: domain, run: "${BIN}/relay", calls: { items: {} } }
                  items:  { tier: stock, run: "${BIN}/relay", calls: { leaf: {} } }
                  leaf:   { tier: enterprise, run: "${BIN}/echo" }
                metrics: { listen: "127.0.0.1:\(port)" }
                """)
            try mesh.up()
            return mesh
        }

        /// Attempts on the leaf so far, each of which arrives there at most once.
        private func arrivals() throws -> Double {
            var (count, since) = (-1.0, ContinuousClock.now)
            // Instances tell their counts every second.
            _ = try Wait.until(15) {
                let seen = try TestMesh.metric("mesh_attempts_total", [#"service="items""#, #"to="leaf""#], at: port)
                if seen != count { (count, since) = (seen, .now) }
                return ContinuousClock.now - since > .seconds(2.5)
            }
            return count
        }

        private func load(_ method: String, _ path: String, on mesh: TestMesh, seconds: Double) throws -> SteadyLoad.Result {
            SteadyLoad([CurlRequest(method, try mesh.gateway + path)], rate: 50, seconds: seconds, threads: 64).finish()
        }

        @Test(arguments: ["{ errors: 50% }", "off"], ["/status/503", "/slow?s=5"])
        func aFailingLeafGetsAtMostThreeArrivalsForTwoRequests(breaker: String, path: String) throws {
            let mesh = try storm(breaker: breaker)
            let failing = try load("GET", path, on: mesh, seconds: 4)
            #expect(failing.answered == 0 && failing.failures.count == 200, "\(failing.answered)")
            let amplification = try arrivals() / 200
            #expect(amplification <= 1.5 && amplification > 0, "\(amplification) arrivals for a request")

            // Well again: five seconds later nothing is left of it.
            _ = try load("GET", "/", on: mesh, seconds: 5)
            let healthy = try SteadyLoad.undisturbed {
                let healthy = try load("GET", "/", on: mesh, seconds: 2)
                return (healthy, loads: [healthy])
            }
            #expect(healthy.failures.isEmpty, "\(healthy.failures.count) of 100: \(healthy.failures.prefix(2))")
        }

        @Test(arguments: ["{ errors: 50% }", "off"]) func oneErrorInTenIsHealed(breaker: String) throws {
            let mesh = try storm(breaker: breaker)
            #expect(try mesh.mesh("fault", "items", "leaf", "--abort", "503", "--share", "10%").status == 0)
            let (result, amplification) = try SteadyLoad.undisturbed {
                let before = try arrivals()
                let result = try load("GET", "/", on: mesh, seconds: 8)
                return ((result, try (arrivals() - before) / 400), loads: [result])
            }
            #expect(Double(result.answered) >= 0.99 * 400, "\(result.failures.count) of 400: \(result.failures.prefix(2))")
            #expect(amplification <= 1.3 && amplification > 1, "\(amplification) arrivals for a request")
        }

        @Test func aPOSTArrivesOnce() throws {
            let mesh = try storm(breaker: "off")
            let failing = try load("POST", "/status/503", on: mesh, seconds: 3)
            #expect(failing.failures.count == 150)
            #expect(try arrivals() == 150)
        }
    }
}
