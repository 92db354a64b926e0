internal import MeshModel
internal import NIOCore

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
        if let event = event as? ChannelEvent, event == .inputClosed, reading == .tunnel {
            loop.tick()
            owesInputEnd = true
            passOnInputEnd()
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// Behind the client's last byte.
    func passOnInputEnd() {
        guard owesInputEnd, unread == nil, reading == .tunnel else { return }
        owesInputEnd = false
        call?.sourceEndedTunnel()
    }

    /// The service sends no more: ends our side behind what was written.
    func endOutput() {
        guard !isClosed, let context else { return }
        writeOutput()
        let promise = context.eventLoop.makePromise(of: Void.self)
        outputEnd = promise.futureResult
        context.close(mode: .output, promise: promise)
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
        loop.setTimer(self, due: loop.now + UpstreamConnection.tunnelEndTime)
        outputEnd.assumeIsolated().whenComplete { [self] _ in
            if !isClosed { self.context?.close(promise: nil) }
        }
    }
}
