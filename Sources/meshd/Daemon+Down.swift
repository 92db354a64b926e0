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
            let start = SystemClock.now()
            let replicas = await supervisor.snapshot()
            let order = applied?.deployment.stopOrder ?? Self.stopOrder(of: replicas)
            await supervisor.stopAll(order: now ? [] : order, atOnce: now) { gone in
                guard let replica = replicas.first(where: { $0.replica == gone }) else { return }
                continuation.yield(
                    .tier(
                        TierProgress(
                            tier: replica.tier, services: [ServiceProgress(service: replica.service, ready: 1, wanted: 1)], isDone: true,
                            seconds: (SystemClock.now() - start).seconds)))
            }
            await upTask?.value
            let living = replicas.filter { $0.processID != nil }.count
            continuation.yield(.finished(.init(processes: living, seconds: (SystemClock.now() - start).seconds)))
            continuation.finish()
            end()
        }
        return stream
    }

    /// Without a mesh.yaml, after an adoption: the gateway first, then whatever there is.
    private static func stopOrder(of replicas: [ReplicaSnapshot]) -> [[String]] {
        let services = Set(replicas.map(\.service))
        return [["gateway"], Array(services.subtracting(["gateway"]))]
    }
}
