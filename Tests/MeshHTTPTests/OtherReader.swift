import NIOCore
import NIOEmbedded
import NIOHTTP1

/// What NIOHTTP1, which reads by llhttp, makes of a message: an independent reading to compare with.
struct OtherReader {
    /// Of a response, without the reason phrase, which is not kept there.
    var line = ""
    /// Names and values; interim heads before a response are not kept.
    var fields: [String] = []
    var data: [UInt8] = []
    var trailers: [String] = []
    var isEnded = false
    /// Why it was refused; nil where it was not.
    var refusal: String?
    private var hasHead = false

    static func request(_ message: [UInt8]) -> OtherReader {
        var reader = OtherReader()
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        do { try channel.writeInbound(ByteBuffer(bytes: message)) } catch { reader.refusal = "\(error)" }
        while !reader.isEnded, let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
            switch part {
            case .head(let head):
                reader.begin("\(head.method.rawValue) \(head.uri) \(head.version.major).\(head.version.minor)", head.headers)
            case .body(let bytes): reader.data += bytes.readableBytesView
            case .end(let fields): reader.end(fields)
            }
        }
        return reader
    }

    /// `endsThere`: the connection ends behind the message.
    static func response(_ message: [UInt8], isHead: Bool, endsThere: Bool) -> OtherReader {
        var reader = OtherReader()
        let decoder = HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .forward)
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(decoder))
        _ = try? channel.writeOutbound(
            HTTPClientRequestPart.head(HTTPRequestHead(version: .http1_1, method: isHead ? .HEAD : .GET, uri: "/")))
        do {
            try channel.writeInbound(ByteBuffer(bytes: message))
            if endsThere { _ = try channel.finish() }
        } catch { reader.refusal = "\(error)" }
        while !reader.isEnded, let part = try? channel.readInbound(as: HTTPClientResponsePart.self) {
            switch part {
            case .head(let head):
                reader.begin("\(head.version.major).\(head.version.minor) \(head.status.code)", head.headers)
            case .body(let bytes): reader.data += bytes.readableBytesView
            case .end(let fields): reader.end(fields)
            }
        }
        if !endsThere { _ = try? channel.finish(acceptAlreadyClosed: true) }
        return reader
    }

    private mutating func begin(_ line: String, _ headers: HTTPHeaders) {
        // The first head is the one that is compared.
        guard !hasHead else { return }
        hasHead = true
        self.line = line
        fields = headers.map { "\($0.name): \($0.value)" }
    }

    private mutating func end(_ headers: HTTPHeaders?) {
        isEnded = true
        trailers = headers?.map { "\($0.name): \($0.value)" } ?? []
    }
}
