internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Writes to the socket of a channel directly while nothing waits in the channel, which costs a tenth of the way through its pipeline.
///
/// Position: directly only where the connection's handler is the one next to the socket; with TLS below it everything takes the pipeline.
/// What the socket does not take, and every error, goes to the channel, which then reports it as always.
struct SocketWriter {
    private let descriptor: CInt
    private let isDirect: Bool
    /// Bytes were handed to the channel and may still wait there.
    private var hasQueued = false

    /// For a channel without a socket: everything takes the pipeline.
    init() {
        descriptor = -1
        isDirect = false
    }

    init(_ channel: any Channel) { self.init(channel, isDirect: true) }

    /// For a channel whose bytes are changed below the connection's handler.
    init(below channel: any Channel) { self.init(channel, isDirect: false) }

    private init(_ channel: any Channel, isDirect: Bool) {
        descriptor = SocketDescriptor.of(channel) ?? -1
        self.isDirect = isDirect && descriptor >= 0
    }

    /// Whether the kernel has all that was written.
    mutating func isEmpty(_ context: ChannelHandlerContext) -> Bool {
        if hasQueued, (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) == 0 { hasQueued = false }
        return !hasQueued && isDirect
    }

    mutating func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        guard isEmpty(context) else {
            queue(bytes, context)
            return
        }
        let count = bytes.readableBytes
        let sent = bytes.withUnsafeReadableBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if sent != count { queue(bytes.getSlice(at: bytes.readerIndex + max(0, sent), length: count - max(0, sent))!, context) }
    }

    /// Two pieces by one system call.
    mutating func write(_ first: ByteBuffer, _ second: ByteBuffer, _ context: ChannelHandlerContext) {
        guard isEmpty(context) else {
            queue(first, context)
            queue(second, context)
            return
        }
        let sent = max(
            0,
            first.withUnsafeReadableBytes { first in
                second.withUnsafeReadableBytes { second in
                    var parts = (
                        iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count),
                        iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
                    )
                    return withUnsafeMutableBytes(of: &parts) { parts in
                        var message = msghdr()
                        message.msg_iov = parts.assumingMemoryBound(to: iovec.self).baseAddress
                        message.msg_iovlen = 2
                        return sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
                    }
                }
            })
        let count = first.readableBytes
        if sent < count { queue(first.getSlice(at: first.readerIndex + sent, length: count - sent)!, context) }
        let sentOfSecond = max(0, sent - count)
        let left = second.readableBytes - sentOfSecond
        if left > 0 { queue(second.getSlice(at: second.readerIndex + sentOfSecond, length: left)!, context) }
    }

    private mutating func queue(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        hasQueued = true
        context.write(NIOAny(bytes), promise: nil)
        context.flush()
    }

    /// Whether the peer has neither ended the connection nor sent anything: asks the kernel.
    func isQuiet() -> Bool {
        guard descriptor >= 0 else { return true }
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) < 0 && errno == EAGAIN
    }
}
