package import MeshTransport
package import NIOCore

/// The bytes of a message that arrives, in pieces as they come, with back-pressure.
///
///     for try await piece in request.body { digest.update(piece) }
///     let whole = try await request.body.collect(upTo: 1 << 20)
///
/// It can be read once.
public struct MeshBody: AsyncSequence, Sendable {
    public typealias Element = [UInt8]

    package enum Storage: Sendable {
        case bytes(ByteBuffer)
        case stream(BodyStream)
    }

    package let storage: Storage

    package init(_ storage: Storage) { self.storage = storage }

    /// A body that is all there; for tests.
    public init(_ bytes: [UInt8] = []) { storage = .bytes(ByteBuffer(bytes: bytes)) }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(buffers: buffers.makeAsyncIterator()) }

    public struct AsyncIterator: AsyncIteratorProtocol {
        var buffers: Buffers.AsyncIterator

        public mutating func next() async throws -> [UInt8]? { try await buffers.next().map { Array($0.readableBytesView) } }
    }

    /// The whole body.
    ///
    /// - Throws: a 413 ``Problem`` when it is longer than `limit` bytes.
    public func collect(upTo limit: Int) async throws -> [UInt8] {
        Array(try await collectBuffer(upTo: limit).readableBytesView)
    }

    package func collectBuffer(upTo limit: Int) async throws -> ByteBuffer {
        switch storage {
        case .bytes(let buffer):
            guard buffer.readableBytes <= limit else { throw Problem(tooLarge: limit) }
            return buffer
        case .stream(let stream):
            do {
                return try await stream.collect(upTo: limit)
            } catch let error as BodyTooLarge {
                throw Problem(tooLarge: error.limit)
            }
        }
    }

    /// The same pieces without a copy, for code of this package that speaks NIO too.
    package var buffers: Buffers { Buffers(storage: storage) }

    package struct Buffers: AsyncSequence, Sendable {
        package typealias Element = ByteBuffer
        let storage: Storage

        package func makeAsyncIterator() -> AsyncIterator {
            switch storage {
            case .bytes(let buffer): AsyncIterator(source: .bytes(buffer.readableBytes > 0 ? buffer : nil))
            case .stream(let stream): AsyncIterator(source: .stream(stream.makeAsyncIterator()))
            }
        }

        package struct AsyncIterator: AsyncIteratorProtocol {
            enum Source {
                case bytes(ByteBuffer?)
                case stream(BodyStream.Iterator)
            }
            var source: Source

            package mutating func next() async throws -> ByteBuffer? {
                switch source {
                case .bytes(let buffer):
                    source = .bytes(nil)
                    return buffer
                case .stream(var iterator):
                    let piece = try await iterator.next()
                    source = .stream(iterator)
                    return piece
                }
            }
        }
    }
}

extension Problem {
    init(tooLarge limit: Int) { self.init(.contentTooLarge, detail: "the body is longer than \(limit) bytes") }
}
