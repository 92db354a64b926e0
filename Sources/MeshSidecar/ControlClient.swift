import Logging
import MeshControlProtocol
import MeshEventLoop
import MeshModel
import MeshTelemetry
import NIOCore

/// Carries a `ControlSession` over the daemon's Unix socket: does what the session says, and decides nothing.
///
/// Invariant: all runs on one event loop, which serves nothing else, so that a large configuration delays no request.
final class ControlClient: @unchecked Sendable {
    struct Owner: Sendable {
        /// Called on the control loop.
        var install: @Sendable (ConfigurationMessage) throws -> Void
        var drain: @Sendable (Drain) -> Void
        var statistics: @Sendable () -> InstanceStatistics
    }

    private let path: String
    private let group: EpollLoopGroup
    private let eventLoop: EpollLoop
    private var owner: Owner?
    private let logger: Logger

    private var session: ControlSession
    private var random = RandomSource.fromSystem()
    private var channel: (any Channel)?
    private var wake: Scheduled<Void>?
    private var wasLost = false
    private var isEnding = false

    init(path: String, hello: Hello, logger: Logger) {
        self.path = path
        self.logger = logger
        group = EpollLoopGroup(threads: 1, holdsSends: false)
        eventLoop = group.loops[0]
        session = ControlSession(hello: hello)
    }

    func start(for owner: Owner) {
        onLoop { client in
            client.owner = owner
            client.perform(client.session.started())
        }
    }

    func healthChanged(to health: Health) { onLoop { $0.perform($0.session.healthChanged(to: health)) } }

    func stoppingBegan() { onLoop { $0.perform($0.session.stoppingBegan()) } }

    /// Writes what is left, at most for a second, and closes.
    func end() async {
        let closed = eventLoop.makePromise(of: Void.self)
        onLoop { client in
            client.isEnding = true
            if let channel = client.channel {
                channel.closeFuture.cascade(to: closed)
                client.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
            } else {
                closed.succeed()
            }
            client.perform(client.session.ended())
        }
        try? await closed.futureResult.get()
        try? await group.shutdownGracefully()
    }

    // MARK: On the loop

    private func onLoop(_ body: @escaping @Sendable (ControlClient) -> Void) {
        eventLoop.execute { body(self) }
    }

    /// The timer comes first: what follows may lead to further effects, whose timer is the newer one.
    private func perform(_ effects: ControlSession.Effects) {
        setTimer(effects.wakeAt)
        for message in effects.send { _ = write(message) }
        if effects.disconnect, let channel {
            channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
        }
        if effects.connect { connect() }
        if let configuration = effects.install { install(configuration) }
        if let drain = effects.drain { owner?.drain(drain) }
        if effects.reportStatistics, let owner {
            perform(session.statisticsCollected(owner.statistics(), now: HostClock.now()))
        }
    }

    private func setTimer(_ wakeAt: Instant?) {
        wake?.cancel()
        wake = nil
        guard let wakeAt else { return }
        let deadline = NIODeadline.uptimeNanoseconds(UInt64(max(0, wakeAt.nanoseconds)))
        wake = eventLoop.scheduleTask(deadline: deadline) { self.perform(self.session.timerFired(now: HostClock.now())) }
    }

    private func install(_ configuration: ConfigurationMessage) {
        do {
            try owner?.install(configuration)
            perform(session.configurationInstalled(revision: configuration.revision))
        } catch {
            logger.error("refused a configuration", metadata: ["revision": "\(configuration.revision)", "reason": "\(error)"])
            perform(session.configurationRefused(revision: configuration.revision, reason: "\(error)"))
        }
    }

    private func write(_ message: InstanceMessage) -> EventLoopFuture<Void> {
        guard let channel else { return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
        do {
            return channel.writeAndFlush(ByteBuffer(bytes: try message.frame.encoded()))
        } catch {
            logger.error("a control message is too long", metadata: ["reason": "\(error)"])
            return eventLoop.makeFailedFuture(error)
        }
    }

    private func connect() {
        do {
            let address = try SocketAddress(unixDomainSocketPath: path)
            eventLoop.connect(to: address, timeout: .seconds(2)) { channel in
                try channel.pipeline.syncOperations.addHandler(ControlHandler(client: self))
            } connected: { result in
                switch result {
                case .success(let channel): self.connected(channel)
                case .failure(let error): self.disconnected("\(error)")
                }
            }
        } catch {
            disconnected("\(error)")
        }
    }

    private func connected(_ channel: any Channel) {
        // It may have closed again before this callback ran, or the session ended meanwhile.
        guard channel.isActive else { return disconnected("closed at once") }
        self.channel = channel
        channel.closeFuture.whenComplete { _ in
            self.channel = nil
            self.disconnected("closed")
        }
        perform(session.connected(now: HostClock.now()))
        guard session.isConnected else { return channel.close(promise: nil) }
        if wasLost {
            wasLost = false
            logger.info("the daemon is back")
        }
    }

    private func disconnected(_ reason: String) {
        if !wasLost, !isEnding, session.revision != nil {
            wasLost = true
            logger.notice("no daemon; calls go on by the last configuration", metadata: ["reason": "\(reason)", "socket": "\(path)"])
        }
        perform(session.disconnected(now: HostClock.now(), random: &random))
    }

    fileprivate func received(_ frame: Frame) {
        do {
            guard let message = try DaemonMessage(frame) else { return }
            perform(session.received(message))
        } catch {
            logger.error("a message of the daemon can't be read", metadata: ["reason": "\(error)"])
        }
    }
}

/// Cuts what arrives into frames.
private final class ControlHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let client: ControlClient
    private var decoder = FrameDecoder()

    init(client: ControlClient) { self.client = client }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        unwrapInboundIn(data).withUnsafeReadableBytes { decoder.append($0) }
        do {
            while let frame = try decoder.next() { client.received(frame) }
        } catch {
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
