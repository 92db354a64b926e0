internal import MeshEventLoop
internal import NIOCore

/// The descriptor of a channel's socket.
enum SocketDescriptor {
    /// nil for a channel that has no socket, or none any more; on the channel's event loop only.
    static func of(_ channel: any Channel) -> CInt? {
        guard let channel = channel as? StreamChannel, channel.descriptor >= 0 else { return nil }
        return channel.descriptor
    }
}
