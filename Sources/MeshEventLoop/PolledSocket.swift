/// A descriptor that a loop watches.
///
/// Invariant: owned here, closed once, and not used after; touched on its loop only.
package class PolledSocket: @unchecked Sendable {
    package final let loop: EpollLoop
    /// -1 once it is closed.
    package final private(set) var descriptor: CInt
    final var token = UInt64.max
    /// Stands in the loop's list of those that go on.
    final var isResumed = false

    init(descriptor: CInt, loop: EpollLoop) {
        self.descriptor = descriptor
        self.loop = loop
    }

    deinit {
        if descriptor >= 0 { Socket.close(descriptor) }
    }

    func ready(_ what: SocketEvents) { preconditionFailure("a socket knows what its events mean") }
    func resume() { preconditionFailure("a socket knows what it was about to do") }
    /// To be closed.
    func loopEnds() { preconditionFailure("a socket knows how it ends") }

    final func goOn() {
        isResumed = false
        if descriptor >= 0 { resume() }
    }

    /// - Parameter isShared: another process may have the socket as well.
    final func closeDescriptor(isShared: Bool = false) {
        guard descriptor >= 0 else { return }
        loop.forget(self, isShared: isShared)
        Socket.close(descriptor)
        descriptor = -1
    }
}
