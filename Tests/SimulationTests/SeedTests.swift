import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import MeshSimulation
import TestSupport
import Testing

/// Every rule over many seeds. `MESH_SIMULATION_SEEDS=N` runs N of them, `MESH_SIMULATION_SEED=S` that one again.
@Suite("Over random scenarios", .calculating)
struct SeedTests {
    @Test("no invariant is broken")
    func seeds() {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["MESH_SIMULATION_SEEDS"].flatMap { UInt64($0) } ?? 300
        let seeds = environment["MESH_SIMULATION_SEED"].flatMap { UInt64($0) }.map { $0...$0 } ?? 1...count
        for seed in seeds {
            let report = Simulation.run(.random(seed: seed), seed: seed)
            #expect(report.violations.isEmpty, "replay with MESH_SIMULATION_SEED=\(seed): \(report.violations.prefix(3))")
            #expect(report.calls == report.succeeded + report.failed + report.left)
        }
    }

    @Test("a seed replays: the same calls end the same way in the same nanosecond")
    func replays() {
        for seed: UInt64 in 1...10 {
            #expect(Simulation.run(.random(seed: seed), seed: seed).digest == Simulation.run(.random(seed: seed), seed: seed).digest)
        }
    }
}
