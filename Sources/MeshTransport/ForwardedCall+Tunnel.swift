internal import MeshHTTP
internal import NIOCore

/// Which ends of an open tunnel have said that they send no more.
struct TunnelEnds {
    var client = false
    var service = false
}

// A tunnel: what follows a 101, until both ends have ended their side. For the exchange it is a response that goes on.

extension ForwardedCall {
    /// Whether what Upgrade names may be switched to.
    ///
    /// HTTP in another version is not: its requests would pass every rule here unseen. A server may ignore Upgrade (RFC 9110 7.8),
    /// so the request is then answered as if it had none.
    var asksForOtherProtocol: Bool {
        guard let upgrade = request.upgrade else { return false }
        return requestBytes.withUnsafeReadableBytes { bytes in
            var protocols = ListElements(bytes[upgrade])
            var hasAny = false
            while let name = protocols.next() {
                hasAny = true
                if name.equalsIgnoringCase("h2c") || name.equalsIgnoringCase("h2") { return false }
                if name.count >= 4, UnsafeRawBufferPointer(rebasing: name[..<4]).equalsIgnoringCase("http") { return false }
            }
            return hasAny
        }
    }

    /// A whole connection: a stream of HTTP/2 is never switched to another protocol.
    private var tunnel: UpstreamConnection? { upstream as? UpstreamConnection }

    /// The client sends no more; the service may go on.
    func sourceEndedTunnel() {
        guard !isOver, !tunnelEnds.client else { return }
        tunnelEnds.client = true
        if tunnelEnds.service { endTunnel() } else { tunnel?.endOutput() }
    }

    /// The service sends no more; the client may go on.
    func upstreamEndedTunnel() {
        guard !isOver, !tunnelEnds.service else { return }
        tunnelEnds.service = true
        if tunnelEnds.client { endTunnel() } else { source?.deliverTunnelEnd() }
    }

    /// Both sides get what was sent to them and an orderly end.
    func endTunnel() {
        guard !isOver else { return }
        tunnel?.finishTunnel()
        responseEnded()
    }
}
