import NIOCore
import NIOEmbedded
import NIOHPACK
import NIOHTTP2

/// One end of an HTTP/2 connection for scripts, over a blocking socket: NIOHTTP2 keeps the protocol, the script says the frames.
final class HTTP2Peer {
    let socket: RawSocket
    private let channel: EmbeddedChannel
    private var nextStream: HTTP2StreamID = 1

    /// What came on one stream so far.
    struct Message {
        var interim: [HPACKHeaders] = []
        var headers = HPACKHeaders()
        var body: [UInt8] = []
        var trailers: HPACKHeaders?
        var reset: HTTP2ErrorCode?
        var isEnded = false

        var status: Int { headers.first(name: ":status").flatMap { Int($0) } ?? 0 }
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    private(set) var messages: [HTTP2StreamID: Message] = [:]
    private(set) var goAway: (last: HTTP2StreamID, code: HTTP2ErrorCode)?
    /// Windows are given back as data comes.
    var replenishes = true

    init(_ socket: RawSocket, mode: NIOHTTP2Handler.ParserMode, settings: HTTP2Settings = nioDefaultSettings) throws {
        self.socket = socket
        channel = EmbeddedChannel(
            handler: NIOHTTP2Handler(
                mode: mode, initialSettings: settings, headerBlockValidation: .disabled, contentLengthValidation: .disabled))
        try channel.connect(to: .init(unixDomainSocketPath: "/peer")).wait()
        try transmit()
    }

    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    // MARK: - Sending

    func send(_ stream: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload) throws {
        channel.writeAndFlush(HTTP2Frame(streamID: stream, payload: payload), promise: nil)
        try transmit()
    }

    func sendHeaders(_ stream: HTTP2StreamID, _ headers: HPACKHeaders, isEnd: Bool = false) throws {
        try send(stream, .headers(.init(headers: headers, endStream: isEnd)))
    }

    func sendData(_ stream: HTTP2StreamID, _ bytes: some Collection<UInt8>, isEnd: Bool = false) throws {
        try send(stream, .data(.init(data: .byteBuffer(ByteBuffer(bytes: bytes)), endStream: isEnd)))
    }

    /// The same, and whether the windows have let all of it go out.
    func sendTracked(_ stream: HTTP2StreamID, _ bytes: [UInt8]) throws -> () -> Bool {
        let isWritten = UncheckedBox(false)
        let promise = channel.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenSuccess { isWritten.value = true }
        channel.writeAndFlush(
            HTTP2Frame(streamID: stream, payload: .data(.init(data: .byteBuffer(ByteBuffer(bytes: bytes))))), promise: promise)
        try transmit()
        return { isWritten.value }
    }

    /// Begins a request on a stream of its own.
    @discardableResult
    func request(
        _ method: String = "GET", _ path: String = "/", _ fields: [(String, String)] = [], isEnd: Bool = true
    ) throws -> HTTP2StreamID {
        let stream = nextStream
        nextStream = HTTP2StreamID(Int(stream) + 2)
        var headers: HPACKHeaders = [":method": method, ":scheme": "http", ":path": path, ":authority": "shop.example"]
        for (name, value) in fields { headers.add(name: name, value: value) }
        try sendHeaders(stream, headers, isEnd: isEnd)
        return stream
    }

    private func transmit() throws {
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { try socket.send(Array(bytes.readableBytesView)) }
    }

    // MARK: - Receiving

    /// Reads until the fact holds; false where the connection ended before.
    @discardableResult
    func receive(until fact: (HTTP2Peer) -> Bool) throws -> Bool {
        while !fact(self) {
            let bytes = try socket.receive()
            guard !bytes.isEmpty else { return false }
            do { try channel.writeInbound(ByteBuffer(bytes: bytes)) } catch {}
            while let frame = try channel.readInbound(as: HTTP2Frame.self) { try take(frame) }
            try transmit()
        }
        return true
    }

    /// The whole message of a stream, or what there is of it when it was reset or the connection ended.
    func message(_ stream: HTTP2StreamID) throws -> Message {
        try receive { $0.messages[stream].map { $0.isEnded || $0.reset != nil } ?? false }
        return messages[stream] ?? Message()
    }

    /// The next request that a peer begins, once its head is there.
    func nextRequest(after seen: Int) throws -> HTTP2StreamID? {
        try receive { $0.messages.count > seen }
        return messages.keys.sorted().dropFirst(seen).first
    }

    private func take(_ frame: HTTP2Frame) throws {
        switch frame.payload {
        case .headers(let block):
            var message = messages[frame.streamID] ?? Message()
            if block.headers.first(name: ":status")?.first == "1" {
                message.interim.append(block.headers)
            } else if message.headers.isEmpty {
                message.headers = block.headers
            } else {
                message.trailers = block.headers
            }
            message.isEnded = block.endStream
            messages[frame.streamID] = message
        case .data(let data):
            guard case .byteBuffer(let bytes) = data.data else { return }
            messages[frame.streamID]?.body += bytes.readableBytesView
            messages[frame.streamID]?.isEnded = data.endStream
            if replenishes, bytes.readableBytes > 0 {
                try send(.rootStream, .windowUpdate(windowSizeIncrement: bytes.readableBytes))
                if !data.endStream { try send(frame.streamID, .windowUpdate(windowSizeIncrement: bytes.readableBytes)) }
            }
        case .rstStream(let code): messages[frame.streamID, default: Message()].reset = code
        case .goAway(let last, let code, _): goAway = (last, code)
        default: break
        }
    }
}

extension ScriptedUpstream {
    /// A server that speaks HTTP/2 and does what its script says.
    static func http2(
        settings: HTTP2Settings = nioDefaultSettings, script: @escaping @Sendable (HTTP2Peer, Int) throws -> Void
    ) throws -> ScriptedUpstream {
        try ScriptedUpstream { socket, number in try script(HTTP2Peer(socket, mode: .server, settings: settings), number) }
    }

    /// A server that answers each request, when it has come to its end, with what `answer` makes of it.
    static func answeringHTTP2(
        _ answer: @escaping @Sendable (HTTP2Peer, HTTP2StreamID, HTTP2Peer.Message) throws -> Void
    ) throws -> ScriptedUpstream {
        try http2 { peer, _ in
            var answered: Set<HTTP2StreamID> = []
            while try peer.receive(until: { peer in peer.messages.contains { $0.value.isEnded && !answered.contains($0.key) } }) {
                for (stream, message) in peer.messages.sorted(by: { $0.key < $1.key }) where message.isEnded && !answered.contains(stream) {
                    answered.insert(stream)
                    try answer(peer, stream, message)
                }
            }
        }
    }
}
