import Foundation
import Testing

@Suite struct ProgramsTests {
    @Test(arguments: [
        "mesh", "meshd", "mesh-shim", "edge-gateway", "orders", "catalog", "customers", "relay", "ledger", "inventory", "crm", "echo",
    ])
    func everyProgramWasBuilt(name: String) {
        #expect(FileManager.default.isExecutableFile(atPath: Programs.path(name)))
    }
}
