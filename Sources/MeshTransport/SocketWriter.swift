internal import MeshEventLoop
internal import NIOCore

/// Writes to the socket of a channel directly, which costs a tenth of the way through its pipeline.
///
/// Position: directly only where the connection's handler is the one next to the socket; with TLS below it everything takes the pipeline.
struct SocketWriter {
    private let channel: StreamChannel?
    private let isDirect: Bool

    /// For a channel without a socket: everything takes the pipeline.
    init() {
        channel = nil
        isDirect = false
    }

    /// - Parameters:
    ///   - handler: the connection's; it is read to past the pipeline where it is written past it.
    ///   - isNext: it is the one next to the socket; else what is below it changes the bytes.
    init(_ channel: any Channel, for handler: any StreamReader, isNext: Bool) {
        self.channel = channel as? StreamChannel
        isDirect = isNext && self.channel != nil
        self.channel?.reader = isNext ? handler : nil
    }

    /// Whether the kernel has all that was written, as far as can be said from here.
    var isEmpty: Bool { isDirect && channel?.isAllSent == true }

    func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        if isDirect, let channel { channel.send(bytes) } else { queue(bytes, context) }
    }

    /// Two pieces by one system call.
    func write(_ first: ByteBuffer, _ second: ByteBuffer, _ context: ChannelHandlerContext) {
        guard isDirect, let channel else {
            queue(first, context)
            queue(second, context)
            return
        }
        channel.send(first, second)
    }

    private func queue(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        context.write(NIOAny(bytes), promise: nil)
        context.flush()
    }

    /// Whether the peer has neither ended the connection nor sent anything: asks the kernel.
    func isQuiet() -> Bool { channel?.isQuiet ?? true }
}
