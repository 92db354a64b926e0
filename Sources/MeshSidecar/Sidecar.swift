import Foundation
import HTTPTypes
public import Logging
import MeshControlProtocol
import MeshExchange
import MeshModel
import MeshTelemetry
import MeshTransport
import NIOCore
public import ServiceLifecycle
import Synchronization

/// The part of a service that the mesh supplies: it takes requests, makes calls, and keeps in touch with the daemon.
///
/// The shortest service:
///
///     import MeshSidecar
///
///     await Sidecar.run { request, mesh in
///         .text("hello from \(request.path)\n")
///     }
///
/// One with a database, a router and work in the background:
///
///     await Sidecar.program { sidecar in
///         let database = try Database(folder: sidecar.dataFolder)
///         sidecar.add(Compensations(database, sidecar.mesh))
///         sidecar.serve { request in try await answer(request, database, sidecar.mesh) }
///     }
///
/// A `Sidecar` is a `Service` too, for a program that has its own `ServiceGroup`.
///
/// `GET /healthz` is answered by the library where the author does not answer it.
public final class Sidecar: Service {
    /// The probe that every service answers.
    public static let healthPath = "/healthz"

    /// The way to other services.
    public let mesh: Mesh
    /// The name of this service.
    public let service: ServiceName
    public let logger: Logger

    enum Inbound: Sendable {
        case handler(Handler)
        /// nil: to the one service in `calls:`.
        case forward(ServiceName?)
        case gateway
    }

    struct State {
        var inbound: Inbound?
        var services: [any Service] = []
        var didRun = false
        var addresses: [MeshModel.SocketAddress] = []
    }

    enum Origin: Sendable {
        case daemon(SidecarEnvironment)
        case fixed(SnapshotConfiguration, listen: MeshModel.SocketAddress)
    }

    let origin: Origin
    let runtime: MeshRuntime
    let pipeline: TelemetryPipeline
    let metrics = MeshMetrics()
    let control: ControlClient?
    let state = Guarded(State())
    let isReady = Atomic<Bool>(false)
    /// Opened by whoever wants this service to end; the value is how long what is in flight may take.
    let drainWanted = Gate<Timespan>()
    /// Opened when requests are taken.
    private let listening = Gate<Void>()
    private let stateFolder: String?

    /// - Throws: ``SidecarStartError``, which says what to do.
    ///
    /// - Parameter threads: Event loops; unless given, what `MESH_THREADS` says, or as many as there are cores.
    public init(_ configuration: SidecarConfiguration = .environment, threads: Int? = nil) throws {
        let identity: SpanOrigin
        let control: ControlClient?
        let spanSocket: String?
        let initial: SnapshotConfiguration
        var threads = threads
        switch configuration.source {
        case .environment(let variables, let firstDescriptor):
            let environment = try SidecarEnvironment(variables, firstDescriptor: firstDescriptor)
            identity = SpanOrigin(
                instance: environment.instance, service: environment.service, tier: environment.tier, version: environment.version,
                clock: HostClock.identity)
            origin = .daemon(environment)
            stateFolder = environment.stateFolder
            threads = threads ?? environment.threads
            logger = Logger(label: environment.service)
            control = ControlClient(path: environment.controlPath, hello: environment.hello, logger: logger)
            spanSocket = SpanSocket.path(beside: environment.controlPath)
            // Calls wait for the daemon's first one.
            initial = SnapshotConfiguration(
                revision: 0, mesh: environment.mesh, service: environment.service, tier: environment.tier)
        case .fixed(let snapshot, let listen, let folder):
            var random = RandomSource.fromSystem()
            identity = SpanOrigin(
                instance: .random(&random), service: snapshot.service, tier: snapshot.tier, clock: HostClock.identity)
            origin = .fixed(snapshot, listen: listen)
            stateFolder = folder
            logger = Logger(label: snapshot.service)
            control = nil
            spanSocket = nil
            initial = snapshot
        }
        service = ServiceName(identity.service)
        self.control = control
        let loops = threads ?? System.coreCount
        var settings = TelemetryPipeline.Settings()
        settings.loops = loops
        // Without a daemon nobody reads spans: they are recorded all the same, so that code behaves alike everywhere.
        if control == nil { settings.ringCapacity = 64 << 10 }
        pipeline = TelemetryPipeline(origin: identity, settings: settings, daemon: spanSocket)
        if let failure = pipeline.failure { logger.warning("records no traces", metadata: ["reason": "\(failure)"]) }
        do {
            runtime = try MeshRuntime(initial, threads: loops, telemetry: pipeline)
        } catch {
            throw SidecarStartError.configurationUnusable("\(error)")
        }
        mesh = Mesh(runtime: runtime, service: service, spans: pipeline.shared)
    }

    // MARK: What it does

    /// Answers every request by `handler`.
    ///
    ///     sidecar.serve { request in
    ///         guard let sku = request.query("sku") else { throw Problem(.badRequest, detail: "which sku?") }
    ///         return try .json(stock(of: sku))
    ///     }
    ///
    /// A ``Problem`` that it throws is the answer. A ``CallError`` becomes 502, 503 or 504, an ``UnexpectedStatus`` 502, anything
    /// else 500 without details, and a line in the log.
    public func serve(_ handler: @escaping @Sendable (MeshRequest) async throws -> MeshResponse) {
        state.withLock { $0.inbound = .handler(handler) }
    }

    /// Passes every request on to a service as it comes, without reading it: the fastest way through a service.
    ///
    ///     sidecar.forward(everythingTo: .echo)
    public func forward(everythingTo service: ServiceName) {
        state.withLock { $0.inbound = .forward(service) }
    }

    /// Passes every request on to the one service in this one's `calls:`.
    public func forwardEverything() {
        state.withLock { $0.inbound = .forward(nil) }
    }

    /// Is the gateway of the mesh: takes requests from outside, and leads them along the routes of mesh.yaml.
    public func beGateway() {
        state.withLock { $0.inbound = .gateway }
    }

    /// Adds a service that runs beside the requests: a worker, a pool of database connections.
    ///
    /// It is told to shut down after the requests in flight are answered.
    public func add(_ service: any Service) {
        state.withLock { $0.services.append(service) }
    }

    // MARK: Where it is

    /// The folder for what this service keeps: `data/<service>/` below the state folder of the mesh. Made if it is not there.
    public var dataFolder: String {
        get throws {
            let base = stateFolder ?? NSTemporaryDirectory() + "mesh-\(getuid())"
            let folder = "\(base)/data/\(service)"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            return folder
        }
    }

    /// Where requests are taken, as `host:port` or `unix:/path`; suspends until they are.
    ///
    /// - Throws: What kept this service from listening.
    public func addresses() async throws -> [String] {
        try await listening.value()
        return state.withLock { $0.addresses.map { $0.description } }
    }

    // MARK: Running

    /// Runs until it is told to shut down gracefully or its task is cancelled: stops accepting, finishes what is in flight, hands
    /// over the last spans.
    ///
    /// For a program's own `ServiceGroup`; ``run(_:)`` and ``program(_:threads:_:)`` bring theirs, with signals and a log.
    public func run() async throws {
        try begin()
        do {
            try await serveUntilDrained()
        } catch {
            await close()
            throw error
        }
        await close()
    }

    /// Claims the one run that there is.
    func begin() throws(SidecarStartError) {
        try state.withLock { state throws(SidecarStartError) in
            guard !state.didRun else { throw .alreadyRan }
            state.didRun = true
        }
    }

    /// Everything but the end: calls can still be made afterwards.
    func serveUntilDrained() async throws {
        let inbound = state.withLock { $0.inbound }
        pipeline.start()
        do {
            guard let inbound else { throw SidecarStartError.nothingToServe(service) }
            try await withGracefulShutdownHandler {
                try await serve(inbound)
            } onGracefulShutdown: { [drainWanted] in
                drainWanted.open(Drain.defaultWithin)
            }
        } catch {
            listening.fail(error)
            mesh.configured.fail(error)
            throw error
        }
    }

    private func serve(_ inbound: Inbound) async throws {
        guard try await configure() else { return }
        let listeners = try await listen(try mode(for: inbound))
        state.withLock { $0.addresses = listeners.compactMap(\.address) }
        isReady.store(true, ordering: .relaxed)
        listening.open(())
        control?.healthChanged(to: Health(ready: true))
        logger.info("ready", metadata: ["at": "\(listeners.compactMap { $0.address?.description }.joined(separator: ", "))"])

        // Cancelled instead of told to shut down: at once.
        let within = (try? await drainWanted.value()) ?? .zero
        isReady.store(false, ordering: .relaxed)
        logger.info("draining", metadata: ["within": "\(Duration.nanoseconds(within.nanoseconds).formattedMilliseconds)"])
        control?.stoppingBegan()
        let deadline = HostClock.now() + within
        await runtime.drain(within: within)
        let left = deadline - HostClock.now()
        if await !mesh.detachedWork.finished(within: .nanoseconds(max(0, left.nanoseconds))) {
            logger.warning("ended before all detached work was done", metadata: ["running": "\(mesh.detachedWork.running)"])
        }
    }

    /// The first configuration; false when this service is to end before it came.
    private func configure() async throws -> Bool {
        switch origin {
        case .fixed:
            mesh.configured.open(())
            return true
        case .daemon(let environment):
            let (runtime, mesh, drainWanted, pipeline) = (runtime, mesh, drainWanted, pipeline)
            control?.start(
                for: ControlClient.Owner(
                    install: { message in
                        let configuration = try message.decoded()
                        try runtime.install(configuration)
                        pipeline.shared.setKeeping(configuration.keeping)
                        mesh.configured.open(())
                    },
                    drain: { drainWanted.open($0.within) },
                    statistics: { [metrics] in
                        InstanceStatistics(
                            counters: runtime.inboundTraffic.counters.merging([InstanceStatistics.spansDropped: pipeline.dropped]) { $1 },
                            edges: runtime.edgeReports(), metrics: metrics.families)
                    }))
            return try await withThrowingTaskGroup { group in
                group.addTask {
                    try await mesh.configured.value()
                    return true
                }
                group.addTask {
                    _ = try await drainWanted.value()
                    return false
                }
                group.addTask { [logger] in
                    try await Task.sleep(for: .seconds(3))
                    logger.notice("waiting for the first configuration", metadata: ["socket": "\(environment.controlPath)"])
                    try await Task.sleep(for: .seconds(1 << 30))
                    return false
                }
                defer { group.cancelAll() }
                return try await group.next() ?? false
            }
        }
    }

    private func mode(for inbound: Inbound) throws -> InboundMode {
        switch inbound {
        case .handler(let handler):
            let answering = Answering(
                handler: handler, isReady: { [weak self] in self?.isReady.load(ordering: .relaxed) ?? false }, logger: logger)
            return .handler { request in await answering(request) }
        case .forward(let service?): return .forward(to: service.description)
        case .forward(nil):
            let callees = runtime.snapshot.allDestinations.map { ServiceName($0.service) }
            guard callees.count == 1 else { throw SidecarStartError.notOneCallee(service, calls: callees) }
            return .forward(to: callees[0].description)
        case .gateway: return .gateway
        }
    }

    private func listen(_ mode: InboundMode) async throws -> [BoundListener] {
        var listeners: [BoundListener] = []
        switch origin {
        case .fixed(_, let address):
            listeners.append(try await listen(on: .address(address), mode))
        case .daemon(let environment):
            for descriptor in environment.descriptors {
                // A program that this service starts must not keep the socket open.
                CloseOnExec.set(descriptor)
                listeners.append(try await listen(on: .inheritedDescriptor(descriptor), mode))
            }
        }
        return listeners
    }

    private func listen(on target: ListenTarget, _ mode: InboundMode) async throws(SidecarStartError) -> BoundListener {
        do {
            return try await runtime.listen(on: target, as: mode)
        } catch {
            throw .cannotListen("\(error)")
        }
    }

    /// Hands over the last spans and ends every connection.
    func close() async {
        pipeline.shutdown()
        await control?.end()
        await runtime.shutDown()
    }
}
