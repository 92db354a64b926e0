package import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

// From the handlers to the socket.

extension StreamChannel {
    static let connectionReset = ECONNRESET
    /// So many calls of the kernel in one turn, and on in the next: a peer that reads as fast as we write must not hold the loop.
    private static let sendsPerTurn = 16

    package func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        settle()
        guard phase != .closed else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard case .open = outputEnd else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        queue(unwrapData(data, as: ByteBuffer.self), promise)
    }

    private func queue(_ bytes: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        writes.append(bytes, promise)
        guard writes.byteCount > waterMark.high, isWritable else { return }
        setWritable(false)
        pipeline.syncOperations.fireChannelWritabilityChanged()
    }

    package func flush0() {
        guard phase != .closed else { return }
        writes.flush()
        if phase == .active, !isBlocked { writeFlushed() }
    }

    // MARK: - Past the pipeline

    /// Whether the kernel has all that was written.
    package var isAllSent: Bool {
        settle()
        return writes.isEmpty
    }

    /// Writes and flushes, at once where nothing waits; as a handler next to the socket would, but at a tenth of the cost.
    package func send(_ bytes: ByteBuffer) {
        settle()
        var sent = 0
        if isReadyToSend {
            if loop.hold(bytes, for: self) { return }
            sent = max(0, bytes.withUnsafeReadableBytes { Socket.send(descriptor, $0) })
        }
        let left = bytes.readableBytes - sent
        if left > 0 { sendLater(bytes.getSlice(at: bytes.readerIndex + sent, length: left)!) }
    }

    /// Two pieces by one call of the kernel.
    package func send(_ first: ByteBuffer, _ second: ByteBuffer) {
        settle()
        var sent = 0
        if isReadyToSend {
            if loop.hold(first, second, for: self) { return }
            sent = max(0, sendBoth(first, second))
        }
        let length = first.readableBytes
        if sent < length { sendLater(first.getSlice(at: first.readerIndex + sent, length: length - sent)!) }
        let sentOfSecond = max(0, sent - length)
        let left = second.readableBytes - sentOfSecond
        if left > 0 { sendLater(second.getSlice(at: second.readerIndex + sentOfSecond, length: left)!) }
    }

    /// Has the kernel take what is held; what it does not take goes to the queue, so this comes before anything else does.
    func settle() {
        if hasHeldSend { loop.sendHeld() }
    }

    private var isReadyToSend: Bool {
        // What is refused before the handlers know that the channel is active waits until then, so that they hear of its end.
        guard writes.isEmpty, phase == .active || phase == .connected, case .open = outputEnd else { return false }
        return true
    }

    private func sendBoth(_ first: ByteBuffer, _ second: ByteBuffer) -> Int {
        first.withUnsafeReadableBytes { first in
            second.withUnsafeReadableBytes { second in
                var pieces = (
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count),
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
                )
                return withUnsafeMutableBytes(of: &pieces) { pieces in
                    var message = msghdr()
                    message.msg_iov = pieces.assumingMemoryBound(to: iovec.self).baseAddress
                    message.msg_iovlen = 2
                    return sendmsg(descriptor, &message, CInt(MSG_NOSIGNAL))
                }
            }
        }
    }

    /// What the socket did not take, or refused: the queue meets the same error, and reports it.
    func sendLater(_ bytes: ByteBuffer) {
        guard phase != .closed, case .open = outputEnd else { return }
        queue(bytes, nil)
        flush0()
    }

    /// Whether the peer has neither ended the connection nor sent anything: asks the kernel.
    package var isQuiet: Bool {
        guard phase == .active, !inputEnded else { return false }
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, CInt(MSG_PEEK) | CInt(MSG_DONTWAIT)) < 0 && errno == EAGAIN
    }

    // MARK: - The queue

    /// Writes what was flushed, until the socket takes no more.
    func writeFlushed() {
        guard !isFlushing else { return }
        isFlushing = true
        defer { isFlushing = false }
        for _ in 0..<Self.sendsPerTurn {
            guard phase == .active, writes.hasFlushed else {
                endOutputIfDone()
                return
            }
            switch writes.send(to: descriptor) {
            case .sent(let count): took(count)
            case .blocked:
                isBlocked = true
                watchRoom()
                return
            case .failed(let code):
                writeFailed(code)
                return
            }
        }
        if phase == .active, writes.hasFlushed { loop.resume(self) } else { endOutputIfDone() }
    }

    private func took(_ count: Int) {
        var left = count
        while phase == .active, case .done(let promise) = writes.took(&left) { promise?.succeed() }
        guard phase == .active, !isWritable, writes.byteCount < waterMark.low else { return }
        setWritable(true)
        pipeline.syncOperations.fireChannelWritabilityChanged()
    }

    private func watchRoom() {
        guard !watchesRoom else { return }
        watchesRoom = true
        do {
            try loop.change(self, to: .readingAndWriting)
        } catch {
            pipeline.syncOperations.fireErrorCaught(error)
            close0(error: error, mode: .all, promise: nil)
        }
    }

    private func writeFailed(_ code: CInt) {
        readBeforeFailure()
        close0(error: IOError(errnoCode: code, reason: "send"), mode: .all, promise: nil)
    }

    private func endOutputIfDone() {
        guard phase == .active, writes.isEmpty, case .waiting(let promise) = outputEnd else { return }
        endOutput(promise)
    }
}
