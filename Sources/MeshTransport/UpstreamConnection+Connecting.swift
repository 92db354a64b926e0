internal import MeshExchange
internal import MeshModel
internal import NIOCore
internal import NIOPosix

extension UpstreamConnection {
    /// Connects to the first address that answers, in the endpoint's order of preference.
    ///
    /// The call is told `upstreamReady` or `connectFailed`. A call that has gone by then leaves the connection to the pool.
    func connect(to endpoint: Endpoint, timeout: Timespan, for call: ForwardedCall?, speaksHTTP2: Bool) {
        self.call = call
        self.speaksHTTP2 = speaksHTTP2
        loop.setTimer(self, due: loop.now + timeout)
        connect(to: endpoint.addresses[...], timeout: timeout)
    }

    private func connect(to addresses: ArraySlice<MeshModel.SocketAddress>, timeout: Timespan) {
        guard case .connecting = phase else { return }
        guard let address = addresses.first else {
            connectFailed()
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
        resolver.resolve(host: host, port: port, now: loop.now, on: loop.eventLoop).assumeIsolated().whenComplete { result in
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
        let handler = NIOLoopBound(self, eventLoop: loop.eventLoop)
        ClientBootstrap(group: loop.eventLoop)
            .connectTimeout(.nanoseconds(timeout.nanoseconds))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler.value) }
            }
            .connect(to: address)
            .assumeIsolated()
            .whenComplete { result in
                self.loop.tick()
                switch result {
                case .success(let channel): self.established(channel)
                case .failure: self.connect(to: addresses.dropFirst(), then: others, timeout: timeout)
                }
            }
    }

    private func established(_ channel: any Channel) {
        guard case .connecting = phase, channel.isActive else {
            channel.close(promise: nil)
            if case .connecting = phase { connectFailed() }
            return
        }
        if speaksHTTP2 {
            becomeHTTP2(channel)
            return
        }
        writer = SocketWriter(channel)
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

    private func connectFailed() {
        phase = .closed
        loop.removeTimer(self)
        let call = call
        self.call = nil
        call?.upstreamFailed(.connectFailed)
        pool.connectEnded(.connectFailed)
    }

    /// Hands the channel over to a connection of HTTP/2; the call goes on on its first stream.
    private func becomeHTTP2(_ channel: any Channel) {
        phase = .closed
        loop.removeTimer(self)
        let call = call
        self.call = nil
        let connection = HTTP2UpstreamConnection(loop: loop, pool: pool, isSecure: false)
        do {
            channel.pipeline.syncOperations.removeHandler(self, promise: nil)
            try connection.begin(on: channel)
        } catch {
            channel.close(promise: nil)
            call?.upstreamFailed(.connectFailed)
            pool.connectEnded(.connectFailed)
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
}
