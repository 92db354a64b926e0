import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshConfiguration
import MeshModel
import MeshPolicy
import MeshSimulation
import TestSupport
import Testing

@testable import mesh

/// `mesh simulate`, up to what it prints.
@Suite(.calculating) struct SimulateTests {
    private static let file = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/mesh.yaml"

    private func plan(_ troubles: [String] = [], route: String? = nil, work: [String: Timespan] = [:]) throws -> SimulationPlan {
        SimulationPlan(
            troubles: try troubles.map { try #require(TroubleArgument(argument: $0)?.trouble) }, work: work, workers: [:], perSecond: 100,
            lasts: .seconds(5), route: route, method: .get)
    }

    private func shop() throws -> MeshDocument {
        try #require(MeshDocument.load(path: Self.file, environment: UnbuiltEnvironment()).document)
    }

    private func simulate(_ plan: SimulationPlan) throws -> SimulationResult {
        let topology = try plan.topology(of: shop())
        return SimulationResult(try TopologySimulation.run(topology, seed: 1), of: topology, file: "mesh.yaml", seed: 1)
    }

    @Test func theShopIsWellWhenNothingFails() throws {
        let result = try simulate(plan())
        #expect(result.requests > 400 && result.okRatio == 1 && result.first.isEmpty)
        #expect(result.services.map(\.service).contains("ledger") && result.edges.allSatisfy { $0.tries == 1 })
    }

    @Test func aFailureIsNamedAndDoesNotMultiply() throws {
        let result = try simulate(plan(["ledger=503"], route: "/orders/**"))
        #expect(result.okRatio == 0)
        #expect(result.first.first.map { "\($0.from) -> \($0.to)" } == "orders -> ledger")
        let ledger = try #require(result.services.first { $0.service == "ledger" })
        // It moves money, so that it is never asked twice.
        #expect(ledger.amplification <= 1)
    }

    @Test func whatIsNotInTheFileIsSaid() throws {
        let document = try shop()
        #expect {
            _ = try plan(["ledgr=503"]).topology(of: document)
        } throws: {
            ($0 as? SimulationPlan.Unusable)?.description.contains("there is no service 'ledgr'") == true
        }
        #expect {
            _ = try plan(route: "/nowhere").topology(of: document)
        } throws: {
            ($0 as? SimulationPlan.Unusable)?.description.contains("/orders/**") == true
        }
    }

    @Test(
        "failures are read",
        arguments: [
            ("ledger=503", Topology.Trouble("ledger", .status(503))), ("ledger=status:500:25%", .init("ledger", .status(500), share: 0.25)),
            ("crm=hang:20%@10s-20s", .init("crm", .hang, share: 0.2, from: .seconds(10), until: .seconds(20))),
            ("crm=reset@0-500ms", .init("crm", .reset, until: .milliseconds(500))), ("crm=refuse", .init("crm", .refuse)),
        ])
    func failures(row: (text: String, trouble: Topology.Trouble)) {
        #expect(TroubleArgument(argument: row.text)?.trouble == row.trouble)
    }

    @Test(
        "and what is none is not",
        arguments: ["ledger", "=503", "ledger=", "ledger=200", "ledger=503:0%x", "ledger=hang@20s-10s", "ledger=503@1s"])
    func noFailures(text: String) {
        #expect(TroubleArgument(argument: text) == nil)
    }

    @Test func delaysWorkAndWorkersAreRead() {
        #expect(DelayArgument(argument: "crm=300ms:20%")?.trouble == Topology.Trouble("crm", .slow(.milliseconds(300)), share: 0.2))
        #expect(DelayArgument(argument: "crm=0s") == nil)
        #expect(WorkArgument(argument: "crm=8ms")?.time == .milliseconds(8))
        #expect(WorkersArgument(argument: "crm=4")?.count == 4 && WorkersArgument(argument: "crm=0") == nil)
    }

    @Test func wrongUseIsSaidBeforeAnythingRuns() {
        #expect(throws: (any Error).self) { try SimulateCommand.parse(["--method", "FETCH"]) }
        #expect(throws: (any Error).self) { try SimulateCommand.parse(["--rate", "100000", "--for", "1h"]) }
    }
}
