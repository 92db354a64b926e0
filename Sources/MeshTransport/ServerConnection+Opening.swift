internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

// A connection's first bytes say what it speaks: a port takes HTTP/1.1 and, with prior knowledge, HTTP/2.

extension ServerConnection {
    /// What a client of HTTP/2 sends first (RFC 9113 3.4); no request of HTTP/1.1 begins so.
    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// Whether the bytes are for HTTP/1.1; else they were passed on, or wait for more.
    func opens(with bytes: ByteBuffer, _ context: ChannelHandlerContext) -> Bool {
        let length = Self.preface.utf8CodeUnitCount
        let agrees = bytes.withUnsafeReadableBytes { bytes in
            let preface = UnsafeRawBufferPointer(start: Self.preface.utf8Start, count: min(length, bytes.count))
            return UnsafeRawBufferPointer(rebasing: bytes.prefix(length)).elementsEqual(preface)
        }
        guard agrees else {
            isOpened = true
            return true
        }
        if bytes.readableBytes < length {
            loop.setTimer(self, due: loop.now + loop.timeouts.head)
            unread = bytes
        } else {
            becomeHTTP2(with: bytes, context)
        }
        return false
    }

    /// Hands the channel over, with what was read of it.
    func becomeHTTP2(with bytes: ByteBuffer?, _ context: ChannelHandlerContext) {
        loop.removeTimer(self)
        isOpened = true
        do {
            _ = try HTTP2ServerConnection.takeOver(from: self, context)
        } catch {
            context.close(promise: nil)
            return
        }
        if let bytes { context.fireChannelRead(wrapInboundOut(bytes)) }
        // The successor has taken this one's place among the loop's connections, so that a drain does not end between the two.
        loop.connectionClosed(self)
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
