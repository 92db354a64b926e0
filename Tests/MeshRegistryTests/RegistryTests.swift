import MeshModel
import MeshRegistry
import Testing

@Suite struct RegistryTests {
    private func entry(_ replica: String, service: String = "inventory", instance: UInt64 = 1) -> Registry.Entry {
        let endpoint = Endpoint(instance: InstanceID(high: 0, low: instance), addresses: [.unix(path: "/run/\(replica)")])
        return Registry.Entry(service: service, replica: replica, endpoint: endpoint)
    }

    @Test func listsReadyInstancesInTheOrderOfTheirNames() {
        var registry = Registry()
        _ = registry.becameReady(entry("inventory-2", instance: 2))
        _ = registry.becameReady(entry("inventory-1", instance: 1))
        _ = registry.becameReady(entry("crm-1", service: "crm", instance: 3))
        #expect(registry.endpoints(of: "inventory").map(\.instance.low) == [1, 2])
        #expect(registry.endpoints(of: "ledger").isEmpty)
    }

    @Test func theRevisionGrowsWithEveryVisibleChangeAndNoOther() {
        var registry = Registry(after: 41)
        _ = registry.becameReady(entry("a-1"))
        #expect(registry.revision == 42)
        let again = registry.becameReady(entry("a-1"))
        #expect(!again && registry.revision == 42)
        _ = registry.becameReady(entry("a-2", instance: 2))
        let draining = registry.startedDraining(replica: "a-1")
        #expect(draining && registry.revision == 44)
        let unknown = registry.wentAway(replica: "b-1")
        #expect(!unknown && registry.revision == 44)
    }

    @Test func theOnlyInstanceStaysListedWhileItIsStartedAgain() {
        var registry = Registry()
        _ = registry.becameReady(entry("crm-1", service: "crm", instance: 1))
        let restarted = registry.ended(replica: "crm-1", isStartedAgain: true)
        #expect(!restarted && registry.endpoints(of: "crm").count == 1)
        let stopped = registry.ended(replica: "crm-1", isStartedAgain: false)
        #expect(stopped && registry.endpoints(of: "crm").isEmpty)
    }

    @Test func theOnlyInstanceGetsItsCallsAlsoWhileItDrains() {
        var registry = Registry()
        _ = registry.becameReady(entry("crm-1", service: "crm", instance: 1))
        let drained = registry.startedDraining(replica: "crm-1")
        #expect(!drained && registry.endpoints(of: "crm").map(\.draining) == [false])
    }

    @Test func theLastOfSeveralThatDrainGetsTheCalls() {
        var registry = Registry()
        _ = registry.becameReady(entry("inventory-1", instance: 1))
        _ = registry.becameReady(entry("inventory-2", instance: 2))
        _ = registry.startedDraining(replica: "inventory-1")
        let second = registry.startedDraining(replica: "inventory-2")
        #expect(!second && registry.endpoints(of: "inventory").map(\.draining) == [true, false])
        let ended = registry.ended(replica: "inventory-2", isStartedAgain: true)
        #expect(!ended && registry.endpoints(of: "inventory").count == 2)
    }

    @Test func oneOfSeveralIsLeftOutWhileItIsStartedAgain() {
        var registry = Registry()
        _ = registry.becameReady(entry("inventory-1", instance: 1))
        _ = registry.becameReady(entry("inventory-2", instance: 2))
        let restarted = registry.ended(replica: "inventory-1", isStartedAgain: true)
        #expect(restarted && registry.endpoints(of: "inventory").map(\.instance.low) == [2])
    }

    @Test func lateNewsOfAnEarlierProcessDoesNotRemoveItsSuccessor() {
        var registry = Registry()
        _ = registry.becameReady(entry("a-1", instance: 1))
        _ = registry.becameReady(entry("a-1", instance: 2))
        let removed = registry.wentAway(replica: "a-1", instance: InstanceID(high: 0, low: 1))
        #expect(!removed)
        #expect(registry.endpoints(of: "inventory").map(\.instance.low) == [2])
    }

    @Test func aDrainingInstanceStaysListedAsSuch() {
        var registry = Registry()
        _ = registry.becameReady(entry("a-1"))
        _ = registry.becameReady(entry("a-2", instance: 2))
        _ = registry.startedDraining(replica: "a-1")
        #expect(registry.endpoints(of: "inventory").map(\.draining) == [true, false])
    }
}
