package import HTTPTypes
internal import MeshEventLoop
package import MeshExchange
package import MeshModel
package import MeshTelemetry
internal import NIOCore
internal import Synchronization

/// The data plane of one process: event loops, the snapshot that they follow, listeners, and the way out for calls.
package final class MeshRuntime: Sendable {
    private struct State {
        var snapshot: Snapshot
        var tls: TLSContexts
        var accessLog: AccessLog?
        var listeners: [StreamListener] = []
    }

    let group: EpollLoopGroup
    let loops: [TransportLoop]
    let shared: SharedState
    let gate: AcceptGate
    private let state: Guarded<State>
    private let nextLoop = Atomic<Int>(0)

    /// - Parameters:
    ///   - threads: event loops; one for each core that is to be used.
    ///   - telemetry: where spans go; nil records none.
    /// - Throws: `SnapshotError` where the configuration can't be followed, `TLSUnusable` where its certificates can't
    ///   be used, `AccessLogUnusable` where its log can't be written.
    package convenience init(_ configuration: SnapshotConfiguration, threads: Int, telemetry: TelemetryPipeline? = nil) throws {
        try self.init(configuration, threads: threads, telemetry: telemetry, resolver: NameResolver())
    }

    init(
        _ configuration: SnapshotConfiguration, threads: Int, telemetry: TelemetryPipeline? = nil, resolver: NameResolver,
        replay: ReplayAccount = ReplayAccount()
    ) throws {
        let snapshot = try Snapshot(configuration, after: nil, now: HostClock.now())
        let tls = try TLSContexts(configuration)
        let accessLog = try configuration.accessLog.map { log throws(AccessLogUnusable) in try AccessLog(log) }
        group = EpollLoopGroup(threads: max(1, threads))
        let shared = SharedState(service: configuration.service, tier: configuration.tier, resolver: resolver, replay: replay)
        self.shared = shared
        loops = group.loops.map { eventLoop in
            TransportLoop(
                eventLoop: eventLoop, index: eventLoop.index, snapshot: snapshot, tls: tls, accessLog: accessLog,
                recorder: telemetry?.makeRecorder() ?? .disabled, shared: shared)
        }
        gate = AcceptGate(loop: loops[0].entrance, limit: configuration.limits.connections)
        state = Guarded(State(snapshot: snapshot, tls: tls, accessLog: accessLog))
        shared.seats.follow(configuration.limits.inFlight, now: HostClock.now())
    }

    package var snapshot: Snapshot { state.withLock { $0.snapshot } }

    /// Makes all loops follow a new configuration; calls in flight end as they began. Certificates are read again, and the
    /// access log is opened again.
    ///
    /// - Throws: `SnapshotError`, `TLSUnusable` or `AccessLogUnusable`; the configuration before stays in force.
    package func install(_ configuration: SnapshotConfiguration) throws {
        let (snapshot, tls, accessLog) = try state.withLock { state in
            let tls = try TLSContexts(configuration, after: state.tls)
            let accessLog = try configuration.accessLog.map { log throws(AccessLogUnusable) in try AccessLog(log) }
            let snapshot = try Snapshot(configuration, after: state.snapshot, now: HostClock.now())
            state.snapshot = snapshot
            state.tls = tls
            state.accessLog = accessLog
            return (snapshot, tls, accessLog)
        }
        shared.seats.follow(configuration.limits.inFlight, now: HostClock.now())
        let takers = Set(configuration.destinations.flatMap { $0.endpoints.lazy.filter { !$0.draining }.map(\.instance) })
        for loop in loops { loop.entrance.execute { loop.install(snapshot, tls, accessLog, takers: takers) } }
        let gate = gate
        loops[0].entrance.execute { gate.limitChanged(to: configuration.limits.connections) }
    }

    package var inboundTraffic: InboundTraffic {
        var traffic = InboundTraffic()
        for loop in loops { loop.inbound.add(to: &traffic) }
        traffic.shed = shared.seats.shed
        traffic.limit = shared.seats.limit
        return traffic
    }

    /// How every edge of this process is doing, by the names of the services called.
    package func edgeReports() -> [EdgeReport] {
        let anchor = TimeAnchor.capture()
        return snapshot.allDestinations.map { $0.report(now: anchor.instant, wall: anchor.wall) }.sorted { $0.to < $1.to }
    }

    // MARK: - Calls

    /// Calls a service of the snapshot; the answer's head is there when this returns, its body follows as it is read.
    ///
    /// - Parameter timeout: for this call; it only shortens what the edge allows.
    /// - Throws: `CallError`, and `CancellationError` when the task is cancelled, which cancels the call upstream as well, or the
    ///   runtime is shut down.
    package func call(
        _ service: String, method: HTTPRequest.Method = .get, path: String, fields: HTTPFields = HTTPFields(),
        body: OutboundBody = .none, context: CallContext = CallContext(), timeout: Timespan? = nil
    ) async throws -> CallResponse {
        let loop = loops[nextLoop.wrappingAdd(1, ordering: .relaxed).oldValue % loops.count]
        let call = AsyncCall(loop: loop)
        let request = AsyncCall.Request(
            service: service, method: method, path: path, fields: fields, body: body, context: context, timeout: timeout)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isTaken = loop.entrance.execute { call.begin(request, continuation) }
                if !isTaken { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            call.cancel()
        }
    }

    // MARK: - Listeners

    /// Takes connections; they are spread evenly over the loops.
    ///
    /// - Throws: `ListenFailed`.
    package func listen(on target: ListenTarget, as mode: InboundMode) async throws -> BoundListener {
        let listener = try await Listener.bind(target, mode: mode, runtime: self)
        state.withLock { $0.listeners.append(listener) }
        return BoundListener(listener: listener)
    }

    /// Takes no further connection, lets answers in flight end (with `Connection: close`), and closes what is left at the deadline.
    package func drain(within time: Timespan) async {
        let listeners = state.withLock { state in
            defer { state.listeners = [] }
            return state.listeners
        }
        await stopAccepting(listeners)
        let ended = loops.map { loop -> EventLoopFuture<Void> in
            let promise = loop.eventLoop.makePromise(of: Void.self)
            loop.entrance.execute { loop.drain(promise) }
            return promise.futureResult
        }
        let first = loops[0].eventLoop
        let all = EventLoopFuture.andAllComplete(ended, on: first)
        let limit = first.makePromise(of: Void.self)
        let timer = first.scheduleTask(in: .nanoseconds(max(0, time.nanoseconds))) { limit.succeed() }
        all.whenComplete { _ in
            timer.cancel()
            limit.succeed()
        }
        try? await limit.futureResult.get()
    }

    /// Closes listeners, and waits until what they have accepted has arrived at its loops.
    private func stopAccepting(_ listeners: [StreamListener]) async {
        for listener in listeners { await listener.close() }
        for loop in loops { try? await loop.eventLoop.submit {}.get() }
    }

    /// Closes everything, and ends the loops. What tasks still do with requests, bodies and calls of this runtime fails.
    package func shutDown() async {
        let listeners = state.withLock { state in
            defer { state.listeners = [] }
            return state.listeners
        }
        for listener in listeners { await listener.close() }
        for loop in loops { loop.entrance.close() }
        for loop in loops { try? await loop.eventLoop.submit { loop.closeAll() }.get() }
        state.withLock { $0.accessLog }?.flush()
        try? await group.shutdownGracefully()
    }
}
