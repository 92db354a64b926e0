internal import MeshExchange
internal import NIOCore

/// The side of a call that asked: an HTTP/1.1 connection, a task of this process, later an HTTP/2 stream.
///
/// Position: above the exchange, which decides what is delivered; a source writes it as its own protocol wants it.
/// Invariant: after `deliverEnd`, `deliverFailure` or `breakOff` nothing more is delivered.
class CallSource: LoopTimed, @unchecked Sendable {
    let loop: TransportLoop

    init(loop: TransportLoop) {
        self.loop = loop
        super.init()
    }

    /// Whether body bytes of a chunked response are wanted as they stand on the wire.
    var takesChunksRaw: Bool { false }
    /// Whether more may be delivered now; when it turns true again, the source calls `sourceWritabilityChanged`.
    var isWritable: Bool { true }

    /// A 1xx head, as it stands in `call.response`.
    func deliverInterim(_ call: ForwardedCall) {}
    /// The final head, as it stands in `call.response`.
    func deliverHead(_ call: ForwardedCall, retryNo: Bool) { preconditionFailure("a source delivers heads") }
    func deliverBody(_ bytes: ByteBuffer) { preconditionFailure("a source delivers bodies") }
    /// What was delivered may go out now; called once per event of the other side.
    func flushDelivered() {}
    func deliverEnd(_ call: ForwardedCall) { preconditionFailure("a source delivers ends") }
    /// The service has ended its side of a tunnel: so does this one towards its client.
    func deliverTunnelEnd() { preconditionFailure("a source that opens tunnels ends them") }
    /// The mesh's own answer, before any head.
    func deliverFailure(_ failure: CallFailure, _ call: ForwardedCall) { preconditionFailure("a source delivers failures") }
    /// The head is out: make sure that what was delivered does not look complete.
    func breakOff(_ failure: CallFailure, _ call: ForwardedCall) { preconditionFailure("a source breaks off") }
    /// The loop is about to end with this call on it.
    func callEnds() {}
    /// Stop handing over the request's body, or go on.
    func setRequestPaused(_ isPaused: Bool) {}
}
