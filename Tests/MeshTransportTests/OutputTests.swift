import MeshExchange
import MeshModel
import MeshTelemetry
import NIOCore
import NIOEmbedded
import Testing

@testable import MeshTransport

/// The buffer that the connections of a loop share for what they write.
@Suite struct OutputTests {
    /// A socket that refuses what is written, and so ends the connection in the middle of it.
    private final class Refusing: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            promise?.fail(ChannelError.eof)
            context.close(promise: nil)
        }
    }

    @Test func aConnectionThatEndsInTheMiddleOfAPieceDoesNotOwnTheBuffer() throws {
        let channel = EmbeddedChannel()
        let configuration = SnapshotConfiguration(mesh: "shop", service: "front", tier: "edge")
        let loop = TransportLoop(
            eventLoop: channel.embeddedEventLoop, index: 0,
            snapshot: try Snapshot(configuration, after: nil, now: HostClock.now()), tls: try TLSContexts(configuration),
            accessLog: nil, recorder: .disabled,
            shared: SharedState(service: "front", tier: "edge", resolver: NameResolver(), replay: ReplayAccount()))
        let connection = ServerConnection(loop: loop, mode: .gateway, peer: .none)
        try channel.pipeline.syncOperations.addHandlers([Refusing(), connection])
        channel.pipeline.fireChannelActive()
        connection.framing = .chunkedHere
        // Large enough not to be copied: it goes to the socket between two pieces of framing.
        connection.deliverBody(ByteBuffer(repeating: 1, count: ServerConnection.joinedBody + 1))
        #expect(connection.isClosed)
        #expect(loop.outputOwner == nil)
        withExtendedLifetime(connection) {}
    }
}
