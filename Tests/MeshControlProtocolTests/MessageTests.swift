import MeshControlProtocol
import MeshExchange
import MeshModel
import Testing

@Suite struct MessageTests {
    static let instance = InstanceID(high: 0x0123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef)

    static let instanceMessages: [InstanceMessage] = [
        .hello(
            Hello(
                instance: instance, service: "orders", tier: "domain", replica: "orders-1", version: "v2", processID: 42, revision: 7
            )),
        .hello(Hello(instance: instance, service: "orders")),
        .acknowledged(Acknowledgement(revision: 8)),
        .refused(Refusal(revision: 9, reason: "no such balancer")),
        .health(Health(ready: true)),
        .health(Health(ready: false, reason: "draining")),
        .spans([0, 1, 2, 255]),
        .statistics(InstanceStatistics(counters: [InstanceStatistics.spansDropped: 3])),
        .stopping,
    ]

    static let daemonMessages: [DaemonMessage] = [
        .configuration(ConfigurationMessage(revision: 12, json: Array(#"{"revision":12,"mesh":"shop"}"#.utf8))),
        .drain(Drain(within: .milliseconds(1_500))),
    ]

    @Test(arguments: instanceMessages) func `what an instance says comes back from its frame`(message: InstanceMessage) throws {
        #expect(try InstanceMessage(message.frame) == message)
        #expect(message.frame.type < 128)
    }

    @Test(arguments: daemonMessages) func `what the daemon says comes back from its frame`(message: DaemonMessage) throws {
        #expect(try DaemonMessage(message.frame) == message)
        #expect(message.frame.type >= 128)
    }

    @Test func `a type from a newer peer is ignored`() throws {
        #expect(try InstanceMessage(Frame(type: 100, payload: [1])) == nil)
        #expect(try DaemonMessage(Frame(type: 200, payload: [1])) == nil)
        #expect(try DaemonMessage(InstanceMessage.stopping.frame) == nil)
    }

    @Test func `a field from a newer peer is ignored, and a missing one has its default`() throws {
        let newer = Frame(
            type: 1,
            payload: Array(
                #"{"instance":"01234567-89ab-4def-8123-456789abcdef","service":"crm","zone":"b","protocol":9,"labels":{"a":[1]}}"#.utf8))
        #expect(try InstanceMessage(newer) == .hello(Hello(protocolVersion: 9, instance: Self.instance, service: "crm")))

        #expect(try InstanceMessage(Frame(type: 4, payload: Array("{}".utf8))) == .health(Health(ready: true)))
        #expect(try InstanceMessage(Frame(type: 6, payload: Array("{}".utf8))) == .statistics(InstanceStatistics()))
        #expect(
            try InstanceMessage(Frame(type: 3, payload: Array(#"{"revision":4}"#.utf8)))
                == .refused(Refusal(revision: 4, reason: "no reason was given")))
        #expect(try DaemonMessage(Frame(type: 129, payload: Array("{}".utf8))) == .drain(Drain(within: Drain.defaultWithin)))
    }

    @Test func `a payload that can't be read says what is wrong with it`() {
        let missing = #expect(throws: MalformedMessage.self) { _ = try InstanceMessage(Frame(type: 1, payload: Array("{}".utf8))) }
        #expect(missing?.reason == "'instance' is missing at the top level")
        #expect(throws: MalformedMessage.self) { _ = try DaemonMessage(Frame(type: 128, payload: Array("nonsense".utf8))) }
        #expect(throws: MalformedMessage.self) { _ = try DaemonMessage(Frame(type: 128, payload: Array(#"{"mesh":"shop"}"#.utf8))) }
    }

    @Test func `a configuration keeps its bytes, whatever is in them`() throws {
        let json = Array(#"{"revision": 3, "from": {"the": "future"}}"#.utf8)
        let message = try DaemonMessage(Frame(type: 128, payload: json))
        #expect(message == .configuration(ConfigurationMessage(revision: 3, json: json)))
    }

    @Test func `a snapshot comes back from its configuration, and one from the future is read as far as it is known`() throws {
        let snapshot = SnapshotConfiguration(
            revision: 5, mesh: "shop", tiers: ["edge", "domain"], service: "orders", tier: "domain",
            destinations: [
                DestinationConfiguration(
                    service: "crm", endpoints: [Endpoint(instance: Self.instance, addresses: [.unix(path: "/run/mesh/crm-1")])])
            ])
        let message = ConfigurationMessage(snapshot)
        #expect(message.revision == 5)
        #expect(try message.decoded() == snapshot)

        let future = ConfigurationMessage(revision: 6, json: Array(#"{"revision":6,"mesh":"shop","service":"crm","zones":["a"]}"#.utf8))
        #expect(try future.decoded() == SnapshotConfiguration(revision: 6, mesh: "shop", service: "crm"))
        #expect(throws: MalformedMessage.self) {
            _ = try ConfigurationMessage(revision: 7, json: Array(#"{"revision":7,"destinations":3}"#.utf8)).decoded()
        }
    }

    @Test(arguments: [(-5, 0), (Int64.max, 86_400_000)] as [(Int64, Int64)]) func `a senseless time to drain is bounded`(
        said: Int64, meant: Int64
    ) throws {
        let message = try DaemonMessage(Frame(type: 129, payload: Array(#"{"within_ms":\#(said)}"#.utf8)))
        #expect(message == .drain(Drain(within: .milliseconds(meant))))
    }
}
