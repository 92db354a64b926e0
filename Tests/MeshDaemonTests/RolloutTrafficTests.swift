import MeshExchange
import MeshModel
import MeshSupervision
import MeshTransport
import Testing

@testable import meshd

@Suite struct RolloutTrafficTests {
    private let start = Instant.zero + .seconds(1000)
    private let instance = InstanceID(high: 0, low: 1)

    private func told(_ seconds: Int64, requests: UInt64, failures: UInt64 = 0, abandoned: UInt64 = 0, slow: UInt64 = 0)
        -> RolloutTraffic.Told
    {
        var traffic = InboundTraffic()
        traffic.requests = requests
        traffic.failures = failures
        traffic.abandoned = abandoned
        traffic.within = InboundTraffic.bounds.map { $0 > 100 ? requests - failures : requests - failures - slow }
        return .init(at: start + .seconds(seconds), traffic: traffic)
    }

    @Test func onlyWhatCameSinceItBeganCounts() {
        var traffic = RolloutTraffic()
        #expect(traffic.of(instance, isNew: false, told: told(-1, requests: 900), tells: true, now: start + .seconds(2)) == nil)
        traffic.begin(at: start)
        #expect(
            traffic.of(instance, isNew: false, told: told(-1, requests: 1000), tells: true, now: start + .seconds(2))
                == Traffic(covers: .milliseconds(500)))
        let later = traffic.of(
            instance, isNew: false, told: told(2, requests: 1030, failures: 2, abandoned: 3), tells: true, now: start + .seconds(2))
        #expect(later?.requests == 33 && later?.failures == 5 && later?.covers == .seconds(2))
        #expect(later?.latencies.total == 28)
        // What was not told by now has not happened.
        let silent = traffic.of(
            instance, isNew: false, told: told(2, requests: 1030), tells: true, now: start + .seconds(8))
        #expect(silent?.requests == 30 && silent?.covers == .milliseconds(6500))
        // One that never tells is not waited for.
        #expect(traffic.of(instance, isNew: false, told: nil, tells: false, now: start + .seconds(2)) == nil)
    }

    @Test func theFirstAnswersOfANewOneSayNothingOfItsTimes() {
        var traffic = RolloutTraffic()
        traffic.begin(at: start)
        let first = traffic.of(
            instance, isNew: true, told: told(1, requests: 10, failures: 1, slow: 9), tells: true, now: start + .seconds(2))
        #expect(first?.requests == 10 && first?.failures == 1 && first?.latencies.total == 0)
        let second = traffic.of(
            instance, isNew: true, told: told(2, requests: 30, failures: 1, slow: 9), tells: true, now: start + .seconds(2))
        #expect(second?.requests == 30 && second?.latencies.total == 20)
        #expect(second?.latencies.quantile(0.99).map { $0 < .milliseconds(2) } == true)
    }

    @Test func whatAnOldOneAnsweredBeforeIsNotTakenForNew() {
        var traffic = RolloutTraffic()
        traffic.begin(at: start)
        // The daemon came just now, and has no earlier report.
        #expect(
            traffic.of(instance, isNew: false, told: told(1, requests: 5000, failures: 700), tells: true, now: start + .seconds(2))
                == Traffic(), "nothing is known of the time before")
        let later = traffic.of(instance, isNew: false, told: told(2, requests: 5010, failures: 700), tells: true, now: start + .seconds(2))
        #expect(later?.requests == 10 && later?.failures == 0 && later?.covers == .seconds(1))
    }

    @Test func aCanaryHasItsShareOfTheCallsWhateverTheNumbers() {
        var state = RolloutState()
        let ids = (1...4).map { InstanceID(high: 0, low: UInt64($0)) }
        func snapshot(_ versions: [String?], _ weights: [VersionWeight] = []) -> SnapshotConfiguration {
            let endpoints = zip(ids, versions).map { id, version in
                var endpoint = Endpoint(instance: id, addresses: [])
                endpoint.version = version
                return endpoint
            }
            return SnapshotConfiguration(
                revision: 1, mesh: "shop", service: "edge", tier: "edge",
                destinations: [DestinationConfiguration(service: "catalog", endpoints: endpoints, versions: weights)])
        }
        let isNews = state.setCanary(.init(service: "catalog", version: nil, share: 0.1, instances: [ids[3]]), of: "catalog")
        #expect(isNews)
        var plain = snapshot([nil, nil, nil, nil])
        state.adjust(&plain)
        #expect(plain.destinations[0].endpoints.map(\.version) == ["stable", "stable", "stable", "canary"])
        #expect(plain.destinations[0].versions.map(\.name) == ["stable", "canary"])
        #expect(plain.destinations[0].versions.map(\.weight) == [0.9, 0.1])

        // A version with a weight of its own shares that out.
        _ = state.setCanary(nil, of: "catalog")
        _ = state.setCanary(.init(service: "catalog", version: "v2", share: 0.5, instances: [ids[3]]), of: "catalog/v2")
        var weighted = snapshot(["v1", "v1", "v2", "v2"], [.init(name: "v1", weight: 80), .init(name: "v2", weight: 20)])
        state.adjust(&weighted)
        #expect(weighted.destinations[0].endpoints.map(\.version) == ["v1", "v1", "v2", "v2-canary"])
        #expect(weighted.destinations[0].versions.map(\.name) == ["v1", "v2", "v2-canary"])
        #expect(weighted.destinations[0].versions.map(\.weight) == [80, 10, 10])
    }
}
