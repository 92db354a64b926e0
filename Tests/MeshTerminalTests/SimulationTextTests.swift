import MeshAdminAPI
import MeshTerminal
import Testing

@Suite struct SimulationTextTests {
    private func result(_ file: String, ok: Double, amplification: Double, first: [SimulationResult.First] = []) -> SimulationResult {
        SimulationResult(
            file: file, seed: 7, seconds: 30, rate: 100, requests: 3000, okRatio: ok, p50MS: 21, p99MS: 180,
            services: [.init(service: "ledger", tier: "enterprise", arrivals: 3600, amplification: amplification, shedRatio: 0)],
            edges: [
                .init(
                    from: "orders", to: "ledger", calls: 3000, tries: amplification, okRatio: ok, p50MS: 6, p99MS: 160,
                    refused: ["circuit breaker open": 12])
            ], first: first)
    }

    @Test func oneFileIsToldWithWhatBrokeFirst() {
        let lines = SimulationText.lines(
            result(
                "mesh.yaml", ok: 0.9534, amplification: 1.2,
                first: [
                    .init(at: 5.014, from: "orders", to: "ledger", what: "answers 503"),
                    .init(at: 5.2, from: "orders", to: "ledger", what: "no retry: budget exhausted"),
                ]), width: nil
        ).map(\.plain)
        #expect(lines.first == "mesh.yaml  3000 requests in 30s, seed 7: 95.3% ok  p50 21ms  p99 180ms")
        #expect(lines.contains { $0.contains("ledger") && $0.contains("3600") && $0.contains("1.20") })
        #expect(lines.contains { $0.hasPrefix("orders") && $0.contains("12x circuit breaker open") })
        #expect(lines.contains("broke first  5.01s  orders -> ledger: answers 503"))
        #expect(lines.contains("then         5.20s  orders -> ledger: no retry: budget exhausted"))
    }

    @Test func twoFilesAreTakenApart() {
        let lines = SimulationText.comparison(
            result("a/mesh.yaml", ok: 0.95, amplification: 1.9), result("b/mesh.yaml", ok: 0.99, amplification: 1.2), width: nil
        ).map(\.plain)
        #expect(lines.contains { $0.contains("a/mesh.yaml") && $0.contains("b/mesh.yaml") && $0.contains("CHANGE") })
        #expect(lines.contains { $0.hasPrefix("ok") && $0.contains("95.0%") && $0.contains("99.0%") && $0.contains("+4.0%") })
        #expect(lines.contains { $0.hasPrefix("ledger arrivals") && $0.contains("1.90") && $0.contains("-0.70") })
        #expect(lines.contains { $0.hasPrefix("p99") && $0.hasSuffix("same") })
    }
}
