internal import MeshExchange
internal import MeshModel
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// An HTTP/2 connection of a client: its streams are `HTTP2ServerStream`s.
final class HTTP2ServerConnection: HTTP2Channel, ClientConnection, @unchecked Sendable {
    let mode: InboundMode
    let peer: PeerIdentity
    let isSecure: Bool
    let clientAddress: [UInt8]
    private(set) var canWrite = true

    private var streams: [HTTP2StreamID: HTTP2ServerStream] = [:]
    /// The youngest stream that was taken.
    private var lastStream = HTTP2StreamID.rootStream
    private var isLeaving = false
    private var isEnded = false

    /// Takes over where the bytes turned out to be HTTP/2.
    init(after connection: ServerConnection) {
        mode = connection.mode
        peer = connection.peer
        isSecure = connection.isSecure
        clientAddress = connection.clientAddress
        super.init(loop: connection.loop)
    }

    /// Speaks HTTP/2 with the client of `connection`, above whatever stands before it in the pipeline.
    static func takeOver(from connection: ServerConnection, _ context: ChannelHandlerContext) throws -> HTTP2ServerConnection {
        let successor = HTTP2ServerConnection(after: connection)
        let limits = connection.loop.limits
        let codec = NIOHTTP2Handler(
            mode: .server, frameDelegate: successor,
            connectionConfiguration: HTTP2Limits.connection(
                mode: .server, streams: limits.streams, headerList: min(limits.headBytes, 1 << 24)),
            streamConfiguration: HTTP2Limits.stream)
        try context.pipeline.syncOperations.addHandler(successor, position: .after(connection))
        connection.loop.connectionOpened(successor)
        successor.waitForStreams()
        // Last, since it writes as soon as it stands.
        try context.pipeline.syncOperations.addHandler(codec, position: .after(connection))
        return successor
    }

    // MARK: - Frames

    override func receive(_ frame: HTTP2Frame) {
        switch frame.payload {
        case .headers(let block):
            if let stream = streams[frame.streamID] {
                stream.receiveTrailers(block.headers)
            } else {
                begin(frame.streamID, block)
            }
        case .data(let data):
            guard case .byteBuffer(let bytes) = data.data else { return }
            streams[frame.streamID]?.receive(bytes, isEnd: data.endStream)
        case .rstStream:
            streams.removeValue(forKey: frame.streamID)?.left()
            streamEnded()
        case .settings, .ping, .windowUpdate, .priority, .goAway, .pushPromise, .alternativeService, .origin: break
        }
    }

    private func begin(_ id: HTTP2StreamID, _ block: HTTP2Frame.FramePayload.Headers) {
        guard !isLeaving else {
            write(id, .rstStream(.refusedStream))
            return
        }
        loop.removeTimer(self)
        lastStream = id
        let stream = HTTP2ServerStream(id: id, of: self)
        streams[id] = stream
        stream.begin(block.headers, isEnd: block.endStream)
    }

    override func windowChanged(_ stream: HTTP2StreamID, _ window: Int) { streams[stream]?.windowChanged(window) }

    override func streamClosed(_ stream: HTTP2StreamID, _ code: HTTP2ErrorCode?) {
        guard let closed = streams.removeValue(forKey: stream) else { return }
        closed.left()
        streamEnded()
    }

    override func writabilityChanged() {
        canWrite = context?.channel.isWritable ?? false
        for stream in streams.values { stream.writabilityChanged() }
    }

    // MARK: - Life

    /// Forgets a stream whose answer is written to its end.
    func remove(_ stream: HTTP2ServerStream) {
        streams[stream.id] = nil
        streamEnded()
    }

    private func streamEnded() {
        guard streams.isEmpty, !isEnded else { return }
        if isLeaving { sayGoodbye(last: lastStream) } else { waitForStreams() }
    }

    private func waitForStreams() { loop.setTimer(self, due: loop.now + loop.timeouts.idle) }

    override func timerFired(now: Instant) {
        if isLeaving || isBroken {
            abort()
        } else {
            isLeaving = true
            sayGoodbye(last: lastStream)
        }
    }

    /// The process is about to end: streams that are open end as they would, and no other is taken.
    func beginDraining() {
        guard !isLeaving else { return }
        isLeaving = true
        guard !streams.isEmpty else {
            sayGoodbye(last: lastStream)
            return
        }
        write(.rootStream, .goAway(lastStreamID: lastStream, errorCode: .noError, opaqueData: nil))
    }

    override func ended() {
        guard !isEnded else { return }
        isEnded = true
        let left = streams.values
        streams = [:]
        for stream in left { stream.left() }
        loop.connectionClosed(self)
    }
}
