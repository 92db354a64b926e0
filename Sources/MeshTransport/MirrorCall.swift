internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshPolicy
internal import NIOCore
internal import Synchronization

/// A copy of a request on its way to a second service, whose answer nobody reads.
///
/// It never holds up the request that it is a copy of: a body that it can't pass on at once ends it, and so does a loop that has
/// too many of them under way. Both are counted.
final class MirrorCall: CallSource, @unchecked Sendable {
    /// Under way on one loop at once.
    static let mostPerLoop = 256

    private var call: ForwardedCall?

    /// Sends a copy of a request that is about to be forwarded; nil where there is no room for it.
    static func begin(_ original: ForwardedCall, to destination: Destination, bodyFollows: Bool) -> MirrorCall? {
        let loop = original.loop
        guard loop.mirrors < mostPerLoop else {
            loop.shared.mirrorsDropped.wrappingAdd(1, ordering: .relaxed)
            return nil
        }
        let mirror = MirrorCall(loop: loop)
        let call = loop.takeCall()
        call.requestBytes = original.requestBytes
        var parser = RequestHeadParser(limits: HeadLimits(loop.limits))
        let length = try? original.requestBytes.withUnsafeReadableBytes { bytes throws(MessageError) in
            try parser.parse(bytes, into: &call.request)
        }
        guard length != nil else {
            loop.recycle(call)
            loop.shared.mirrorsDropped.wrappingAdd(1, ordering: .relaxed)
            return nil
        }
        call.path = original.path
        call.clientAddress = original.clientAddress
        call.identity = original.identity
        call.identity.becomeCopy(random: &loop.random)
        call.routeState.isMirror = true
        mirror.call = call
        loop.mirrors += 1

        // Nothing of it is worth a second try, nor more time than a call may take.
        var facts = RequestFacts(method: [], bodyIsStreamed: bodyFollows, traceID: call.identity.traceID)
        facts.maxDuration = destination.policy.timeout
        facts.criticality = .sheddable
        call.begin(
            Exchange(
                destination: destination, request: facts, received: call.identity.received,
                credit: CallCredit(inherited: 0, root: loop.retryCredit, share: .whole)), from: mirror, bodyFollows: bodyFollows)
        return mirror.call == nil ? nil : mirror
    }

    func requestBody(_ piece: ByteBuffer) { call?.requestBody(piece) }

    func requestEnd() { call?.requestEnd() }

    /// The rest of the request will not come, or can't be kept.
    func giveUp() {
        guard let call else { return }
        loop.shared.mirrorsDropped.wrappingAdd(1, ordering: .relaxed)
        call.sourceLeft()
        end()
    }

    override func callEnds() { giveUp() }

    override func setRequestPaused(_ isPaused: Bool) {
        guard isPaused else { return }
        // Not from within the call that asks for it.
        loop.eventLoop.assumeIsolated().execute { self.giveUp() }
    }

    override func deliverHead(_ call: ForwardedCall, retryNo: Bool) {}
    override func deliverBody(_ bytes: ByteBuffer) {}
    override func deliverEnd(_ call: ForwardedCall) { end() }
    override func deliverFailure(_ failure: CallFailure, _ call: ForwardedCall) { end() }
    override func breakOff(_ failure: CallFailure, _ call: ForwardedCall) { end() }

    private func end() {
        guard let call else { return }
        self.call = nil
        loop.mirrors -= 1
        loop.recycle(call)
    }
}
