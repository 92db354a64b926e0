import MeshAdminAPI
import MeshModel
import MeshSupervision
import MeshTelemetry

/// Stopping everything.
extension Daemon {
    /// Ends every process of the mesh, callers first, and then this daemon.
    ///
    /// - Parameter now: without waiting for requests that are under way.
    func down(now: Bool) -> AsyncStream<DownEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: DownEvent.self)
        Task {
            phase = .stopping
            upTask?.cancel()
            watching?.cancel()
            let start = SystemClock.now()
            let replicas = await supervisor.snapshot()
            let order = applied?.deployment.stopOrder ?? Self.stopOrder(of: replicas)
            let progress = Guarded(DownProgress(replicas))
            for tier in progress.withLock({ $0.all }) { continuation.yield(.tier(tier)) }
            await supervisor.stopAll(order: now ? [] : order, atOnce: now) { gone in
                let tier = progress.withLock { $0.isGone(gone, after: (SystemClock.now() - start).seconds) }
                if let tier { continuation.yield(.tier(tier)) }
            }
            await upTask?.value
            // What a change that was under way had just begun.
            await supervisor.stopAll(order: [], atOnce: now)
            let living = replicas.filter { $0.processID != nil }.count
            continuation.yield(.finished(.init(processes: living, seconds: (SystemClock.now() - start).seconds)))
            continuation.finish()
            phase = .idle
            endIfEmptySoon()
        }
        return stream
    }

    /// Without a mesh.yaml, after an adoption: the gateway first, then whatever there is.
    private static func stopOrder(of replicas: [ReplicaSnapshot]) -> [[String]] {
        let services = Set(replicas.map(\.service))
        return [["gateway"], Array(services.subtracting(["gateway"]))]
    }
}

/// How far the tiers have come on their way down.
private struct DownProgress: Sendable {
    private var tiers: [(name: String, services: [ServiceProgress])] = []
    private var places: [String: (tier: Int, service: Int)] = [:]

    init(_ replicas: [ReplicaSnapshot]) {
        for replica in replicas {
            let tier = tiers.firstIndex { $0.name == replica.tier } ?? tiers.count
            if tier == tiers.count { tiers.append((replica.tier, [])) }
            let service = tiers[tier].services.firstIndex { $0.service == replica.service } ?? tiers[tier].services.count
            if service == tiers[tier].services.count {
                tiers[tier].services.append(ServiceProgress(service: replica.service, ready: 0, wanted: 0))
            }
            tiers[tier].services[service].wanted += 1
            places[replica.replica] = (tier, service)
        }
    }

    /// As it is before anything is gone.
    var all: [TierProgress] { tiers.map { TierProgress(tier: $0.name, services: $0.services, isDone: false, seconds: 0) } }

    mutating func isGone(_ replica: String, after seconds: Double) -> TierProgress? {
        guard let (tier, service) = places[replica] else { return nil }
        tiers[tier].services[service].ready += 1
        let isDone = tiers[tier].services.allSatisfy { $0.ready == $0.wanted }
        return TierProgress(tier: tiers[tier].name, services: tiers[tier].services, isDone: isDone, seconds: seconds)
    }
}
