internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import NIOCore

// An instance's bytes, cut into responses.

extension UpstreamConnection {
    func received(_ bytes: ByteBuffer) {
        loop.tick()
        switch phase {
        case .leased: read(bytes)
        case .draining: drain(bytes)
        case .idle:
            // Nobody asked: what it says could be taken for the answer to the next request.
            pool.remove(self)
            close()
        case .connecting, .closed: break
        }
    }

    func receivedAll() { call?.flushResponse() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { received(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) { receivedAll() }

    private func read(_ input: ByteBuffer) {
        var bytes = input
        if var partial {
            self.partial = nil
            partial.writeBuffer(&bytes)
            bytes = partial
        }
        let lease = leases
        do throws(MessageError) {
            while bytes.readableBytes > 0 {
                guard let call else { return }
                switch reading {
                case .head:
                    guard try readHead(&bytes, of: call) else { return }
                case .body:
                    guard try readBody(&bytes, of: call) else { return }
                case .ended:
                    break
                }
                guard lease == leases, case .leased = phase else {
                    // The answer is not wanted any more; what is left of it may be short enough to read.
                    if lease == leases, case .draining = phase { drain(bytes) }
                    return
                }
                if reading == .ended {
                    responseEnded(leaves: bytes.readableBytes)
                    return
                }
            }
        } catch {
            fail(.protocolError)
        }
    }

    /// False when more bytes are needed.
    private func readHead(_ bytes: inout ByteBuffer, of call: ForwardedCall) throws(MessageError) -> Bool {
        responseBegan = true
        let request = call.answeredRequest
        let length = try bytes.withUnsafeReadableBytes { region throws(MessageError) in
            try parser.parse(region, answering: request, into: &call.response)
        }
        guard let length else {
            partial = bytes
            return false
        }
        call.responseBytes = bytes.readSlice(length: length)!
        if call.response.isInterim {
            interimBytes += length
            guard interimBytes <= Self.mostInterimBytes else { throw MessageError(.headTooLarge) }
            call.upstreamInterim()
            return true
        }
        let framing = call.response.framing
        decoder = BodyDecoder(framing)
        endsWithConnection = framing == .untilClose || framing == .tunnel
        keepsAlive = call.response.keepsAlive && !endsWithConnection
        passesChunksRaw = framing == .tunnel || framing == .chunked && call.takesChunksRaw
        reading = framing.hasBody || framing == .tunnel ? .body : .ended
        if framing == .tunnel { allowHalfClose() }
        call.upstreamHead()
        return true
    }

    /// False when more bytes are needed.
    private func readBody(_ bytes: inout ByteBuffer, of call: ForwardedCall) throws(MessageError) -> Bool {
        let following: BodyDecoder.Following
        if passesChunksRaw {
            let step = try bytes.withUnsafeReadableBytes { region throws(MessageError) in try decoder.advance(region) }
            following = step.following
            if following == .ended { reading = .ended }
            if step.consumed > 0 { call.upstreamBody(bytes.readSlice(length: step.consumed)!) }
        } else {
            let step = try bytes.withUnsafeReadableBytes { region throws(MessageError) in try decoder.next(region) }
            following = step.following
            if following == .ended { reading = .ended }
            let data = bytes.getSlice(at: bytes.readerIndex + step.data.lowerBound, length: step.data.count)!
            bytes.moveReaderIndex(forwardBy: step.consumed)
            if data.readableBytes > 0 { call.upstreamBody(data) }
        }
        guard following == .trailers, self.call === call else { return true }
        let length = try bytes.withUnsafeReadableBytes { region throws(MessageError) in
            try decoder.readTrailers(region, into: &loop.trailerFields)
        }
        guard let length else {
            partial = bytes
            return false
        }
        reading = .ended
        let section = bytes.readSlice(length: length)!
        let crossesBorder = call.identity.origin == .edge || call.destination?.isExternal == true
        let kept = section.trailers(loop.trailerFields, isFromOutside: crossesBorder)
        if passesChunksRaw {
            call.upstreamBody(kept)
        } else {
            call.responseTrailers = kept.getSlice(at: kept.readerIndex, length: kept.readableBytes - 2)
        }
        return true
    }

    private func responseEnded(leaves surplus: Int) {
        guard let call else { return }
        if surplus > 0 { keepsAlive = false }
        release()
        call.responseEnded()
    }

    private func fail(_ failure: AttemptFailure) {
        let call = call
        close()
        call?.upstreamFailed(failure)
    }

    /// Reads an unwanted answer to its end, as far as that is cheap.
    private func drain(_ input: ByteBuffer) {
        guard case .draining(let left) = phase, left >= input.readableBytes else {
            close()
            return
        }
        phase = .draining(left: left - input.readableBytes)
        var bytes = input
        do throws(MessageError) {
            if bytes.readableBytes > 0, reading == .body {
                let step = try bytes.withUnsafeReadableBytes { region throws(MessageError) in try decoder.advance(region) }
                bytes.moveReaderIndex(forwardBy: step.consumed)
                switch step.following {
                case .ended: reading = .ended
                case .more: break
                // Trailers are rare enough not to be waited for.
                case .trailers: throw MessageError(.trailers)
                }
            }
        } catch {
            close()
            return
        }
        guard reading == .ended else { return }
        if bytes.readableBytes > 0 { keepsAlive = false }
        release()
    }
}
