import MeshControlProtocol
import MeshExchange
import MeshModel
import NIOCore
import NIOPosix

@testable import MeshSidecar

/// The daemon's side of the control socket, as a test plays it: notes what instances say, and says what the test wants.
final class FakeDaemon: Sendable {
    private struct State {
        var server: (any Channel)?
        var said: [InstanceMessage] = []
        var channels: [any Channel] = []
        var waiting: [(isWanted: @Sendable (InstanceMessage) -> Bool, gate: Gate<InstanceMessage>)] = []
    }

    /// Opened when an instance's connection has closed: all that it said was heard.
    let hungUp = Gate<Void>()
    private let state = Guarded(State())
    static func start(at path: String) async throws -> FakeDaemon {
        let daemon = FakeDaemon()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Handler(daemon)) }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        daemon.state.withLock { $0.server = server }
        return daemon
    }

    private init() {}

    /// Dies: nothing is said any more, every connection closes.
    func die() async throws {
        try await state.withLock { $0.server }?.close()
        for channel in state.withLock({ $0.channels }) { try? await channel.close() }
    }

    var said: [InstanceMessage] { state.withLock { $0.said } }

    func say(_ message: DaemonMessage) throws {
        let bytes = try message.frame.encoded()
        for channel in state.withLock({ $0.channels }) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
    }

    /// The first message of that kind, whether it was said already or will be.
    func hears(_ isWanted: @escaping @Sendable (InstanceMessage) -> Bool) async throws -> InstanceMessage {
        let gate = Gate<InstanceMessage>()
        state.withLock { state in
            if let message = state.said.first(where: isWanted) { gate.open(message) } else { state.waiting.append((isWanted, gate)) }
        }
        return try await gate.value()
    }

    private func took(_ message: InstanceMessage) {
        let gates = state.withLock { state in
            state.said.append(message)
            return state.waiting.filter { $0.isWanted(message) }.map(\.gate)
        }
        for gate in gates { gate.open(message) }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let daemon: FakeDaemon
        private var decoder = FrameDecoder()

        init(_ daemon: FakeDaemon) { self.daemon = daemon }

        func channelActive(context: ChannelHandlerContext) {
            let channel = context.channel
            daemon.state.withLock { $0.channels.append(channel) }
        }

        func channelInactive(context: ChannelHandlerContext) { daemon.hungUp.open(()) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            unwrapInboundIn(data).withUnsafeReadableBytes { decoder.append($0) }
            while let frame = try? decoder.next() {
                if let message = try? InstanceMessage(frame) { daemon.took(message) }
            }
        }
    }
}
