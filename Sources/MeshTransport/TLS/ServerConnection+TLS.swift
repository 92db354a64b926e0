internal import MeshExchange
internal import MeshModel
internal import NIOCore
internal import NIOSSL
internal import NIOTLS

// TLS below a client's connection: its first byte tells it from HTTP in the clear.

extension ServerConnection {
    /// The record of a handshake begins so (RFC 8446 5.1), and no message of HTTP does.
    static let handshakeRecord: UInt8 = 22

    /// Puts TLS between the socket and this handler, and gives it what has come.
    func beginTLS(_ tls: ServerTLS, with bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        isSecure = true
        isHandshaking = true
        readsPastPipeline(false, context)
        loop.setTimer(self, due: loop.now + loop.timeouts.head)
        let handler = NIOSSLServerHandler(context: tls.context)
        do {
            try context.pipeline.syncOperations.addHandler(handler, position: .before(self))
            tlsContext = try context.pipeline.syncOperations.context(handler: handler)
        } catch {
            context.close(promise: nil)
            return
        }
        context.pipeline.syncOperations.fireChannelRead(NIOAny(bytes))
    }

    /// The time for the handshake ends, that for the first request begins.
    func handshakeEnded() {
        isHandshaking = false
        if !isOpened, !isClosed { waitForRequest() }
    }
}
