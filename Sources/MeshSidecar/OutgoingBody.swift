public import HTTPTypes
package import MeshTransport
package import NIOCore

/// The bytes of a message that this service sends: the body of an answer, or of a call.
///
///     MeshResponse(status: .ok, body: .text("hello"))
///     MeshResponse(status: .ok, body: .stream { writer in
///         for line in lines { try await writer.write(line) }
///     })
public struct OutgoingBody: Sendable {
    package enum Storage: Sendable {
        case none
        case bytes(ByteBuffer)
        case stream(length: Int?, @Sendable (OutgoingBodyWriter) async throws -> Void)
    }

    package let storage: Storage

    package init(_ storage: Storage) { self.storage = storage }

    public static let none = OutgoingBody(.none)

    public static func bytes(_ bytes: [UInt8]) -> OutgoingBody { OutgoingBody(.bytes(ByteBuffer(bytes: bytes))) }

    public static func text(_ text: String) -> OutgoingBody { OutgoingBody(.bytes(ByteBuffer(string: text))) }

    /// A value as JSON; dates are written as ISO 8601.
    public static func json(_ value: some Encodable) throws -> OutgoingBody { .bytes(try MeshJSON.encode(value)) }

    /// Written piece by piece. The message ends when `write` returns; when it throws, the message is broken off so that the
    /// other end can tell. Without `length` the body is chunked.
    public static func stream(
        length: Int? = nil, _ write: @escaping @Sendable (OutgoingBodyWriter) async throws -> Void
    ) -> OutgoingBody {
        OutgoingBody(.stream(length: length, write))
    }

    /// The bytes of a message that arrives, passed on as they come.
    public static func passing(_ body: MeshBody, length: Int? = nil) -> OutgoingBody {
        switch body.storage {
        case .bytes(let buffer): OutgoingBody(.bytes(buffer))
        case .stream:
            .stream(length: length) { writer in
                for try await piece in body.buffers { try await writer.write(piece) }
            }
        }
    }

    package var outbound: OutboundBody {
        switch storage {
        case .none: .none
        case .bytes(let buffer): .bytes(buffer)
        case .stream(let length, let write): .stream(length: length) { writer in try await write(OutgoingBodyWriter(writer)) }
        }
    }
}

/// Where the closure of a streamed body writes to.
public struct OutgoingBodyWriter: Sendable {
    private let writer: BodyWriter

    package init(_ writer: BodyWriter) { self.writer = writer }

    /// Sends a piece; suspends while the other end does not take more.
    public func write(_ bytes: [UInt8]) async throws { try await writer.write(ByteBuffer(bytes: bytes)) }

    public func write(_ text: String) async throws { try await writer.write(ByteBuffer(string: text)) }

    package func write(_ buffer: ByteBuffer) async throws { try await writer.write(buffer) }

    /// Fields that follow a chunked body; to be set before the closure returns.
    public func setTrailers(_ fields: HTTPFields) { writer.setTrailers(fields) }
}
