internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

// The answer's way to an HTTP/1.1 client.

extension BodyFraming {
    var isLong: Bool {
        switch self {
        case .none, .tunnel: false
        case .length(let length): length > 64 << 10
        case .chunked, .untilClose: true
        }
    }
}

extension ServerConnection {
    /// A body piece up to this size is copied behind the head: cheaper than one more element of a gathering write.
    static let joinedBody = 4 << 10

    func frame(_ call: ForwardedCall) {
        let hasBody = call.response.framing.hasBody
        switch call.response.framing {
        case .chunked where clientVersion == 0: framing = .untilClose
        case .untilClose: framing = clientVersion == 0 ? .untilClose : .chunkedHere
        default: framing = .same
        }
        if framing == .untilClose, hasBody { keepsAlive = false }
        // A client that is told early can stop sending a body that nobody reads.
        if reading == .body, call.request.framing.isLong { keepsAlive = false }
        if loop.isDraining { keepsAlive = false }
    }

    /// One piece of a body, framed for this client.
    func writeBody(_ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        guard count > 0 else { return }
        if count <= Self.joinedBody {
            openOutput()
            if framing == .chunkedHere { loop.responseOutput.writeChunkBegin(count) }
            loop.responseOutput.writeImmutableBuffer(bytes)
            if framing == .chunkedHere { loop.responseOutput.writeStaticString("\r\n") }
        } else if framing == .chunkedHere {
            openOutput()
            loop.responseOutput.writeChunkBegin(count)
            write(bytes)
            openOutput()
            loop.responseOutput.writeStaticString("\r\n")
        } else {
            write(bytes)
        }
    }
}

extension ByteBuffer {
    mutating func writeChunkBegin(_ count: Int) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: ChunkWriter.overhead) { region in
            var sink = RegionSink(region)
            ChunkWriter.begin(count, into: &sink)
            return sink.count
        }
    }
}
