internal import MeshHTTP
internal import NIOCore

// The request's body between two protocols. Pieces are kept, and sent again, in the form in which they came.

extension ForwardedCall {
    /// The running attempt needs chunks, and pieces come as data.
    func framesBody(for upstream: UpstreamStream) -> Bool {
        bodyIsData && !upstream.takesData && request.framing == .chunked
    }

    /// A piece as the wire of HTTP/1.1 wants it.
    static func chunk(_ piece: ByteBuffer) -> ByteBuffer {
        var chunk = ByteBuffer()
        chunk.reserveCapacity(piece.readableBytes + ChunkWriter.overhead)
        chunk.writeChunkBegin(piece.readableBytes)
        chunk.writeImmutableBuffer(piece)
        chunk.writeStaticString("\r\n")
        return chunk
    }

    /// The end of a chunked body, with the trailers that came.
    var lastChunk: ByteBuffer {
        var bytes = ByteBuffer(staticString: "0\r\n")
        if let requestTrailers { bytes.writeImmutableBuffer(requestTrailers) }
        bytes.writeStaticString("\r\n")
        return bytes
    }

    /// `grpc-status` of the trailers behind a body; nil where there is none.
    var trailersStatus: Int? {
        guard let responseTrailers else { return nil }
        return responseTrailers.withUnsafeReadableBytes { GRPCStatus.code(inTrailers: $0) }
    }
}
