internal import MeshExchange
internal import MeshModel
internal import MeshPolicy
internal import NIOCore

/// The connections of one event loop to one instance.
///
/// It leases streams; in HTTP/1.1 a connection has one. Invariant: an idle connection is open as far as this host knows,
/// has no byte of a response waiting, and its last exchange ended cleanly on both sides.
final class ConnectionPool {
    /// Connections that wait for work; those above it are closed instead of kept.
    static let mostIdle = 512

    /// How long a connection waits; shorter than the server's patience, so that the client closes first.
    private var idleTimeout = Timespan.seconds(60)
    private let loop: TransportLoop
    /// The youngest last: it is taken first, so that the others can grow old and go.
    private var idle: [UpstreamConnection] = []
    private var isRetired = false

    init(loop: TransportLoop) { self.loop = loop }

    var idleCount: Int { idle.count }

    /// A connection that can take a request at once; nil when there is none.
    ///
    /// `mustBeSure`: the request may not be sent twice, so the socket itself is asked whether the peer has closed it.
    func lease(mustBeSure: Bool) -> UpstreamConnection? {
        while let connection = idle.popLast() {
            if connection.canCarry(mustBeSure: mustBeSure || loop.now - connection.idleSince > .seconds(1)) { return connection }
            connection.close()
        }
        return nil
    }

    /// Begins a connection; the outcome reaches `call` as `upstreamReady` or `connectFailed`.
    func connect(to endpoint: EndpointReference, for call: ForwardedCall, destination: Destination) -> UpstreamConnection {
        idleTimeout = destination.policy.idleTimeout
        let connection = UpstreamConnection(loop: loop, pool: self)
        connection.connect(to: endpoint.endpoint, timeout: destination.policy.connectTimeout, for: call)
        return connection
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
    }
}
