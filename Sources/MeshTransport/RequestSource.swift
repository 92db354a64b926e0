internal import HTTPTypes
internal import MeshExchange
internal import MeshModel
internal import NIOCore

/// A source whose requests come over the network: an HTTP/1.1 connection, one request after the other, or a stream of HTTP/2.
///
/// Position: between the protocol, which reads requests and writes answers, and what becomes of a request, which is decided here
/// once for all protocols: its route, its place in a trace, its deadline, who answers it.
class RequestSource: CallSource, @unchecked Sendable {
    final let mode: InboundMode
    final let peer: PeerIdentity
    /// When the first byte of the present request came.
    final var received = Instant.zero
    /// The present request and, where it is forwarded, the call; nil between two requests.
    final var call: ForwardedCall?
    final var handler: InboundHandlerTask?
    /// The client's bytes come through TLS.
    final var isSecure = false
    final var answerBegan = false
    /// Of the head that was written.
    final var answeredStatus: Int?
    /// The present request was taken, and is not answered yet.
    final var isAwaited = false
    final var isRequestPaused = false
    /// The client's address as text, for forwarding fields; made when first needed.
    final lazy var clientAddress: [UInt8] = Array((remoteAddress ?? "unknown").utf8)

    init(loop: TransportLoop, mode: InboundMode, peer: PeerIdentity) {
        self.mode = mode
        self.peer = peer
        super.init(loop: loop)
    }

    // MARK: - What a protocol knows

    /// The client's IP address; nil where it has none.
    var remoteAddress: String? { nil }
    /// More of the present request's body is to come.
    var bodyFollows: Bool { preconditionFailure("a protocol knows where a request ends") }
    /// Nothing can be written any more.
    var isClosed: Bool { preconditionFailure("a protocol knows when its channel is closed") }

    /// - Parameter status: nil for an answer that was broken off. One to a health check does not count.
    final func countAnswer(_ status: Int?) {
        isAwaited = false
        call?.answeredStatus = status
        guard call?.identity.isRecorded ?? true else { return }
        loop.inbound.answered(status, took: loop.now - received)
    }

    /// The client went; a request whose answer had not begun counts as given up.
    final func countLeaving() {
        guard isAwaited, !answerBegan, call?.identity.isRecorded ?? false else { return }
        isAwaited = false
        loop.inbound.callerLeft()
    }

    // MARK: - Answers that are made here

    /// Writes the mesh's own answer to the present request.
    func answer(_ answer: MeshAnswer) { preconditionFailure("a protocol writes answers") }
    /// `100 Continue`.
    func deliverContinue() { preconditionFailure("a protocol writes interim heads") }
    func deliverHead(_ head: HandlerHead) { preconditionFailure("a protocol writes heads") }
    /// The end of a handler's answer; trailers go where the protocol can carry them.
    func deliverEnd(trailers: HTTPFields?) { preconditionFailure("a protocol writes ends") }
    /// Ends the exchange so that what was written of the answer does not look complete.
    func breakOffAnswer() { preconditionFailure("a protocol breaks off") }
}

/// The head of a handler's answer.
struct HandlerHead {
    var status: Int
    var fields: HTTPFields
    /// nil where it is not known yet.
    var length: Int?
    /// The status and the method allow a body, and there is one.
    var hasBody: Bool
    /// The status allows a length.
    var allowsLength: Bool
    /// Of the calls that the handler made.
    var trouble = TraceTrouble()
    /// What those calls spent on extra attempts, for a caller that gave credit.
    var creditSpent: Int?
}
