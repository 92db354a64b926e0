internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

// A connection's first bytes say what it speaks: a port takes HTTP/1.1, HTTP/2 with prior knowledge and, at a gateway with certificates,
// both below TLS. What a client has said by ALPN needs no look: it begins to speak it.

extension ServerConnection {
    /// What a client of HTTP/2 sends first (RFC 9113 3.4); no request of HTTP/1.1 begins so.
    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// Whether the bytes are for HTTP/1.1; else they were passed on, or wait for more.
    func opens(with bytes: ByteBuffer, _ context: ChannelHandlerContext) -> Bool {
        if loop.proxyProtocol, !isIntroduced {
            introduce(by: bytes, context)
            return false
        }
        if let tls = loop.tls.server, !isSecure, bytes.getInteger(at: bytes.readerIndex) == Self.handshakeRecord {
            beginTLS(tls, with: bytes, context)
            return false
        }
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

    /// Reads what a balancer says of the client; what follows is looked at anew. A connection that begins with anything else, or comes
    /// from elsewhere, ends: it could say anything of itself.
    private func introduce(by bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        guard loop.trustedProxies.isEmpty || loop.trustedProxies.contains(clientAddress) else {
            abort()
            return
        }
        do throws(ProxyHeader.Invalid) {
            let header = try bytes.withUnsafeReadableBytes { bytes throws(ProxyHeader.Invalid) in try ProxyHeader(bytes) }
            guard let header else {
                loop.setTimer(self, due: loop.now + loop.timeouts.head)
                unread = bytes
                return
            }
            isIntroduced = true
            if let client = header.client { clientAddress = client }
            var rest = bytes
            rest.moveReaderIndex(forwardBy: header.length)
            waitForRequest()
            if rest.readableBytes > 0 { received(rest) }
        } catch {
            abort()
        }
    }

    /// Hands the channel over, with what was read of it.
    func becomeHTTP2(with bytes: ByteBuffer?, _ context: ChannelHandlerContext) {
        loop.removeTimer(self)
        isOpened = true
        readsPastPipeline(false, context)
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
