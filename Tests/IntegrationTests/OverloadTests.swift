import Curl
import Foundation
import Testing

/// A service that is asked for three times what it can do goes on doing what it can, and does what is critical first.
extension RealProcesses {
    @Suite struct OverloadTests {
        /// Eight requests at once, of 100 ms each: 80 a second, few enough that the service has too much to do, and not the machine. A
        /// limit leaves room for some that wait, so that none of the eight idles.
        private static let capacity = 80

        private func yaml(_ limit: String) -> String {
            """
            mesh: overloaded
            defaults: { timeout: 1s }
            gateway:
              run: "${BIN}/edge-gateway"
              listen: "127.0.0.1:0"
              routes: { "/vital": { to: crm, criticality: critical }, "/**": crm }
            services:
              crm:
                tier: domain
                run: ["${BIN}/fake-version", bounded, "8", "0.1"]
                ready: { get: /healthz, every: 100ms }
                limits: { in_flight: \(limit) }
            """
        }

        @Test(arguments: ["12", "gradient2"]) func goodputStaysAndWhatIsCriticalGoesThrough(limit: String) throws {
            let mesh = try TestMesh(yaml(limit))
            try mesh.up()
            let base = try mesh.gateway
            let ordinary = CurlRequest("GET", base + "/")
            let rate = 3 * Self.capacity * 9 / 10
            // What finds its limit by itself is given the time for it.
            _ = SteadyLoad([ordinary], rate: rate, seconds: 3, threads: 96).finish()
            let seconds = 6.0
            let (critical, rest) = SteadyLoad.undisturbed {
                let load = SteadyLoad([ordinary], rate: rate, seconds: seconds, threads: 96)
                let vital = SteadyLoad([CurlRequest("GET", base + "/vital")], rate: 3 * Self.capacity / 10, seconds: seconds, threads: 32)
                let (critical, rest) = (vital.finish(), load.finish())
                return ((critical, rest), loads: [critical, rest])
            }
            let lost = Double(critical.failures.count) / Double(critical.failures.count + critical.answered)
            #expect(lost < 0.01, "\(critical.failures.count) of \(critical.answered): \(critical.failures.prefix(2))")
            let goodput = Double(critical.answered + rest.answered) / (Double(Self.capacity) * seconds)
            #expect(goodput >= 0.9, "\(goodput) of the capacity")
            let shed = rest.failures.count { $0.contains("503") && $0.contains("SH") }
            #expect(shed > 0 && shed == rest.failures.count, "\(rest.failures.count - shed) failed otherwise: \(rest.failures.prefix(2))")
        }
    }
}
