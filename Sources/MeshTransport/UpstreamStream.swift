internal import MeshExchange
internal import NIOCore

/// One exchange with an instance, as a `ForwardedCall` drives it: in HTTP/1.1 a whole connection, in HTTP/2 a stream of one.
///
/// It tells `call` what comes, until it was abandoned or has told the end. Invariant: touched on its loop only.
class UpstreamStream: LoopTimed, @unchecked Sendable {
    final let loop: TransportLoop
    /// Whose exchange this is; nil when nobody waits for what comes.
    final var call: ForwardedCall?

    init(loop: TransportLoop) {
        self.loop = loop
        super.init()
    }

    /// Pieces of a body are wanted as data, not as they stand on the wire of HTTP/1.1.
    var takesData: Bool { false }
    /// Whether more may be sent now; changes are told to `call`.
    var isWritable: Bool { preconditionFailure("a protocol knows its window") }

    func lease(to call: ForwardedCall) { preconditionFailure("a protocol begins exchanges") }
    /// Sends the head, as HTTP/1.1 writes it, with what of the body is at hand.
    func send(_ head: ByteBuffer, rest: [ByteBuffer], isEnd: Bool) { preconditionFailure("a protocol sends heads") }
    /// Sends the head that lies in the loop's output together with the piece of body that the source is about to hand over, which
    /// spares a system call.
    func sendHeadWithBody() { send(loop.requestOutput, rest: [], isEnd: false) }
    func sendBody(_ bytes: ByteBuffer) { preconditionFailure("a protocol sends bodies") }
    func sendEnd() { preconditionFailure("a protocol ends messages") }
    func setReadPaused(_ isPaused: Bool) { preconditionFailure("a protocol can be slowed down") }
    /// The call is over or goes on elsewhere; nothing that comes here matters to it any more.
    ///
    /// `drains`: the rest of the response is known to be short, so that reading it is cheaper than what an end would cost.
    func abandon(drains: Bool) { preconditionFailure("a protocol can give up an exchange") }
}
