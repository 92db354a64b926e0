/// One unit of the control protocol: a type and its payload.
///
/// On the wire: the length of the payload as UInt32 in network byte order, the type as UInt8, the payload.
package struct Frame: Hashable, Sendable {
    /// 1...127 are said by instances, 128...255 by the daemon; a peer ignores a type that it does not know.
    package var type: UInt8
    package var payload: [UInt8]

    /// A longer payload is refused by both ends, so that a peer gone wrong can't fill memory.
    package static let payloadLimit = 16 << 20
    package static let headerLength = 5

    package init(type: UInt8, payload: [UInt8]) {
        self.type = type
        self.payload = payload
    }

    /// Appends the frame's bytes; throws when the payload is over the limit, with nothing appended.
    package func encode(into bytes: inout [UInt8]) throws(FrameError) {
        guard payload.count <= Self.payloadLimit else { throw .oversized(length: payload.count) }
        bytes.reserveCapacity(bytes.count + Self.headerLength + payload.count)
        withUnsafeBytes(of: UInt32(payload.count).bigEndian) { bytes.append(contentsOf: $0) }
        bytes.append(type)
        bytes.append(contentsOf: payload)
    }

    package func encoded() throws(FrameError) -> [UInt8] {
        var bytes: [UInt8] = []
        try encode(into: &bytes)
        return bytes
    }
}

/// Why a stream of frames can't be read any further: its connection must be closed.
package enum FrameError: Error, Hashable, CustomStringConvertible {
    case oversized(length: Int)

    package var description: String {
        switch self {
        case .oversized(let length): "a frame of \(length) bytes is over the limit of \(Frame.payloadLimit)"
        }
    }
}

/// Cuts a stream of bytes into frames, however the bytes were split on their way.
///
/// Invariant: it holds at most one incomplete frame plus what was appended since `next` last answered nil.
package struct FrameDecoder: Sendable {
    private var buffer: [UInt8] = []
    /// What lies before it was handed out already.
    private var start = 0

    package init() {}

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    package mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

    /// The next whole frame; nil when more bytes are needed.
    package mutating func next() throws(FrameError) -> Frame? {
        guard buffer.count - start >= Frame.headerLength else { return nil }
        var length = 0
        for index in start..<start + 4 { length = length << 8 | Int(buffer[index]) }
        guard length <= Frame.payloadLimit else { throw .oversized(length: length) }
        let end = start + Frame.headerLength + length
        guard buffer.count >= end else { return nil }
        let frame = Frame(type: buffer[start + 4], payload: Array(buffer[(start + Frame.headerLength)..<end]))
        start = end
        return frame
    }
}
