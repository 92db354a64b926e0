internal import MeshExchange
internal import MeshModel
internal import NIOCore
internal import NIOTLS

// A service's side of a tunnel.

extension UpstreamConnection {
    func allowHalfClose() {
        try? context?.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            loop.tick()
            guard case .leased = phase, let call else {
                close()
                return
            }
            call.upstreamEndedTunnel()
        case TLSUserEvent.handshakeCompleted(let negotiated):
            loop.tick()
            handshakeCompleted(negotiated, context)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// Ends our side behind what was written.
    func endOutput() {
        guard let context else { return }
        let promise = context.eventLoop.makePromise(of: Void.self)
        outputEnd = promise.futureResult
        context.close(mode: .output, promise: promise)
    }

    /// Both sides have ended: closed as soon as the socket has all that was written. A service that reads no more holds it for as
    /// long as a connection may be idle.
    func finishTunnel() {
        guard let context, case .leased = phase, call != nil else { return }
        call = nil
        phase = .draining(left: 0)
        loop.setTimer(self, due: loop.now + loop.timeouts.idle)
        let written: EventLoopFuture<Void>
        if let outputEnd {
            written = outputEnd
        } else {
            let promise = context.eventLoop.makePromise(of: Void.self)
            context.writeAndFlush(NIOAny(ByteBuffer()), promise: promise)
            written = promise.futureResult
        }
        written.assumeIsolated().whenComplete { _ in self.close() }
    }
}
