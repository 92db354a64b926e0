internal import NIOCore

// From the socket to the handlers.
//
// The kernel says once that bytes have come. Who was not asked to read then remembers it (`hasBytes`) until a read has found less than it
// had room for: whatever comes later is told anew.

extension StreamChannel {
    package func read0() {
        guard phase != .closed, !inputEnded else { return }
        isReadWanted = true
        if hasBytes, phase == .active, !isReading { loop.resume(self) }
    }

    func setReadsByItself(_ readsByItself: Bool) {
        guard readsByItself != self.readsByItself else { return }
        self.readsByItself = readsByItself
        if readsByItself {
            if phase == .active { read0() }
        } else {
            // Also what was asked for already.
            isReadWanted = false
        }
    }

    /// Asks for more as the handlers would have it, unless one of them has done so.
    func readAsUsual() {
        guard readsByItself, !isReadWanted, !inputEnded else { return }
        if reader == nil { pipeline.syncOperations.read() } else { read0() }
    }

    private func tell(_ bytes: ByteBuffer) {
        if let reader { reader.received(bytes) } else { pipeline.syncOperations.fireChannelRead(NIOAny(bytes)) }
    }

    private func tellThatAllIsRead() {
        if let reader { reader.receivedAll() } else { pipeline.syncOperations.fireChannelReadComplete() }
    }

    private enum Reading {
        /// The kernel has no more for now.
        case drained
        /// It may have more.
        case more
        /// Nobody wants more, or the channel has closed.
        case ended
    }

    /// Reads a few times, and goes on in the next turn where there is more: others want to be served as well.
    func readSome() {
        guard !isReading, !inputEnded else { return }
        if case .ended = readTurn(isRest: false) { return }
        readAsUsual()
        if hasBytes, isReadWanted, phase == .active { loop.resume(self) }
    }

    /// The peer has ended its side: reads what it sent before, wanted or not, so that its end is seen.
    ///
    /// That is no more than the kernel has taken already.
    func readRest() {
        guard !isReading, !inputEnded else { return }
        readsToEnd = true
        hasBytes = true
        while phase == .active, !inputEnded {
            guard case .more = readTurn(isRest: true) else { return }
        }
    }

    /// - Parameter isRest: read also what nobody wants just now.
    private func readTurn(isRest: Bool) -> Reading {
        isReading = true
        defer { isReading = false }
        var hasRead = false
        for _ in 0..<messagesPerRead {
            switch loop.receiveBuffers.receive(from: descriptor, size: &receiveSize) {
            case .bytes(let isAll):
                if isAll, !readsToEnd { hasBytes = false }
                isReadWanted = false
                hasRead = true
                tell(loop.receiveBuffers.latest)
            case .nothing:
                hasBytes = false
                readsToEnd = false
            case .end:
                hasBytes = false
                endOfInput()
                return .ended
            case .failed(let code):
                hasBytes = false
                readFailed(code)
                return .ended
            }
            guard phase == .active, !inputEnded else { return .ended }
            guard hasBytes, readsByItself || isReadWanted || isRest else { break }
        }
        if hasRead { tellThatAllIsRead() }
        guard phase == .active, !inputEnded else { return .ended }
        return hasBytes ? .more : .drained
    }

    private func endOfInput() {
        isReadWanted = false
        tellThatAllIsRead()
        guard phase == .active, !inputEnded else { return }
        close0(error: ChannelError.eof, mode: allowsHalfClosure ? .input : .all, promise: nil)
    }

    private func readFailed(_ code: CInt) {
        let error = IOError(errnoCode: code, reason: "recv")
        pipeline.syncOperations.fireErrorCaught(error)
        close0(error: error, mode: .all, promise: nil)
    }

    /// The connection is over: what came before is read, and then it is closed.
    func broke() {
        readRest()
        guard phase == .active else { return }
        let code = Socket.takeError(descriptor)
        close0(error: IOError(errnoCode: code == 0 ? Self.connectionReset : code, reason: "the connection ended"), mode: .all, promise: nil)
    }

    /// Delivers what has come before a write failed: the peer may have said why.
    func readBeforeFailure() {
        guard readsByItself || isReadWanted else { return }
        readRest()
    }
}
