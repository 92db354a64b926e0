import Testing

@testable import meshd

@Suite struct LogQueryTests {
    private func query(service: String? = nil, instance: String? = nil) throws -> LogQuery {
        try LogQuery(service: service, instance: instance, lines: nil, follow: nil)
    }

    @Test func withoutANameAllAreWanted() throws {
        #expect(try query().wants(service: "crm", version: nil, replica: "crm-1"))
    }

    @Test func severalServicesAreWantedAtOnce() throws {
        let query = try query(service: "crm,inventory")
        #expect(query.wants(service: "crm", version: nil, replica: "crm-1"))
        #expect(query.wants(service: "inventory", version: nil, replica: "inventory-3"))
        #expect(!query.wants(service: "ledger", version: nil, replica: "ledger-1"))
    }

    @Test func aVersionOrAnInstanceIsANameToo() throws {
        let version = try query(service: "catalog/v1")
        #expect(version.wants(service: "catalog", version: "v1", replica: "catalog-v1-1"))
        #expect(!version.wants(service: "catalog", version: "v2", replica: "catalog-v2-1"))
        let instance = try query(service: "inventory-2")
        #expect(instance.wants(service: "inventory", version: nil, replica: "inventory-2"))
        #expect(!instance.wants(service: "inventory", version: nil, replica: "inventory-1"))
    }
}
