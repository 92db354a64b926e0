internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

// How an answer, and a connection, come to their end.

extension ServerConnection {
    // MARK: - Between two requests

    /// After an answer whose request was read to its end: on to the next one; false when the connection ends here.
    func nextRequest() -> Bool {
        recycleCall()
        guard keepsAlive else {
            close()
            return false
        }
        waitForRequest()
        if loop.isDraining { closeWhenQuiet() }
        return !isClosed
    }

    func waitForRequest() {
        reading = .head
        answerBegan = false
        answerEnded = false
        idleSince = loop.now
        loop.setTimer(self, due: loop.now + loop.timeouts.idle)
    }

    func recycleCall() {
        guard let call else { return }
        self.call = nil
        loop.recycle(call)
    }

    /// The answer is out to its last byte.
    func answerDone() {
        answerEnded = true
        countAnswer(answeredStatus)
        writeOutput()
        if reading == .body || reading == .head {
            // This may go on to the next request, or past it.
            endDuringRequest()
            return
        }
        // Within `process` the loop there goes on.
        guard !isProcessing, reading == .ended, nextRequest() else { return }
        if let bytes = unread {
            unread = nil
            process(bytes)
        }
        updateReading()
    }

    /// An early answer: the rest of the body is read and dropped where it is known to be short, else the connection ends.
    private func endDuringRequest() {
        guard case .length(let length)? = call?.request.framing, length <= Self.remainderLimit, keepsAlive, reading == .body else {
            keepsAlive = false
            lingerAndClose()
            return
        }
        loop.setTimer(self, due: loop.now + Self.lingerTime)
        if isRequestPaused { setRequestPaused(false) }
    }

    // MARK: - Ending

    /// Ends the connection after what was written; a client that reads slowly has as long for it as a connection may be idle.
    func close() {
        guard !isHandshaking else {
            abort()
            return
        }
        guard !isClosed, let context else { return }
        writeOutput()
        reading = .discarding
        loop.setTimer(self, due: loop.now + loop.timeouts.idle)
        guard !writer.isEmpty else {
            context.close(promise: nil)
            return
        }
        let promise = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(NIOAny(ByteBuffer()), promise: promise)
        promise.futureResult.assumeIsolated().whenComplete { [self] _ in
            if !isClosed { self.context?.close(promise: nil) }
        }
    }

    /// Ends our side, and reads on for a while, since closing a socket with unread bytes would destroy the answer on its way.
    func lingerAndClose() {
        guard !isClosed, let context else { return }
        writeOutput()
        reading = .discarding
        unread = nil
        isRequestPaused = false
        loop.setTimer(self, due: loop.now + loop.timeouts.idle)
        let promise = context.eventLoop.makePromise(of: Void.self)
        context.close(mode: .output, promise: promise)
        promise.futureResult.assumeIsolated().whenComplete { [self] _ in
            if !isClosed { loop.setTimer(self, due: loop.tick() + Self.lingerTime) }
        }
        recycleCall()
        updateReading()
    }

    /// Ends the connection so that nothing on it looks complete.
    func abort() {
        guard !isClosed else { return }
        discardOutput()
        (tlsContext ?? context)?.close(promise: nil)
    }

    /// The process is about to end: no further request, but for one that is on its way.
    func beginDraining() {
        if reading == .tunnel {
            call?.endTunnel()
        } else if call == nil, handler == nil {
            closeWhenQuiet()
        }
    }

    /// Ends a connection between two requests whose client was not told of that, when it will hardly be sending one just now: the
    /// answer to that one would say that it was the last, while an end here would lose it.
    private func closeWhenQuiet() {
        let quiet = idleSince + Self.quietTime
        guard quiet > loop.now else {
            closeUnlessAsked()
            return
        }
        loop.setTimer(self, due: quiet)
    }

    /// Ends a connection that has waited long enough; the kernel may know of a request that was not read yet.
    func closeUnlessAsked() {
        guard !writer.isQuiet() else {
            close()
            return
        }
        loop.setTimer(self, due: loop.now + Self.quietTime)
    }
}
