import Foundation
import MeshControlProtocol
import NIOCore
import NIOPosix

/// Listens for instances on a Unix socket and reports what they say.
///
/// Spans, which are many, go straight to `spans`; everything else comes in order through `events`.
struct InstanceServer {
    enum Event: Sendable {
        case said(InstanceConnection, InstanceMessage)
        case closed(InstanceConnection)
    }

    /// What an instance may leave unread before it is cut off: some hundred configurations of a large mesh.
    static let longestBacklog = 64 << 20

    private let channel: any Channel

    /// - Throws: when the socket can't be bound.
    static func start(
        path: String, group: any EventLoopGroup, spans: @escaping @Sendable ([UInt8]) -> Void,
        events: AsyncStream<Event>.Continuation
    ) async throws -> InstanceServer {
        let channel = try await ServerBootstrap(group: group)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: longestBacklog / 2, high: longestBacklog))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(InstanceHandler(spans: spans, events: events))
                }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        guard chmod(path, 0o600) == 0 else {
            try await channel.close()
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EACCES)
        }
        return InstanceServer(channel: channel)
    }

    func stop() async { try? await channel.close() }
}

/// Turns the bytes of one connection into messages.
private final class InstanceHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let spans: @Sendable ([UInt8]) -> Void
    private let events: AsyncStream<InstanceServer.Event>.Continuation
    private var decoder = FrameDecoder()

    init(spans: @escaping @Sendable ([UInt8]) -> Void, events: AsyncStream<InstanceServer.Event>.Continuation) {
        self.spans = spans
        self.events = events
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        unwrapInboundIn(data).withUnsafeReadableBytes { decoder.append($0) }
        do {
            while let frame = try decoder.next() { take(frame, from: context.channel) }
        } catch {
            context.close(promise: nil)
        }
    }

    private func take(_ frame: Frame, from channel: any Channel) {
        // A message that can't be read is the instance's fault; its connection and the others go on.
        guard let message = try? InstanceMessage(frame) else { return }
        if case .spans(let batch) = message {
            spans(batch)
        } else {
            events.yield(.said(InstanceConnection(channel), message))
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !context.channel.isWritable { context.close(promise: nil) }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        events.yield(.closed(InstanceConnection(context.channel)))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
