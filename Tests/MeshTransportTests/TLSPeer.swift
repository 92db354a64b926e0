import NIOCore
import NIOEmbedded
import NIOSSL
import NIOTLS
import TestSupport

/// One end of a TLS connection for scripts, over a blocking socket.
final class TLSPeer: @unchecked Sendable {
    let socket: RawSocket
    private let channel: EmbeddedChannel
    private let listener = Listener()
    private var received: [UInt8] = []

    /// What ALPN has found.
    var negotiated: String? { listener.negotiated }
    /// As the peer has shown it, in DER.
    private(set) var peerCertificate: [UInt8] = []

    private final class Listener: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var negotiated: String?
        var isEstablished = false
        var sawFarewell = false

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case TLSUserEvent.handshakeCompleted(let found) = event {
                isEstablished = true
                negotiated = found
            }
            if case TLSUserEvent.shutdownCompleted = event { sawFarewell = true }
        }
    }

    /// A client that believes the test's authority.
    static func client(
        _ socket: RawSocket, name: String?, protocols: [String] = ["http/1.1"], change: (inout TLSConfiguration) -> Void = { _ in }
    ) throws -> TLSPeer {
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(TestCertificates.authority.chain.utf8)))
        settings.applicationProtocols = protocols
        change(&settings)
        let handler = try NIOSSLClientHandler(context: NIOSSLContext(configuration: settings), serverHostname: name)
        let peer = try TLSPeer(socket, handler)
        peer.peerCertificate = try handler.peerCertificate?.toDERBytes() ?? []
        return peer
    }

    static func server(_ socket: RawSocket, _ certificate: TestCertificates.Certificate, protocols: [String] = []) throws -> TLSPeer {
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.chain.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(certificate.key.utf8), format: .pem)))
        settings.applicationProtocols = protocols
        return try TLSPeer(socket, NIOSSLServerHandler(context: NIOSSLContext(configuration: settings)))
    }

    /// Returns when the handshake has ended.
    private init(_ socket: RawSocket, _ handler: any ChannelHandler) throws {
        self.socket = socket
        channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandlers([handler, listener])
        try channel.connect(to: .init(unixDomainSocketPath: "/peer")).wait()
        try transmit()
        while !listener.isEstablished { guard try pump() else { throw RawSocket.Failed(description: "no handshake") } }
    }

    /// The peer's farewell is not waited for.
    deinit {
        channel.close(promise: nil)
        channel.embeddedEventLoop.advanceTime(by: .minutes(1))
    }

    private func transmit() throws {
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { try socket.send(Array(bytes.readableBytesView)) }
    }

    /// Takes what comes; false at the end, orderly or not.
    private func pump() throws -> Bool {
        let bytes = try socket.receive()
        guard !bytes.isEmpty else { return false }
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        while let plain = try channel.readInbound(as: ByteBuffer.self) { received += plain.readableBytesView }
        try transmit()
        return channel.isActive
    }

    func send(_ text: String) throws {
        channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
        try transmit()
    }

    func sayFarewell() throws {
        channel.close(promise: nil)
        try transmit()
    }

    func receive(until marker: String) throws -> String {
        while true {
            if let range = received.firstRange(of: Array(marker.utf8)) {
                defer { received.removeSubrange(..<range.upperBound) }
                return String(decoding: received[..<range.upperBound], as: UTF8.self)
            }
            guard try pump() else { throw RawSocket.Failed(description: "ended before '\(marker)'") }
        }
    }

    /// The rest, and whether the peer has said that it is all.
    func receiveToEnd() -> (text: String, isOrderly: Bool) {
        while (try? pump()) == true {}
        return (String(decoding: received, as: UTF8.self), listener.sawFarewell || !channel.isActive)
    }

    /// An answer with a length.
    func receiveMessage() throws -> (head: String, body: String) {
        let head = try receive(until: "\r\n\r\n")
        let length = field("content-length", head).flatMap { Int($0) } ?? 0
        while received.count < length { guard try pump() else { throw RawSocket.Failed(description: "a short body") } }
        defer { received.removeFirst(length) }
        return (head, String(decoding: received[..<length], as: UTF8.self))
    }

    /// One exchange on this connection.
    func get(_ path: String) throws -> (head: String, body: String) {
        try send("GET \(path) HTTP/1.1\r\nhost: one.example\r\n\r\n")
        return try receiveMessage()
    }
}
