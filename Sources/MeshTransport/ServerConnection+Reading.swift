internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

// A client's bytes, cut into requests.

extension ServerConnection {
    /// Uses as much of `bytes` as can be used now; the rest becomes `unread`.
    func process(_ input: ByteBuffer) {
        var bytes = input
        isProcessing = true
        defer {
            // A body that could not be used as it came does not hold up its head.
            loop.headOwner?.writeHead()
            isProcessing = false
        }
        while bytes.readableBytes > 0 {
            switch reading {
            case .head:
                guard readHead(&bytes) else { return }
            case .body:
                if isRequestPaused {
                    unread = bytes
                    return
                }
                guard readBody(&bytes) else { return }
            case .ended:
                guard answerEnded else {
                    unread = bytes
                    return
                }
                guard nextRequest() else { return }
            case .tunnel:
                guard !isRequestPaused else {
                    unread = bytes
                    return
                }
                call?.requestBody(bytes)
                return
            case .discarding:
                return
            }
        }
        if reading == .ended, answerEnded { _ = nextRequest() }
    }

    /// False when more bytes are needed or none are wanted any more.
    func readHead(_ bytes: inout ByteBuffer) -> Bool {
        if call == nil {
            call = loop.takeCall()
            received = loop.now
        }
        let call = call!
        do throws(MessageError) {
            let length = try bytes.withUnsafeReadableBytes { region throws(MessageError) in try parser.parse(region, into: &call.request) }
            guard let length else {
                // From the first byte on; a head that comes in one piece, as most do, needs no timer.
                loop.setTimer(self, due: received + loop.timeouts.head)
                unread = bytes
                return false
            }
            call.takeHead(of: &bytes, length: length)
            call.isBodyAtHand = bytes.readableBytes > 0
            try beginRequest(call)
            call.isBodyAtHand = false
            return !isClosed
        } catch {
            refuse(error)
            return false
        }
    }

    func beginRequest(_ call: ForwardedCall) throws(MessageError) {
        clientVersion = call.request.minorVersion
        keepsAlive = call.request.keepsAlive && !loop.isDraining
        answerBegan = false
        answerEnded = false
        answeredStatus = nil
        framing = .same
        if call.request.framing.hasBody {
            if let limit = loop.limits.bodyBytes {
                decoder = try BodyDecoder(call.request.framing, limit: UInt64(limit))
            } else {
                decoder = BodyDecoder(call.request.framing)
            }
            reading = .body
        } else {
            reading = .ended
        }
        try dispatch(call)
    }

    /// Passes on what there is of the body; false when no more is wanted.
    func readBody(_ bytes: inout ByteBuffer) -> Bool {
        do throws(MessageError) {
            if handler != nil {
                let step = try bytes.withUnsafeReadableBytes { region throws(MessageError) in try decoder.next(region) }
                let data = bytes.getSlice(at: bytes.readerIndex + step.data.lowerBound, length: step.data.count)!
                bytes.moveReaderIndex(forwardBy: step.consumed)
                if data.readableBytes > 0 { handler?.bodyArrived(data) }
                return try bodyFollows(step.following, raw: nil, &bytes)
            }
            let step = try bytes.withUnsafeReadableBytes { region throws(MessageError) in try decoder.advance(region) }
            let raw = bytes.readSlice(length: step.consumed)!
            return try bodyFollows(step.following, raw: raw, &bytes)
        } catch {
            refuse(error)
            return false
        }
    }

    func bodyFollows(_ following: BodyDecoder.Following, raw: ByteBuffer?, _ bytes: inout ByteBuffer) throws(MessageError) -> Bool {
        switch following {
        case .more:
            if let raw, raw.readableBytes > 0 { call?.requestBody(raw) }
        case .ended:
            reading = .ended
            if let raw, raw.readableBytes > 0 { call?.requestBody(raw) }
            bodyEnded()
        case .trailers:
            if let raw, raw.readableBytes > 0 { call?.requestBody(raw) }
            let length = try bytes.withUnsafeReadableBytes { region throws(MessageError) in
                try decoder.readTrailers(region, into: &trailerFields)
            }
            guard let length else {
                unread = bytes
                return false
            }
            let section = bytes.readSlice(length: length)!
            reading = .ended
            if handler == nil { call?.requestBody(section.trailers(trailerFields, isFromOutside: call?.identity.origin == .edge)) }
            bodyEnded()
        }
        return !isClosed
    }

    func bodyEnded() {
        if let handler {
            handler.bodyEnded()
        } else {
            call?.requestEnd()
        }
    }
}
