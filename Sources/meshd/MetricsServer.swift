import Hummingbird
import Logging
import MeshModel

/// Serves `/metrics` to Prometheus on the address that mesh.yaml names, and on no other.
///
/// A port that somebody else has keeps no mesh from running: the log says so, and it is tried again with the next `up`.
struct MetricsServer {
    private var address: SocketAddress?
    private var task: Task<Void, Never>?

    /// Listens there from now on; nil for nowhere.
    mutating func follow(_ wanted: SocketAddress?, of daemon: Daemon, logger: Logger) {
        guard wanted != address else { return }
        task?.cancel()
        let previous = task
        address = wanted
        guard case .tcp(let host, let port)? = wanted else { return }
        task = Task {
            await previous?.value
            let router = Router()
            router.get("/metrics") { _, _ in await metricsAnswer(daemon) }
            let application = Application(
                router: router, configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: "meshd"),
                logger: logger)
            do {
                try await application.run()
            } catch is CancellationError {
                // Another address, or none, is wanted now.
            } catch {
                logger.error("metrics can't be served on \(host):\(port): \(error); set metrics.listen to a free port, and mesh up again")
            }
        }
    }
}
