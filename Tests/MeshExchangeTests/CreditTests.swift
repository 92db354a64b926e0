import MeshExchange
import MeshModel
import MeshPolicy
import Testing

/// What a call pays for its extra attempts, and what it hands down.
@Suite("The credit of a call")
struct CreditTests {
    private var policy: CallPolicy {
        var policy = CallPolicy()
        policy.retry.attempts = 5
        policy.breaker = nil
        return policy
    }

    private func call(_ destination: Destination? = nil, granted: Int, share: RetryCredit.Share = .half) -> Call {
        Call(to: destination ?? .make(4, policy: policy), credit: .own(RetryCredit(granted: granted, share: share)))
    }

    @Test("goes down with each attempt, shrinking as retries spend it")
    func handedDown() {
        let call = call(granted: 3)
        #expect(call.begin().start?.credit == 2)
        call.connectAndSend()
        call.head(503)
        // 3 left, of which this retry takes one.
        #expect(call.wake().start?.credit == 1)
        call.connectAndSend()
        call.head(ResponseFacts(status: 503, creditSpent: 1))
        #expect(call.exchange.attempts[1].creditLeft == 0)
        #expect(call.wake().start?.credit == 0)
        call.connectAndSend()
        call.head(200)
        call.end()
        #expect(call.isComplete && call.exchange.credit.spent == 3)
    }

    @Test("when it is gone, the call fails with CX, and nobody above is to try again")
    func exhausted() {
        let destination = Destination.make(4, policy: policy)
        let call = call(destination, granted: 1)
        call.beginAndSend()
        call.head(503)
        call.wake()
        call.connectAndSend()
        call.head(503)
        #expect(call.isForwarding && call.retryNo && call.exchange.flag == .creditExhausted)
        #expect(call.verdicts == [.retried, .creditExhausted])
        call.end()
        #expect(destination.isAtRest && destination.statistics(now: .zero).counters.retries == 1)
    }

    @Test("none at all means one attempt, and a reset says CX")
    func none() {
        let call = call(granted: 0)
        #expect(call.beginAndSend().start?.credit == 0)
        call.fail(.reset)
        #expect(call.failure?.flag == .creditExhausted && call.failure?.status == 502 && call.retryNo)
    }

    @Test("an outcome that never came back took all that was delegated")
    func lost() {
        let call = call(granted: 3)
        call.beginAndSend()
        call.fail(.reset)
        #expect(call.exchange.attempts[0].creditLeft == 0, "two are lost, and the retry takes the third")
        #expect(call.wake().start?.credit == 0)
    }

    @Test("what was provably unsent costs nothing", arguments: [AttemptFailure.connectFailed, .streamRefused])
    func unsent(failure: AttemptFailure) {
        let call = call(granted: 3)
        call.begin()
        call.fail(failure)
        #expect(call.effects.start?.credit == 2 && call.exchange.attempts[0].creditLeft == 3)
    }

    @Test("what another rule refuses is not paid for")
    func refused() {
        var policy = policy
        policy.retry.budgetRatio = 0
        policy.retry.reservePerSecond = 0
        let call = call(.make(policy: policy), granted: 3)
        call.beginAndSend()
        call.head(503)
        #expect(call.verdicts == [.budgetExhausted] && call.exchange.credit.spent == 0)
    }

    @Test("a proxy hands all of it down, and may spend what comes back")
    func proxy() {
        let call = call(granted: 2, share: .whole)
        #expect(call.begin().start?.credit == 2)
        call.connectAndSend()
        call.head(ResponseFacts(status: 503, creditSpent: 1))
        #expect(call.wake().start?.credit == 0)
    }

    @Test("switched off, nothing is said and nothing limited")
    func off() {
        let call = Call(to: .make(8, policy: policy), credit: CallCredit(inherited: nil, root: .off, share: .half))
        for attempt in 1...5 {
            #expect((attempt == 1 ? call.begin() : call.wake()).start?.credit == nil)
            call.connectAndSend()
            call.head(503)
        }
        #expect(call.verdicts.last == .attemptsExhausted && call.exchange.credit.spent == nil)
    }

    @Test("the root of a request grants; what came with a request counts, also none")
    func root() {
        #expect(CallCredit(inherited: nil, root: .standard, share: .half).left == 3)
        #expect(CallCredit(inherited: 0, root: .standard, share: .half).left == 0)
        #expect(CallCredit(inherited: 2, root: .off, share: .half).left == 2)
    }

    @Test("a url: service gets none, and a retry towards it pays all the same")
    func external() {
        let endpoints = (1...2).map { Endpoint(instance: InstanceID(high: 0, low: $0), addresses: [.tcp(host: "127.0.0.1", port: 1)]) }
        let destination = Destination(
            DestinationConfiguration(service: "rates", policy: policy, endpoints: endpoints, isExternal: true), now: .zero)
        let call = call(destination, granted: 1)
        #expect(call.begin().start?.credit == nil)
        call.connectAndSend()
        call.fail(.reset)
        #expect(call.exchange.attempts[0].creditLeft == 0 && call.wake().start != nil)
        call.connectAndSend()
        call.fail(.reset)
        #expect(call.failure?.flag == .creditExhausted)
    }

    @Test("calls of one request draw on one pool, and give back what a caller's leaving cut off before it was sent")
    func shared() {
        let pool = SharedRetryCredit(granted: 3)
        let destination = Destination.make(4, policy: policy)
        let first = Call(to: destination, credit: .shared(pool))
        let second = Call(to: destination, credit: .shared(pool), seed: 2)
        #expect(first.begin().start?.credit == 2 && second.begin().start?.credit == 1)
        second.leave()
        #expect(pool.left == 1)
        first.connectAndSend()
        first.head(503)
        #expect(pool.left == 2 && pool.spent == 1)
        first.leave()
        #expect(pool.left == 2)
    }
}
