internal import MeshEventLoop
internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import MeshTelemetry
internal import NIOCore

/// What belongs to one event loop: its clock, timers, randomness, snapshot, connection pools and spans.
///
/// Invariant: everything but `eventLoop`, `sockets`, `entrance` and `index` is touched on the loop only.
final class TransportLoop: @unchecked Sendable {
    let eventLoop: any EventLoop
    /// The same, where it has sockets: one that is moved by hand has none.
    let sockets: EpollLoop?
    /// For everybody who is not on the loop.
    let entrance: LoopEntrance
    let index: Int
    let recorder: SpanRecorder
    let shared: SharedState

    /// The time of the event that is being handled: read once per event, by `tick`.
    private(set) var now: Instant
    var random: RandomSource
    /// Replaced as a whole; calls in flight keep the destination that they began with.
    private(set) var snapshot: Snapshot
    // What every request needs of the snapshot, at hand.
    private(set) var limits = InboundLimits()
    private(set) var timeouts = InboundTimeouts()
    private(set) var continuesTraces = false
    private(set) var retryCredit = RetryCreditPolicy.standard
    private(set) var healthPath: [UInt8] = []
    private(set) var trustedProxies = AddressSet()
    private(set) var keepKey: [UInt8] = []
    var decider = KeepDecider()
    private(set) var tls: TLSContexts
    private(set) var proxyProtocol = false
    private(set) var accessLog: AccessLogBuffer?
    private(set) var pools: [InstanceID: ConnectionPool] = [:]
    /// The pools asked for last, by the address of the endpoint, which is held here so that no other can get it.
    private var recent: [(EndpointReference, ConnectionPool)?] = Array(repeating: nil, count: TransportLoop.recentPools)
    private static let recentPools = 64
    var connections: [ObjectIdentifier: any ClientConnection] = [:]
    let inbound = InboundCounters()
    /// Copies of requests under way.
    var mirrors = 0
    private(set) var isDraining = false
    private var drained: [EventLoopPromise<Void>] = []

    private var timers = DeadlineQueue()
    private var wakeAt = Instant.distantFuture
    private var wake: Scheduled<Void>?

    private var freeCalls: [ForwardedCall] = []
    var handlerPlacement = HandlerPlacement()
    /// Where requests are put together. Its storage is used again as soon as the socket has taken what was written.
    var requestOutput = ByteBuffer()
    /// Whose head lies in `requestOutput` until the first piece of its body joins it, before the source's present read is used up.
    var headOwner: UpstreamConnection?
    /// The same for responses; `outputOwner` is the connection whose answer lies in it and was not written yet.
    var responseOutput = ByteBuffer()
    unowned(unsafe) var outputOwner: ServerConnection?
    /// Heads that HTTP/2 translates; used again at once.
    var headText = ByteBuffer()
    var normalizer = PathNormalizer()
    /// Trailer fields are checked and not kept.
    var trailerFields = FieldList()
    var date = DateField()

    init(
        eventLoop: any EventLoop, index: Int, snapshot: Snapshot, tls: TLSContexts, accessLog: AccessLog?, recorder: SpanRecorder,
        shared: SharedState
    ) {
        self.eventLoop = eventLoop
        sockets = eventLoop as? EpollLoop
        entrance = LoopEntrance(to: eventLoop)
        self.index = index
        self.snapshot = snapshot
        self.tls = tls
        self.recorder = recorder
        self.shared = shared
        now = HostClock.now()
        random = RandomSource.fromSystem()
        adopt(snapshot, tls, accessLog)
    }

    private func adopt(_ snapshot: Snapshot, _ tls: TLSContexts, _ log: AccessLog?) {
        if self.snapshot.configuration.routes != snapshot.configuration.routes { decider.routesChanged() }
        decider.rule = snapshot.configuration.keeping
        keepKey = Array((snapshot.configuration.keepKey ?? "").utf8)
        self.snapshot = snapshot
        self.tls = tls
        accessLog?.flush()
        accessLog = log.map { AccessLogBuffer($0, loop: self) }
        limits = snapshot.configuration.limits
        timeouts = snapshot.configuration.timeouts
        continuesTraces = snapshot.configuration.traceContextContinues
        retryCredit = snapshot.configuration.retryCredit
        healthPath = Array((snapshot.configuration.healthPath ?? "").utf8)
        proxyProtocol = snapshot.configuration.proxyProtocol
        trustedProxies = AddressSet(snapshot.configuration.trustedProxies)
    }

    /// Reads the clock; the first thing that every event does.
    @discardableResult
    func tick() -> Instant {
        now = HostClock.now()
        return now
    }

    // MARK: Timers

    func setTimer(_ owner: LoopTimed, due: Instant) {
        timers.set(owner, due: due)
        if due < wakeAt { rearm() }
    }

    func removeTimer(_ owner: LoopTimed) { timers.remove(owner) }

    private func rearm() {
        guard let next = timers.next, next < wakeAt else { return }
        wake?.cancel()
        wakeAt = next
        wake = eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(UInt64(max(0, next.nanoseconds)))) { [self] in
            wakeAt = .distantFuture
            wake = nil
            tick()
            while let owner = timers.popDue(now: now) { owner.timerFired(now: now) }
            rearm()
        }
    }

    // MARK: Calls and pools

    func takeCall() -> ForwardedCall { freeCalls.popLast() ?? ForwardedCall(loop: self) }

    /// Takes back a call that nothing refers to any more.
    func recycle(_ call: ForwardedCall) {
        call.reset()
        if freeCalls.count < 256 { freeCalls.append(call) }
    }

    func pool(for endpoint: EndpointReference) -> ConnectionPool {
        let slot = Int(bitPattern: Unmanaged.passUnretained(endpoint).toOpaque()) >> 5 & (Self.recentPools - 1)
        if let (known, pool) = recent[slot], known === endpoint { return pool }
        let instance = endpoint.endpoint.instance
        let pool = pools[instance] ?? ConnectionPool(loop: self)
        pools[instance] = pool
        recent[slot] = (endpoint, pool)
        return pool
    }

    /// Takes a new snapshot; pools of instances that take no calls any more close what is idle and end with their last call.
    ///
    /// Of an instance that drains, the client ends the idle connections, since it knows what it is about to send on them; the server,
    /// which does not, would lose it.
    func install(_ snapshot: Snapshot, _ tls: TLSContexts, _ accessLog: AccessLog?, takers: Set<InstanceID>) {
        adopt(snapshot, tls, accessLog)
        recent = Array(repeating: nil, count: Self.recentPools)
        for (instance, pool) in pools where !takers.contains(instance) {
            pool.retire()
            pools[instance] = nil
        }
    }

    // MARK: Draining

    /// Answers in flight end with `Connection: close`, idle connections are closed; the promise succeeds when none is left.
    func drain(_ promise: EventLoopPromise<Void>) {
        isDraining = true
        tick()
        for connection in Array(connections.values) { connection.beginDraining() }
        if connections.isEmpty { promise.succeed() } else { drained.append(promise) }
    }

    /// Closes what is still open, and ends the calls that tasks of this process wait for.
    ///
    /// Position: after the entrance was closed, so that nothing begins behind it.
    func closeAll() {
        tick()
        for connection in Array(connections.values) { connection.abort() }
        for owner in timers.owners { owner.loopEnds() }
        for pool in pools.values { pool.retire() }
        pools = [:]
        recent = Array(repeating: nil, count: Self.recentPools)
        accessLog?.flush()
        // They hold this loop, as everything on it does.
        freeCalls = []
        timers.removeAll()
        wake?.cancel()
    }

    func connectionOpened(_ connection: any ClientConnection) {
        connections[ObjectIdentifier(connection)] = connection
    }

    func connectionClosed(_ connection: any ClientConnection) {
        connections[ObjectIdentifier(connection)] = nil
        guard connections.isEmpty, !drained.isEmpty else { return }
        let promises = drained
        drained = []
        for promise in promises { promise.succeed() }
    }
}

/// A connection of a client, whatever it speaks.
protocol ClientConnection: AnyObject {
    /// The process is about to end: what is under way ends, and nothing further begins.
    func beginDraining()
    func abort()
}
