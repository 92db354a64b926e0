internal import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// What was written to a channel and not yet taken by its socket, in order.
struct PendingWrites {
    private struct Write {
        var bytes: ByteBuffer
        var promise: EventLoopPromise<Void>?
    }

    private var writes: [Write] = []
    /// Before it all are done.
    private var first = 0
    /// Up to here they were flushed.
    private var flushed = 0
    /// Of all of them.
    private(set) var byteCount = 0

    /// So many pieces at most are given to the kernel by one call.
    private static let mostPieces = 64

    var isEmpty: Bool { first == writes.count }
    var hasFlushed: Bool { first < flushed }

    mutating func append(_ bytes: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        writes.append(Write(bytes: bytes, promise: promise))
        byteCount += bytes.readableBytes
    }

    mutating func flush() { flushed = writes.count }

    enum Outcome {
        case sent(Int)
        case blocked
        case failed(CInt)
    }

    /// Offers what was flushed to the socket; what it took is still to be removed by `took`.
    func send(to descriptor: CInt) -> Outcome {
        while true {
            let count = flushed - first == 1 ? sendOne(descriptor) : sendSeveral(descriptor)
            guard count < 0 else { return .sent(count) }
            let code = errno
            if code == EAGAIN { return .blocked }
            if code != EINTR { return .failed(code) }
        }
    }

    private func sendOne(_ descriptor: CInt) -> Int {
        writes[first].bytes.withUnsafeReadableBytes { bytes in
            bytes.isEmpty ? 0 : Socket.send(descriptor, bytes)
        }
    }

    private func sendSeveral(_ descriptor: CInt) -> Int {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.mostPieces) { pieces in
            let count = min(Self.mostPieces, flushed - first)
            for index in 0..<count {
                // The queue holds the storage for longer than the call takes.
                writes[first + index].bytes.withUnsafeReadableBytes { bytes in
                    pieces[index] = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
                }
            }
            var message = msghdr()
            message.msg_iov = pieces.baseAddress
            message.msg_iovlen = .init(count)
            return sendmsg(descriptor, &message, CInt(MSG_NOSIGNAL))
        }
    }

    enum Progress {
        /// A write is done with; its promise is to be kept.
        case done(EventLoopPromise<Void>?)
        /// Nothing further is, for now.
        case rest
    }

    /// Counts `count` bytes as sent, as far as the first write goes.
    ///
    /// Called until it returns `rest`, since the callbacks of a promise may write, flush and close.
    mutating func took(_ count: inout Int) -> Progress {
        guard hasFlushed else { return .rest }
        let length = writes[first].bytes.readableBytes
        guard length <= count else {
            writes[first].bytes.moveReaderIndex(forwardBy: count)
            byteCount -= count
            count = 0
            return .rest
        }
        count -= length
        byteCount -= length
        let promise = writes[first].promise
        writes[first] = Write(bytes: ByteBuffer())
        first += 1
        shrink()
        return .done(promise)
    }

    private mutating func shrink() {
        if first == writes.count {
            // No storage is kept: most connections never queue anything.
            writes = []
            flushed = 0
            first = 0
        } else if first >= 32, first > writes.count / 2 {
            writes.removeFirst(first)
            flushed -= first
            first = 0
        }
    }

    /// Forgets everything; the promises are the caller's to fail.
    mutating func removeAll() -> [EventLoopPromise<Void>] {
        let promises = writes[first...].compactMap(\.promise)
        self = PendingWrites()
        return promises
    }
}
