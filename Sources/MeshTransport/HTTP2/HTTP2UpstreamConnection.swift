internal import MeshExchange
internal import MeshModel
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// An HTTP/2 connection to an instance, whose streams the pool leases.
///
/// Invariant: no stream is opened above the peer's MAX_CONCURRENT_STREAMS, nor after either side's GOAWAY.
final class HTTP2UpstreamConnection: HTTP2Channel, @unchecked Sendable {
    let pool: ConnectionPool
    let isSecure: Bool
    private(set) var canWrite = true

    private var streams: [HTTP2StreamID: HTTP2UpstreamStream] = [:]
    private var nextStream = HTTP2StreamID(1)
    /// Until the peer's SETTINGS say otherwise, as many as its last connection took.
    private var mostStreams: Int
    private var isLeaving = false
    private var isEnded = false
    /// Streams that this connection has carried to their end.
    private(set) var carried = 0
    /// Streams that read something in this turn, and whose readers have to write it out.
    private var touched: [HTTP2UpstreamStream] = []
    private var descriptor: CInt = -1

    init(loop: TransportLoop, pool: ConnectionPool, isSecure: Bool) {
        self.pool = pool
        self.isSecure = isSecure
        mostStreams = pool.streamsPerConnection
        super.init(loop: loop)
    }

    /// Speaks HTTP/2 on a channel that stands.
    func begin(on channel: any Channel) throws {
        descriptor = SocketDescriptor.of(channel) ?? -1
        let codec = NIOHTTP2Handler(
            mode: .client, frameDelegate: self,
            connectionConfiguration: HTTP2Limits.connection(
                mode: .client, streams: HTTP2Limits.streams, headerList: HTTP2Limits.headerList),
            streamConfiguration: HTTP2Limits.stream)
        try channel.pipeline.syncOperations.addHandlers([codec, self])
        waitForStreams()
    }

    // MARK: - Leasing

    var room: Int { isOpen && !isLeaving && nextStream < Self.lastUsableStream ? mostStreams - streams.count : 0 }

    /// A connection that would run out of ids is left to end.
    private static let lastUsableStream = HTTP2StreamID(1 << 30)

    /// Whether a stream can be opened now; with `asksSocket` the kernel says whether the peer has closed the connection.
    func canCarry(mustBeSure asksSocket: Bool) -> Bool {
        guard room > 0 else { return false }
        guard asksSocket, descriptor >= 0 else { return true }
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) != 0
    }

    func open(_ stream: HTTP2UpstreamStream) -> HTTP2StreamID {
        if streams.isEmpty { loop.removeTimer(self) }
        let id = nextStream
        nextStream = HTTP2StreamID(Int(id) + 2)
        streams[id] = stream
        return id
    }

    func remove(_ id: HTTP2StreamID) {
        guard streams.removeValue(forKey: id) != nil else { return }
        carried += 1
        guard streams.isEmpty, !isEnded else { return }
        if isLeaving { sayGoodbye(last: .rootStream) } else { waitForStreams() }
    }

    private func waitForStreams() { loop.setTimer(self, due: loop.now + pool.idleTimeout) }

    override func timerFired(now: Instant) {
        if isLeaving || isBroken { abort() } else { leave() }
    }

    /// Takes no further stream, and ends with the last.
    func leave() {
        guard !isLeaving else { return }
        isLeaving = true
        pool.remove(self)
        if streams.isEmpty { sayGoodbye(last: .rootStream) }
    }

    // MARK: - Frames

    override func receive(_ frame: HTTP2Frame) {
        switch frame.payload {
        case .headers(let block):
            guard let stream = streams[frame.streamID] else { return }
            touched.append(stream)
            stream.receive(block.headers, isEnd: block.endStream)
        case .data(let data):
            guard let stream = streams[frame.streamID], case .byteBuffer(let bytes) = data.data else { return }
            touched.append(stream)
            stream.receive(bytes, isEnd: data.endStream)
        case .rstStream(let code): streams[frame.streamID]?.peerReset(code)
        case .goAway(let last, _, _): peerLeaves(last)
        case .settings(.settings(let settings)):
            for setting in settings where setting.parameter == .maxConcurrentStreams {
                mostStreams = min(setting.value, HTTP2Limits.streams)
                pool.streamsPerConnection = max(mostStreams, 1)
            }
        case .settings, .ping, .windowUpdate, .priority, .pushPromise, .alternativeService, .origin: break
        }
    }

    /// Streams above `last` were not begun there, and may be tried elsewhere whatever they ask for.
    private func peerLeaves(_ last: HTTP2StreamID) {
        isLeaving = true
        pool.remove(self)
        let refused = streams.filter { $0.key > last }
        for (id, stream) in refused {
            streams[id] = nil
            stream.peerReset(.refusedStream)
        }
        if streams.isEmpty { sayGoodbye(last: .rootStream) }
    }

    override func readComplete() {
        let streams = touched
        touched.removeAll(keepingCapacity: true)
        for stream in streams { stream.flushResponse() }
    }

    override func windowChanged(_ stream: HTTP2StreamID, _ window: Int) { streams[stream]?.windowChanged(window) }

    override func streamClosed(_ stream: HTTP2StreamID, _ code: HTTP2ErrorCode?) {
        guard let closed = streams[stream] else { return }
        remove(stream)
        closed.closed(code)
    }

    override func writabilityChanged() {
        canWrite = context?.channel.isWritable ?? false
        for stream in streams.values { stream.writabilityChanged() }
    }

    override func ended() {
        guard !isEnded else { return }
        isEnded = true
        isLeaving = true
        pool.remove(self)
        let left = streams.values
        streams = [:]
        for stream in left { stream.connectionEnded() }
    }
}
