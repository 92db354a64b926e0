package import NIOCore

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

// How a channel, or one side of it, ends.

extension StreamChannel {
    package func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        settle()
        guard phase != .closed else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        switch mode {
        case .all: closeAll(error, promise)
        case .output: closeOutput(promise)
        case .input: closeInput(error, promise)
        }
    }

    private func closeAll(_ error: any Error, _ promise: EventLoopPromise<Void>?) {
        let before = phase
        // First all that is ours, then the callbacks, which find a channel that is closed.
        phase = .closed
        setActive(false)
        cancelConnectTimer()
        closeDescriptor()
        let ended = connectEnded
        connectEnded = nil
        let waiting = outputEnd
        outputEnd = .ended
        isReadWanted = false
        hasBytes = false
        let closed = closed
        self.closed = nil
        closed?()
        for promise in writes.removeAll() { promise.fail(error) }
        if case .waiting(let promise) = waiting { promise?.fail(error) }
        ended?(.failure(error))
        promise?.succeed()
        if before == .active { pipeline.syncOperations.fireChannelInactive() }
        if before != .new { pipeline.syncOperations.fireChannelUnregistered() }
        // Later, since the caller may be on its way through the handlers.
        loop._executeIsolatedUnsafeUnchecked { [self] in
            reader = nil
            removeHandlers(pipeline: pipeline)
            tellClosed()
        }
    }

    private func closeOutput(_ promise: EventLoopPromise<Void>?) {
        switch outputEnd {
        case .ended: promise?.fail(ChannelError.outputClosed)
        case .waiting(let first): outputEnd = .waiting(joined(first, promise))
        case .open:
            if phase == .active, writes.isEmpty, !isFlushing {
                endOutput(promise)
            } else {
                outputEnd = .waiting(promise)
            }
        }
    }

    private func joined(_ first: EventLoopPromise<Void>?, _ second: EventLoopPromise<Void>?) -> EventLoopPromise<Void>? {
        guard let first else { return second }
        if let second { first.futureResult.cascade(to: second) }
        return first
    }

    /// All that was written is on its way; with both sides at their end the channel closes.
    func endOutput(_ promise: EventLoopPromise<Void>?) {
        outputEnd = .ended
        guard !inputEnded else {
            closeAll(ChannelError.outputClosed, promise)
            return
        }
        // It fails where the peer has ended the connection, and then we will hear of that.
        shutdown(descriptor, CInt(SHUT_WR))
        promise?.succeed()
        if phase == .active { pipeline.syncOperations.fireUserInboundEventTriggered(ChannelEvent.outputClosed) }
    }

    private func closeInput(_ error: any Error, _ promise: EventLoopPromise<Void>?) {
        guard !inputEnded else {
            promise?.fail(ChannelError.inputClosed)
            return
        }
        if case .ended = outputEnd {
            closeAll(error, promise)
            return
        }
        inputEnded = true
        isReadWanted = false
        hasBytes = false
        if case ChannelError.eof = error {} else { shutdown(descriptor, CInt(SHUT_RD)) }
        promise?.succeed()
        if phase == .active { pipeline.syncOperations.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
    }
}
