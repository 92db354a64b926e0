import MeshModel
import NIOCore

@testable import MeshEventLoop

/// Notes what a channel tells, and does what a test wants done at an event.
final class Recorder: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = ByteBuffer

    enum Event: Hashable, Sendable {
        case added, registered, active, read, readComplete, writability, inputClosed, outputClosed, error, inactive, unregistered, removed
    }

    private struct Notes {
        var events: [Event] = []
        var bytes: [UInt8] = []
        var reads: [Int] = []
        var errors: [any Error] = []
    }

    private let notes = Guarded(Notes())
    private let action: @Sendable (Event, ChannelHandlerContext) -> Void

    init(_ action: @escaping @Sendable (Event, ChannelHandlerContext) -> Void = { _, _ in }) { self.action = action }

    var events: [Event] { notes.withLock { $0.events } }
    var bytes: [UInt8] { notes.withLock { $0.bytes } }
    var reads: [Int] { notes.withLock { $0.reads } }
    var errors: [any Error] { notes.withLock { $0.errors } }
    var hasEnded: Bool { events.contains(.removed) }

    /// Without those of reading, whose number is chance.
    var life: [Event] { events.filter { $0 != .read && $0 != .readComplete && $0 != .writability } }

    func readsReach(_ count: Int) async -> Bool { await becomesTrue { self.reads.count == count } }

    private func note(_ event: Event, _ context: ChannelHandlerContext) {
        notes.withLock { $0.events.append(event) }
        action(event, context)
    }

    func handlerAdded(context: ChannelHandlerContext) { note(.added, context) }
    func handlerRemoved(context: ChannelHandlerContext) { note(.removed, context) }
    func channelRegistered(context: ChannelHandlerContext) { note(.registered, context) }
    func channelUnregistered(context: ChannelHandlerContext) { note(.unregistered, context) }
    func channelActive(context: ChannelHandlerContext) { note(.active, context) }
    func channelInactive(context: ChannelHandlerContext) { note(.inactive, context) }
    func channelReadComplete(context: ChannelHandlerContext) { note(.readComplete, context) }
    func channelWritabilityChanged(context: ChannelHandlerContext) { note(.writability, context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        notes.withLock { notes in
            notes.bytes += bytes.readableBytesView
            notes.reads.append(bytes.readableBytes)
        }
        note(.read, context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        notes.withLock { $0.errors.append(error) }
        note(.error, context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event as? ChannelEvent {
        case .inputClosed: note(.inputClosed, context)
        case .outputClosed: note(.outputClosed, context)
        case nil: break
        }
    }
}
