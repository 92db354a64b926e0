internal import MeshExchange
internal import NIOCore

// A second attempt beside the first. It has an object of its own, since both may be answered at the same time, and its facts are
// told to the one exchange of the call.

extension ForwardedCall {
    func startBeside(_ attempt: Attempt) {
        // Not one of the loop's free calls: what it receives from may still hold it when it is over.
        let second = ForwardedCall(loop: loop)
        second.lead = self
        second.destination = destination
        second.requestEnded = true
        beside = second
        second.start(attempt)
    }

    func abandonBeside(drains: Bool) {
        guard let second = beside else { return }
        beside = nil
        second.isStreaming = false
        guard let upstream = second.upstream else { return }
        second.upstream = nil
        upstream.abandon(drains: drains)
    }

    /// The second attempt's head came: whichever of both is over now, the answer to be passed on lies here.
    func besideHead() {
        guard let second = beside else { return }
        swap(&attempt, &second.attempt)
        swap(&upstream, &second.upstream)
        swap(&isStreaming, &second.isStreaming)
        swap(&response, &second.response)
        swap(&responseBytes, &second.responseBytes)
        swap(&responseTrailers, &second.responseTrailers)
        upstream?.call = self
        second.upstream?.call = second
        upstreamHead()
    }

    func besideFailed(_ failure: AttemptFailure) {
        guard let second = beside else { return }
        beside = nil
        perform(exchange!.attemptFailed(failure, of: second.attempt?.number, now: loop.now, random: &loop.random))
    }
}
