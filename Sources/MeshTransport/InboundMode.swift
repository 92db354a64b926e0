/// What is done with the requests that come to a listener.
package enum InboundMode: Sendable {
    /// From outside the mesh: each goes where the snapshot's routes say.
    case gateway
    /// Every request goes, as it is, to one service; wholly on the event loop.
    case forward(to: String)
    /// User code answers, in a task of its own for each request.
    case handler(@Sendable (InboundRequest) async throws -> OutboundResponse)
}
