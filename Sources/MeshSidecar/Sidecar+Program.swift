import Glibc
import MeshModel
import MeshTelemetry
import MeshTransport
public import Metrics
import ServiceLifecycle
import Tracing
import UnixSignals

extension Sidecar {
    /// Runs a service that answers every request by `handler`: the whole of its `main.swift`.
    ///
    ///     await Sidecar.run { request, mesh in
    ///         let stock = try await mesh.call(.inventory, .get, "/stock?sku=\(request.query("sku") ?? "")")
    ///         return MeshResponse(stock)
    ///     }
    ///
    /// See ``program(_:threads:_:)`` for what it brings along.
    public static func run(_ handler: @escaping @Sendable (MeshRequest, Mesh) async throws -> MeshResponse) async {
        await program { sidecar in
            let mesh = sidecar.mesh
            sidecar.serve { request in try await handler(request, mesh) }
        }
    }

    /// Runs the gateway of a mesh under its daemon: the whole of its `main.swift`.
    ///
    ///     await Sidecar.runGateway()
    public static func runGateway(threads: Int? = nil) async {
        await program(threads: threads) { $0.beGateway() }
    }

    /// Runs a service as a program, until SIGTERM or SIGINT: `setup` says how requests are answered, and what else runs.
    ///
    ///     await Sidecar.program { sidecar in
    ///         let database = try Database(folder: sidecar.dataFolder)
    ///         sidecar.serve { request in try await answer(request, database, sidecar.mesh) }
    ///     }
    ///
    /// It writes the log (``SidecarLogging``), joins `withSpan` to the traces of the mesh and swift-metrics to its metrics, and handles signals: the first one drains,
    /// a second one ends the process at once. What goes wrong is written to standard error as one line, and the process ends with
    /// status 1. Returns after a graceful shutdown.
    ///
    /// - Parameters:
    ///   - configuration: As the daemon tells unless given; `try .standalone(…)` runs without one.
    ///   - threads: Event loops; unless given, what `MESH_THREADS` says, or as many as there are cores.
    public static func program(
        _ configuration: @autoclosure () throws -> SidecarConfiguration = .environment, threads: Int? = nil,
        _ setup: @Sendable (Sidecar) async throws -> Void
    ) async {
        // A reader that goes away is an error to whom it concerns, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        DescriptorLimit.raise()
        SidecarLogging.bootstrap()
        do {
            let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
            let sidecar = try Sidecar(try configuration(), threads: threads)
            InstrumentationSystem.bootstrap(sidecar.tracer)
            MetricsSystem.bootstrap(sidecar.metricsFactory)
            try await setup(sidecar)
            try await sidecar.runGroup(until: signals)
        } catch {
            LineWriter.standardError.write("error: \(error)")
            exit(1)
        }
    }

    /// The backend of swift-distributed-tracing by which an application's spans join those of the mesh; ``program(_:threads:_:)`` installs it.
    public var tracer: any Tracer {
        let pipeline = pipeline
        return MeshTracer(recorder: pipeline.shared, onFlush: { pipeline.flush() })
    }

    /// The backend of swift-metrics by which an application's measurements are scraped with those of the mesh; ``program(_:threads:_:)``
    /// installs it.
    public var metricsFactory: any MetricsFactory { metrics }

    private func runGroup(until signals: UnixSignalsSequence) async throws {
        try begin()
        // Shut down from last to first: requests are drained while what they need still runs.
        let workers = state.withLock { $0.services }.map { Worker(service: $0) }
        let services: [any Service] = workers + [Serving(sidecar: self)]
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map {
                    .init(
                        service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .gracefullyShutdownGroup)
                }, logger: logger))
        let watch = Task {
            var isFirst = true
            for await signal in signals {
                guard isFirst else { exit(128 + signal.rawValue) }
                isFirst = false
                await group.triggerGracefulShutdown()
            }
        }
        defer { watch.cancel() }
        do {
            try await group.run()
        } catch {
            await close()
            throw error
        }
        await close()
    }

    /// What runs beside the requests. One that ends by being cancelled, once it is told to shut down, has ended as it should.
    private struct Worker: Service {
        let service: any Service

        func run() async throws {
            do {
                try await service.run()
            } catch is CancellationError where Task.isShuttingDownGracefully || Task.isCancelled {
                // As `cancelWhenGracefulShutdown` ends what sleeps or waits in it.
            }
        }
    }

    /// The part of a sidecar that ends first; calls can be made until the others have ended too.
    private struct Serving: Service {
        let sidecar: Sidecar

        func run() async throws { try await sidecar.serveUntilDrained() }
    }
}
