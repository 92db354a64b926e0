internal import NIOCore

/// The descriptor of a channel's socket.
///
/// NIO's own `withUnsafeTransportIfAvailable(of:)` casts to a parameterized protocol, which the runtime looks up by name each time: 2 us,
/// a thirtieth of what a connection for one request costs. The cast without the parameter is found in the runtime's cache.
enum SocketDescriptor {
    /// nil for a channel that has no socket of its own; on the channel's event loop only.
    static func of(_ channel: any Channel) -> CInt? {
        guard let core = channel._channelCore as? any NIOTransportAccessibleChannelCore else { return nil }
        return descriptor(of: core)
    }

    private static func descriptor(of core: some NIOTransportAccessibleChannelCore) -> CInt? {
        (try? core.withUnsafeTransport { $0 as? NIOBSDSocket.Handle }) ?? nil
    }
}
