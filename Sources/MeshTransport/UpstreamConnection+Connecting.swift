internal import MeshEventLoop
internal import MeshExchange
internal import MeshModel
internal import MeshPolicy
internal import NIOCore
internal import NIOSSL
internal import NIOTLS

extension UpstreamConnection {
    /// Connects to the first address that answers, in the endpoint's order of preference.
    ///
    /// The call is told `upstreamReady` or `connectFailed`. A call that has gone by then leaves the connection to the pool.
    func connect(to endpoint: Endpoint, policy: CallPolicy, for call: ForwardedCall?, speaksHTTP2: Bool) {
        self.call = call
        self.speaksHTTP2 = speaksHTTP2
        if let name = endpoint.tlsName {
            guard let context = loop.tls.client(for: policy) else {
                // Of a snapshot that is not in force any more.
                loop.eventLoop.assumeIsolated().execute { [self] in connectFailed(.handshakeFailed) }
                return
            }
            handshake = Handshake(context: context, name: name, needsHTTP2: policy.protocol == .http2)
        }
        loop.setTimer(self, due: loop.now + policy.connectTimeout)
        connect(to: endpoint.addresses[...], timeout: policy.connectTimeout)
    }

    private func connect(to addresses: ArraySlice<MeshModel.SocketAddress>, timeout: Timespan) {
        guard case .connecting = phase else { return }
        guard let address = addresses.first else {
            connectFailed(.connectFailed)
            return
        }
        let others = addresses.dropFirst()
        guard let literal = try? address.literal() else {
            resolve(address, then: others, timeout: timeout)
            return
        }
        connect(to: [literal][...], then: others, timeout: timeout)
    }

    private func resolve(_ address: MeshModel.SocketAddress, then others: ArraySlice<MeshModel.SocketAddress>, timeout: Timespan) {
        guard case .tcp(let host, let port) = address else {
            connect(to: others, timeout: timeout)
            return
        }
        let resolver = loop.shared.resolver
        if let known = resolver.known(host: host, port: port, now: loop.now) {
            connect(to: known[...], then: others, timeout: timeout)
            return
        }
        resolver.resolve(host: host, port: port, now: loop.now, on: loop.entrance) { result in
            self.loop.tick()
            switch result {
            case .success(let found): self.connect(to: found[...], then: others, timeout: timeout)
            case .failure: self.connect(to: others, timeout: timeout)
            }
        }
    }

    private func connect(
        to addresses: ArraySlice<NIOCore.SocketAddress>, then others: ArraySlice<MeshModel.SocketAddress>, timeout: Timespan
    ) {
        guard case .connecting = phase else { return }
        guard let address = addresses.first else {
            connect(to: others, timeout: timeout)
            return
        }
        guard let sockets = loop.sockets else { preconditionFailure("a loop that is moved by hand connects to nothing") }
        sockets.connect(to: address, timeout: .nanoseconds(timeout.nanoseconds)) { channel in
            if let tls = try handshake?.makeHandler() { try channel.pipeline.syncOperations.addHandler(tls) }
            try channel.pipeline.syncOperations.addHandler(self)
        } connected: { [self] result in
            loop.tick()
            switch result {
            case .success(let channel):
                // With TLS it stands when the handshake has ended.
                if handshake == nil { established(channel) } else { handshake?.hasBegun = true }
            case .failure: connect(to: addresses.dropFirst(), then: others, timeout: timeout)
            }
        }
    }

    private func established(_ channel: any Channel) {
        guard case .connecting = phase, channel.isActive else {
            channel.close(promise: nil)
            if case .connecting = phase { connectFailed(.connectFailed) }
            return
        }
        if speaksHTTP2 {
            becomeHTTP2(channel)
            return
        }
        writer = SocketWriter(channel, for: self, isNext: handshake == nil)
        pool.connectEnded(nil)
        if let call {
            lease(to: call)
            call.upstreamReady(self)
        } else {
            phase = .idle
            idleSince = loop.now
            pool.put(self)
        }
    }

    private func connectFailed(_ failure: AttemptFailure) {
        phase = .closed
        loop.removeTimer(self)
        let call = call
        self.call = nil
        // First: the call may ask the pool for another connection, and must not be told to wait for this one.
        pool.connectEnded(failure)
        call?.upstreamFailed(failure)
    }

    /// Hands the channel over to a connection of HTTP/2; the call goes on on its first stream.
    private func becomeHTTP2(_ channel: any Channel) {
        phase = .closed
        loop.removeTimer(self)
        let call = call
        self.call = nil
        let connection = HTTP2UpstreamConnection(loop: loop, pool: pool, isSecure: handshake != nil)
        do {
            channel.pipeline.syncOperations.removeHandler(self, promise: nil)
            try connection.begin(on: channel)
        } catch {
            channel.close(promise: nil)
            pool.connectEnded(.connectFailed)
            call?.upstreamFailed(.connectFailed)
            return
        }
        pool.add(connection)
        if let call {
            let stream = HTTP2UpstreamStream(on: connection)
            stream.lease(to: call)
            call.upstreamReady(stream)
        }
        pool.connectEnded(nil)
    }

    // MARK: - TLS

    /// What both sides speak is agreed.
    func handshakeCompleted(_ negotiated: String?, _ context: ChannelHandlerContext) {
        guard case .connecting = phase, let handshake else { return }
        speaksHTTP2 = negotiated == "h2"
        guard speaksHTTP2 || !handshake.needsHTTP2 else {
            handshakeFailed(.handshakeFailed)
            return
        }
        if !speaksHTTP2 { pool.speaksOnlyHTTP1() }
        established(context.channel)
    }

    /// The connection stands, and TLS on it does not.
    func handshakeFailed(_ failure: AttemptFailure) {
        guard case .connecting = phase else { return }
        connectFailed(failure)
        context?.close(promise: nil)
    }
}

/// TLS towards an endpoint whose connection is being made.
struct Handshake {
    let context: NIOSSLContext
    /// What its certificate must bear.
    let name: String
    let needsHTTP2: Bool
    /// The connection below it stands.
    var hasBegun = false

    func makeHandler() throws -> NIOSSLClientHandler {
        // An address is not asked for by SNI, and is compared with the certificate's addresses by itself.
        let isAddress = (try? NIOCore.SocketAddress(ipAddress: name, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : name)
    }

    /// What an error of TLS means before the connection stands.
    static func failure(_ error: any Error) -> AttemptFailure {
        if let error = error as? NIOSSLExtraError, error == .failedToValidateHostname { return .certificateRejected }
        return "\(error)".contains("CERTIFICATE_VERIFY_FAILED") ? .certificateRejected : .handshakeFailed
    }
}
