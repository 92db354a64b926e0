internal import MeshExchange
internal import MeshModel
internal import NIOCore
internal import NIOTLS

// A client's side of a tunnel, which a 101 opens. Only there an end of the client's side is no farewell.

extension ServerConnection {
    func openTunnel() {
        reading = .tunnel
        keepsAlive = false
        try? context?.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        writeOutput()
        // What was sent ahead of the 101.
        if let bytes = unread {
            unread = nil
            process(bytes)
        }
        updateReading()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed where reading == .tunnel:
            loop.tick()
            owesInputEnd = true
            passOnInputEnd()
        case TLSUserEvent.handshakeCompleted:
            loop.tick()
            handshakeEnded()
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// Behind the client's last byte.
    func passOnInputEnd() {
        guard owesInputEnd, unread == nil, reading == .tunnel else { return }
        owesInputEnd = false
        call?.sourceEndedTunnel()
    }

    /// The connection is gone: in order where the service had ended before, else the call is cancelled as any other.
    func closedInTunnel() {
        guard let call, call.tunnelEnds.service else { return }
        // The channel reads to the end of what the client sent, paused or not.
        if let bytes = unread {
            unread = nil
            call.requestBody(bytes)
        }
        call.sourceEndedTunnel()
    }

    /// The service sends no more: ends our side behind what was written.
    func endOutput() {
        guard !isClosed, let context else { return }
        writeOutput()
        let promise = context.eventLoop.makePromise(of: Void.self)
        outputEnd = promise.futureResult
        guard owesInputEnd else {
            context.close(mode: .output, promise: promise)
            return
        }
        // The client has ended its side, too: a channel that is then told to end its output drops what waits in it.
        context.writeAndFlush(NIOAny(ByteBuffer()), promise: promise)
        promise.futureResult.assumeIsolated().whenComplete { [self] _ in
            if !isClosed { self.context?.close(promise: nil) }
        }
    }

    /// Ends the connection behind what was written.
    func closeTunnel() {
        answerEnded = true
        recycleCall()
        guard let outputEnd else {
            close()
            return
        }
        reading = .discarding
        loop.setTimer(self, due: loop.now + loop.timeouts.idle)
        outputEnd.assumeIsolated().whenComplete { [self] _ in
            if !isClosed { self.context?.close(promise: nil) }
        }
    }
}
