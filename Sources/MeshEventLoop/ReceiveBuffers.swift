internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// How much a socket is read at once: follows what it gave before.
struct ReceiveSize {
    /// 2 KiB to 64 KiB, in powers of two.
    static let classes = 6
    static func bytes(_ size: Int) -> Int { 2048 << size }

    private(set) var current: UInt8 = 0
    private var isRarelyFull = false

    /// A full buffer is followed by one of twice its size; two reads in a row that half of it would have held, by one of half its size.
    mutating func received(_ count: Int) {
        let size = Self.bytes(Int(current))
        if count >= size {
            if Int(current) < Self.classes - 1 { current += 1 }
            isRarelyFull = false
        } else if current > 0, count <= size / 2 {
            if isRarelyFull { current -= 1 }
            isRarelyFull.toggle()
        } else {
            isRarelyFull = false
        }
    }
}

/// What the sockets of a loop read into: one buffer of each size, used again as soon as nobody holds what lies in it.
///
/// So a connection that waits holds none, and one whose bytes are kept keeps at most twice what it is used to give.
struct ReceiveBuffers {
    private var buffers = (0..<ReceiveSize.classes).map { _ in ByteBuffer() }
    private var used = 0

    enum Outcome {
        /// They are `latest`; `isAll`: there was room for more.
        case bytes(isAll: Bool)
        case nothing
        case end
        case failed(CInt)
    }

    var latest: ByteBuffer { buffers[used] }

    mutating func receive(from descriptor: CInt, size: inout ReceiveSize) -> Outcome {
        used = Int(size.current)
        let room = ReceiveSize.bytes(used)
        // Takes new storage where somebody holds the old one.
        buffers[used].clear(minimumCapacity: room)
        var code: CInt = 0
        let count = buffers[used].writeWithUnsafeMutableBytes(minimumWritableBytes: room) { bytes in
            while true {
                let count = recv(descriptor, bytes.baseAddress, room, 0)
                if count > 0 { return count }
                code = count == 0 ? 0 : errno
                if code != EINTR { return 0 }
            }
        }
        guard count > 0 else { return code == 0 ? .end : code == EAGAIN ? .nothing : .failed(code) }
        size.received(count)
        return .bytes(isAll: count < room)
    }
}
