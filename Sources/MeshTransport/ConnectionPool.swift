internal import MeshExchange
internal import MeshModel
internal import MeshPolicy
internal import NIOCore

/// The connections of one event loop to one instance.
///
/// It leases streams; in HTTP/1.1 a connection has one, in HTTP/2 as many as the peer allows. Invariant: an idle connection is open as far as this host knows,
/// has no byte of a response waiting, and its last exchange ended cleanly on both sides.
final class ConnectionPool {
    /// Connections that wait for work; those above it are closed instead of kept.
    static let mostIdle = 512

    /// How long a connection waits; shorter than the server's patience, so that the client closes first.
    private(set) var idleTimeout = Timespan.seconds(60)
    private let loop: TransportLoop
    /// The youngest last: it is taken first, so that the others can grow old and go.
    private var idle: [UpstreamConnection] = []
    /// Of HTTP/2, as long as they take streams.
    private var shared: [HTTP2UpstreamConnection] = []
    /// The peer speaks HTTP/2, as was seen or is known beforehand: one connection is enough for many calls.
    private var speaksHTTP2 = false
    /// How many connections are being made.
    private var connecting = 0
    /// Calls that share a connection which is being made.
    private var waiting: [WaitingStream] = []
    /// What the peer last said that it takes.
    var streamsPerConnection = HTTP2Limits.streams
    private var isRetired = false

    init(loop: TransportLoop) { self.loop = loop }

    var idleCount: Int { idle.count }

    /// A connection that can take a request at once; nil when there is none.
    ///
    /// `mustBeSure`: the request may not be sent twice, so the socket itself is asked whether the peer has closed it.
    func lease(mustBeSure: Bool) -> UpstreamStream? {
        while let connection = idle.popLast() {
            if connection.canCarry(mustBeSure: mustBeSure || loop.now - connection.idleSince > .seconds(1)) { return connection }
            connection.close()
        }
        for connection in shared where connection.canCarry(mustBeSure: mustBeSure) { return HTTP2UpstreamStream(on: connection) }
        return nil
    }

    /// Begins a connection, or waits for one of HTTP/2 that has been begun.
    ///
    /// `call` hears of it as `upstreamBegan`, and of the outcome, possibly before this returns, as `upstreamReady` or `upstreamFailed`.
    func connect(to endpoint: EndpointReference, for call: ForwardedCall, destination: Destination) {
        idleTimeout = destination.policy.idleTimeout
        if destination.policy.protocol == .http2 { speaksHTTP2 = true }
        guard speaksHTTP2, connecting > 0, waiting.count < connecting * streamsPerConnection else {
            begin(endpoint, for: call, destination)
            return
        }
        let stream = WaitingStream(loop: loop, pool: self, endpoint: endpoint, destination: destination)
        stream.lease(to: call)
        call.upstreamBegan(stream)
        waiting.append(stream)
    }

    private func begin(_ endpoint: EndpointReference, for call: ForwardedCall?, _ destination: Destination) {
        connecting += 1
        let connection = UpstreamConnection(loop: loop, pool: self)
        call?.upstreamBegan(connection)
        connection.connect(
            to: endpoint.endpoint, policy: destination.policy, for: call, speaksHTTP2: speaksHTTP2)
    }

    /// Takes back a connection whose exchange ended cleanly.
    func put(_ connection: UpstreamConnection) {
        guard !isRetired, idle.count < Self.mostIdle, !loop.isDraining else {
            connection.close()
            return
        }
        idle.append(connection)
        loop.setTimer(connection, due: loop.now + idleTimeout)
    }

    // MARK: - HTTP/2

    /// A connection that was being made turned out to speak HTTP/2.
    func add(_ connection: HTTP2UpstreamConnection) {
        speaksHTTP2 = true
        if isRetired || loop.isDraining { connection.leave() } else { shared.append(connection) }
    }

    /// A connection that was being made turned out not to: none is waited for any more.
    func speaksOnlyHTTP1() { speaksHTTP2 = false }

    /// A connection takes no further stream.
    func remove(_ connection: HTTP2UpstreamConnection) { shared.removeAll { $0 === connection } }

    /// A connection that was being made stands, and its own call is served, or it failed: calls that waited for it go on.
    func connectEnded(_ failure: AttemptFailure?) {
        connecting -= 1
        guard !waiting.isEmpty else { return }
        let waited = waiting
        waiting = []
        for stream in waited {
            guard let call = stream.call else { continue }
            if let leased = lease(mustBeSure: false) {
                stream.call = nil
                leased.lease(to: call)
                call.upstreamReady(leased)
            } else if let failure, connecting == 0 {
                stream.call = nil
                call.upstreamFailed(failure)
            } else {
                waiting.append(stream)
            }
        }
        // There was less room than was hoped for: the others get connections of their own.
        while let first = waiting.first, waiting.count > connecting * streamsPerConnection {
            begin(first.endpoint, for: nil, first.destination)
        }
    }

    func remove(_ stream: WaitingStream) { waiting.removeAll { $0 === stream } }

    /// An idle connection ended.
    func remove(_ connection: UpstreamConnection) {
        if let index = idle.lastIndex(where: { $0 === connection }) { idle.remove(at: index) }
    }

    /// The instance is gone: what is idle is closed, and what comes back will be.
    func retire() {
        isRetired = true
        let connections = idle
        idle = []
        for connection in connections { connection.close() }
        for connection in shared { connection.leave() }
    }
}

/// A call's place in the queue for a connection of HTTP/2 that is being made for another call.
final class WaitingStream: UpstreamStream, @unchecked Sendable {
    private let pool: ConnectionPool
    let endpoint: EndpointReference
    let destination: Destination

    init(loop: TransportLoop, pool: ConnectionPool, endpoint: EndpointReference, destination: Destination) {
        self.pool = pool
        self.endpoint = endpoint
        self.destination = destination
        super.init(loop: loop)
    }

    override var isWritable: Bool { false }
    override func lease(to call: ForwardedCall) { self.call = call }
    override func setReadPaused(_ isPaused: Bool) {}

    override func abandon(drains: Bool) {
        call = nil
        pool.remove(self)
    }
}
