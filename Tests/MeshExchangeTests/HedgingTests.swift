import MeshExchange
import MeshModel
import MeshPolicy
import Testing

/// A second attempt beside the first, by direct drive.
@Suite("Hedging") struct HedgingTests {
    private func policy(
        after delay: HedgePolicy.Delay = .fixed(.milliseconds(10)), most: Double = 1, attempts: Int = 2,
        _ change: (inout CallPolicy) -> Void = { _ in }
    ) -> CallPolicy {
        var policy = CallPolicy()
        policy.hedge = HedgePolicy(after: delay, most: most)
        policy.retry.attempts = attempts
        change(&policy)
        return policy
    }

    /// A call whose second attempt has just been sent, 10 ms after the first.
    private func hedged(_ destination: Destination, _ method: MethodSet = .get, credit: CallCredit = .unlimited) -> Call {
        let call = Call(to: destination, method, credit: credit)
        call.beginAndSend()
        call.wake()
        return call
    }

    private func connect(_ call: Call, _ number: Int) {
        call.exchange.connected(of: number, now: call.now)
        call.effects.wakeAt = call.exchange.requestSent(of: number, now: call.now).wakeAt
    }

    private func head(_ call: Call, _ facts: ResponseFacts, of number: Int, after span: Timespan = .milliseconds(1)) {
        call.advance(span)
        call.effects = call.exchange.responseHead(facts, of: number, now: call.now, random: &call.random)
    }

    private func fail(_ call: Call, _ failure: AttemptFailure, of number: Int) {
        call.advance(.milliseconds(1))
        call.effects = call.exchange.attemptFailed(failure, of: number, now: call.now, random: &call.random)
    }

    // MARK: When

    @Test func goesToAnotherEndpointWhenTheDelayIsOver() {
        let destination = Destination.make(2, policy: policy())
        let call = Call(to: destination)
        call.beginAndSend()
        let first = call.target
        #expect(call.effects.wakeAt == .zero + .milliseconds(10))
        call.wake()
        #expect(call.effects.abandon == nil && call.effects.start?.isHedge == true && call.effects.start?.number == 2)
        #expect(call.target != nil && call.target != first)
        #expect(destination.statistics(now: call.now).endpoints.map(\.inFlight) == [1, 1])
        #expect(destination.statistics(now: call.now).active == 1, "one call, of which the bulkhead counts one")
        #expect(destination.statistics(now: call.now).hedging == 1)
    }

    /// 20 answers from 1 to 20 ms: p95 is the 19th, 19 ms, in a bucket that ends at 20 * 2^20 ns; of fewer than 20, none need be above it.
    @Test func aPercentileIsThatOfTheAnswers() {
        let destination = Destination.make(2, policy: policy(after: .quantile(0.95)))
        for span: Int64 in 1...19 {
            let call = Call(to: destination, at: .zero + .seconds(span))
            call.beginAndSend()
            #expect(call.effects.wakeAt == call.now + .seconds(2), "nothing is due but the deadline")
            call.head(200, after: .milliseconds(span))
            call.end()
        }
        let twentieth = Call(to: destination, at: .zero + .seconds(20))
        twentieth.beginAndSend()
        #expect(twentieth.effects.wakeAt == twentieth.now + .seconds(2))
        twentieth.head(200, after: .milliseconds(20))
        twentieth.end()
        let call = Call(to: destination, at: .zero + .seconds(21))
        call.beginAndSend()
        #expect(call.effects.wakeAt == call.now + .nanoseconds(20 << 20))
    }

    @Test(arguments: [MethodSet.post, .patch]) func onlyWhatMayBeRepeated(method: MethodSet) {
        let call = Call(to: Destination.make(2, policy: policy()), method)
        call.beginAndSend()
        #expect(call.effects.wakeAt == .zero + .seconds(2))
        let marked = Call(to: Destination.make(2, policy: policy()), method, isMarkedIdempotent: true)
        marked.beginAndSend()
        #expect(marked.effects.wakeAt == .zero + .milliseconds(10))
    }

    @Test func neverWhereOneAttemptIsAllThereIs() {
        for policy in [policy(attempts: 1), policy { $0.retry = .none }] {
            let call = Call(to: Destination.make(2, policy: policy))
            call.beginAndSend()
            #expect(call.effects.wakeAt == .zero + .seconds(2))
        }
    }

    @Test func neverATunnel() {
        let call = Call(to: Destination.make(2, policy: policy()), isHedgeable: false)
        call.beginAndSend()
        #expect(call.effects.wakeAt == .zero + .seconds(2))
    }

    /// What is still being uploaded can't be sent a second time; the delay begins with its last byte.
    @Test func onlyWholeRequests() {
        let call = Call(to: Destination.make(2, policy: policy()), .put, streamsBody: true)
        call.begin()
        call.exchange.connected(now: call.now)
        call.advance(.seconds(1))
        call.effects = call.exchange.requestSent(now: call.now)
        #expect(call.effects.wakeAt == call.now + .milliseconds(10))
        let large = Call(to: Destination.make(2, policy: policy()), .put, streamsBody: true)
        large.begin()
        large.exchange.connected(now: large.now)
        large.exchange.replayOverflowed(now: large.now)
        large.effects = large.exchange.requestSent(now: large.now)
        #expect(large.effects.wakeAt == .zero + .seconds(2))
    }

    @Test func alsoBesideOneThatWaitsForItsConnection() {
        let call = Call(to: Destination.make(2, policy: policy()))
        call.begin()
        #expect(call.wake().start?.isHedge == true)
        #expect(call.effects.wakeAt == .zero + .seconds(1), "then the first is to be connected")
        connect(call, 2)
        head(call, ResponseFacts(status: 200), of: 2)
        #expect(call.isForwarding && call.effects.abandon == .overtaken && call.effects.only == 1)
    }

    // MARK: Who wins

    @Test(arguments: [1, 2]) func theFirstAnswerIsPassedOnAndTheOtherIsCancelled(winner: Int) {
        let destination = Destination.make(2, policy: policy())
        let call = hedged(destination)
        connect(call, 2)
        head(call, ResponseFacts(status: 200), of: winner)
        let loser = 3 - winner
        #expect(call.isForwarding && call.effects.abandon == .overtaken && Int(call.effects.only) == loser)
        #expect(destination.statistics(now: call.now).endpoints.map(\.inFlight).reduce(0, +) == 1, "the loser gave its lease back")
        #expect(call.exchange.attempts.current?.number == winner)
        #expect(call.exchange.attempts[loser - 1].retry == .overtaken && call.exchange.attempts[loser - 1].flag == nil)
        #expect(call.end().caller.isTerminal && destination.isAtRest)
        #expect(destination.statistics(now: call.now).hedges == [winner == 2 ? .won : .lost: 1])
        #expect(call.exchange.attempts[1].hedgedAfter == .milliseconds(10))
    }

    /// The loser counts neither for nor against its endpoint: not in its breaker's window, and not in the balancer's estimate.
    @Test(arguments: [1, 2]) func aCancelledLoserIsNoEvidence(winner: Int) throws {
        let destination = Destination.make(2, policy: policy())
        let call = hedged(destination)
        connect(call, 2)
        head(call, ResponseFacts(status: 200), of: winner)
        call.end()
        let loser = call.exchange.attempts[2 - winner].instance
        let endpoints = destination.statistics(now: call.now).endpoints
        let lost = try #require(endpoints.first { $0.instance == loser })
        let won = try #require(endpoints.first { $0.instance != loser })
        #expect(lost.latency == nil && lost.window.calls == 0 && lost.window.failures == 0)
        #expect(won.latency == (winner == 1 ? .milliseconds(11) : .milliseconds(1)) && won.window.calls == 1)
    }

    @Test func aLoserThatWasAProbeFreesItsLease() {
        // One endpoint alone fails until its breaker opens; its probe is then overtaken by a hedge to the other.
        let destination = Destination.make(
            2,
            policy: policy {
                $0.breaker = BreakerPolicy(errorRate: 1, consecutive: 1, minCalls: 1000, openFor: .milliseconds(100))
                $0.retry.on = RetryConditions(kinds: [.connect, .reset], statuses: [])
            })
        let failing = Call(to: destination)
        failing.beginAndSend()
        failing.head(503)
        failing.end()
        let call = Call(to: destination, at: .zero + .seconds(3))
        call.beginAndSend()
        #expect(call.exchange.attempts[0].isProbe)
        call.wake()
        connect(call, 2)
        head(call, ResponseFacts(status: 200), of: 2)
        call.end()
        let next = Call(to: destination, at: .zero + .seconds(4))
        next.beginAndSend()
        #expect(next.exchange.attempts[0].isProbe, "the lease of the first probe is free again")
        next.leave()
        #expect(destination.isAtRest)
    }

    @Test func anErrorThatMayBeRepeatedLeavesTheCallToTheOther() {
        let destination = Destination.make(2, policy: policy())
        let call = hedged(destination)
        connect(call, 2)
        head(call, ResponseFacts(status: 503), of: 1)
        #expect(call.effects.caller.isNothing && call.effects.abandon == .retried && call.effects.only == 1 && call.effects.start == nil)
        #expect(destination.statistics(now: call.now).hedging == 0)
        head(call, ResponseFacts(status: 200), of: 2)
        #expect(call.isForwarding && call.effects.abandon == nil)
        call.end()
        #expect(call.verdicts == [.hedged, .notNeeded] && destination.isAtRest)
    }

    @Test func anErrorThatMayNotIsTheAnswer() {
        let call = hedged(Destination.make(2, policy: policy()))
        connect(call, 2)
        head(call, ResponseFacts(status: 500), of: 2)
        #expect(call.isForwarding && call.effects.abandon == .overtaken && call.effects.only == 1)
    }

    @Test func whereBothFailTheCallHasHadItsTwoAttempts() {
        let destination = Destination.make(3, policy: policy())
        let call = hedged(destination)
        connect(call, 2)
        fail(call, .reset, of: 2)
        #expect(call.effects.caller.isNothing && call.effects.start == nil)
        fail(call, .reset, of: 1)
        #expect(call.failure?.flag == .retriesExhausted && call.retryNo)
        #expect(destination.isAtRest && destination.statistics(now: call.now).hedges == [.failed: 1])
    }

    @Test func aThirdAttemptMayFollow() {
        let destination = Destination.make(3, policy: policy(attempts: 3))
        let call = hedged(destination)
        connect(call, 2)
        fail(call, .reset, of: 1)
        fail(call, .reset, of: 2)
        #expect(call.effects.caller.isNothing)
        #expect(call.wake().start?.number == 3 && call.effects.start?.isHedge == false)
        call.connectAndSend()
        call.head(200)
        call.end()
        #expect(destination.isAtRest)
    }

    /// gRFC A6: a negative pushback is obeyed for what would come; what is under way goes on.
    @Test func aNegativePushbackForbidsAThird() {
        let destination = Destination.make(3, policy: policy(attempts: 3))
        let call = hedged(destination)
        connect(call, 2)
        head(call, ResponseFacts(status: 200, grpcStatus: 14, forbidsRetry: true), of: 1)
        #expect(call.effects.caller.isNothing && call.effects.only == 1)
        head(call, ResponseFacts(status: 503), of: 2)
        #expect(call.isForwarding && call.verdicts.last == .forbidden)
        call.end()
        #expect(destination.isAtRest)
    }

    /// Also where the other attempt was never sent, so that a third one would be free of charge.
    @Test(arguments: [AttemptFailure.reset, .streamRefused]) func whatWasAskedForWithRetryAfterHoldsForAThird(failure: AttemptFailure) {
        let destination = Destination.make(3, policy: policy(attempts: 3))
        let call = hedged(destination)
        connect(call, 2)
        head(call, ResponseFacts(status: 503, retryAfter: .milliseconds(300)), of: 2)
        let due = call.now + .milliseconds(300)
        fail(call, failure, of: 1)
        #expect(call.effects.start == nil && call.effects.wakeAt == due)
    }

    // MARK: Ends of both

    @Test func theDeadlineEndsBoth() {
        let destination = Destination.make(2, policy: policy())
        let call = hedged(destination)
        connect(call, 2)
        #expect(call.effects.wakeAt == .zero + .seconds(2))
        call.wake()
        #expect(call.failure?.cause == .deadlinePassed && call.effects.abandon == .deadlinePassed && call.effects.only == 0)
        #expect(destination.isAtRest && destination.statistics(now: call.now).hedges == [.cancelled: 1])
        #expect(call.exchange.attempts.allSatisfy { $0.abandoned == .deadlinePassed })
    }

    @Test func soDoesACallerThatLeaves() {
        let destination = Destination.make(2, policy: policy { $0.limit = .fixed(8) })
        let call = hedged(destination)
        #expect(call.leave().abandon == .callerLeft && call.effects.only == 0)
        #expect(destination.isAtRest)
        #expect(destination.statistics(now: call.now).endpoints.allSatisfy { $0.window.calls == 0 })
    }

    @Test func eachHasItsOwnTimeout() {
        let destination = Destination.make(3, policy: policy { $0.attemptTimeout = .milliseconds(50) })
        let call = hedged(destination)
        connect(call, 2)
        #expect(call.effects.wakeAt == .zero + .milliseconds(50))
        call.wake()
        #expect(call.effects.abandon == .attemptTimedOut && call.effects.only == 1 && call.effects.caller.isNothing)
        #expect(call.effects.wakeAt == .zero + .milliseconds(60))
        call.wake()
        #expect(call.failure?.status == 504 && call.effects.abandon == .attemptTimedOut)
        #expect(destination.isAtRest)
    }

    /// With a delay of nothing both attempts began together, and their times come together.
    @Test func twoThatAreDueAtOnceAreEndedAtOnce() {
        let destination = Destination.make(
            3,
            policy: policy(after: .fixed(.zero)) {
                $0.attemptTimeout = .milliseconds(50)
                $0.timeout = .seconds(1)
            })
        let call = hedged(destination)
        connect(call, 2)
        call.wake()
        #expect(call.failure?.status == 504 && call.effects.abandon == .attemptTimedOut && call.effects.only == 0)
        #expect(destination.isAtRest)
    }

    // MARK: What it costs

    @Test func itIsChargedLikeARetry() throws {
        let destination = Destination.make(2, policy: policy { $0.retry.reservePerSecond = 2 })
        let credit = SharedRetryCredit(granted: 3)
        let before = destination.statistics(now: .zero).budget
        let call = hedged(destination, credit: .shared(credit))
        #expect(destination.statistics(now: call.now).budget == before - 1)
        #expect(destination.statistics(now: call.now).retrying == 1)
        // Of three, the first attempt took two; the hedge spent the third.
        #expect(credit.left == 0 && call.effects.start?.credit == 0)
        connect(call, 2)
        head(call, ResponseFacts(status: 200, creditSpent: 0), of: 1)
        #expect(credit.left == 2, "what the loser took counts as spent, what the winner took came back")
        call.end()
        #expect(credit.spent == 1 && destination.isAtRest)
    }

    @Test func withoutCreditThereIsNone() {
        let destination = Destination.make(2, policy: policy())
        let call = hedged(destination, credit: .own(RetryCredit(granted: 0)))
        #expect(call.effects.start == nil && call.effects.wakeAt == .zero + .seconds(2))
        #expect(call.exchange.attempts[0].hedgeRefusal == .creditExhausted)
        #expect(destination.statistics(now: call.now).refusedHedges == [.creditExhausted: 1])
        call.head(200)
        call.end()
        #expect(destination.isAtRest)
    }

    @Test func withoutBudgetThereIsNoneAndTheCreditIsGivenBack() {
        let destination = Destination.make(2, policy: policy { $0.retry = RetryPolicy(budgetRatio: 0, reservePerSecond: 0) })
        let credit = SharedRetryCredit(granted: 3)
        let call = hedged(destination, credit: .shared(credit))
        #expect(call.effects.start == nil && call.exchange.attempts[0].hedgeRefusal == .budgetExhausted)
        #expect(credit.left == 1, "the first attempt has the other two")
    }

    /// 5 % of 40 calls are two hedges, whatever the retry budget would still allow.
    @Test func thereAreNoMoreThanTheirShare() {
        let destination = Destination.make(2, policy: policy(most: 0.05) { $0.retry.reservePerSecond = 1000 })
        var sent = 0
        for number in 0..<40 {
            let call = Call(to: destination, at: .zero + .milliseconds(Int64(100 * number)))
            call.beginAndSend()
            if call.wake().start != nil { sent += 1 }
            call.head(200)
            call.end()
        }
        #expect(sent == 2)
        #expect(destination.statistics(now: .zero + .seconds(4)).refusedHedges == [.hedgesExhausted: 38])
    }

    @Test func neverToTheSameEndpointOrToOneThatIsNotWell() {
        let alone = hedged(Destination.make(1, policy: policy()))
        #expect(alone.effects.start == nil && alone.exchange.attempts[0].hedgeRefusal == .noOtherEndpoint)
        alone.leave()
    }

    @Test func notWhereItCouldNotBeInTime() {
        let destination = Destination.make(2, policy: policy { $0.timeout = .milliseconds(100) })
        for number: Int64 in 0..<3 {
            let call = Call(to: destination, .post, at: .zero + .seconds(number))
            call.beginAndSend()
            call.head(200, after: .milliseconds(95))
            call.end()
        }
        let call = Call(to: destination, at: .zero + .seconds(9))
        call.beginAndSend()
        #expect(call.wake().start == nil && call.exchange.attempts[0].hedgeRefusal == .deadlineTooClose)
    }

    @Test func notWhereTooManyWaitForAConnection() {
        let destination = Destination.make(2, policy: policy { $0.bulkhead = BulkheadPolicy(calls: 10, pending: 1) })
        let call = Call(to: destination)
        call.begin()
        #expect(call.wake().start == nil && call.exchange.attempts[0].hedgeRefusal == .noRoom)
    }

    /// A fixed limit of two: the call and its hedge fill it, and one answer makes room.
    @Test func aHedgeTakesAPlaceOfTheLimitWhileBothRun() {
        let destination = Destination.make(3, policy: policy { $0.limit = .fixed(2) })
        let call = hedged(destination)
        connect(call, 2)
        let second = Call(to: destination, at: call.now)
        #expect(second.begin().start == nil)
        #expect(second.failure?.cause == .overLimit)
        head(call, ResponseFacts(status: 200), of: 2)
        let third = Call(to: destination, at: call.now)
        #expect(third.begin().start != nil, "while the answer is still on its way")
        third.leave()
        call.end()
        #expect(destination.isAtRest)
    }

    @Test func theRetriesThatRunAtOnceAreCountedWithIt() {
        let destination = Destination.make(2, policy: policy { $0.retry = RetryPolicy(budgetRatio: 0.2, reservePerSecond: 100) })
        let calls = (0..<5).map { _ in Call(to: destination) }
        for call in calls { call.beginAndSend() }
        for call in calls { call.wake() }
        #expect(calls.count { $0.effects.start?.isHedge == true } == 3)
        #expect(destination.statistics(now: .zero + .milliseconds(10)).refusedHedges == [.tooManyRetrying: 2])
    }

    /// The first attempts of hedged calls would have taken longer than they were given: without them the percentile would sink.
    @Test func whatWasOvertakenStaysInThePercentile() throws {
        let destination = Destination.make(2, policy: policy(after: .fixed(.milliseconds(20))))
        for number: Int64 in 0..<10 {
            let call = Call(to: destination, at: .zero + .seconds(number))
            call.beginAndSend()
            call.wake()
            connect(call, 2)
            head(call, ResponseFacts(status: 200), of: 2)
            call.end()
        }
        // Ten answers of 1 ms, and ten of which is known that they were not there after 21 ms.
        let statistics = destination.statistics(now: .zero + .seconds(10))
        #expect(try #require(statistics.p99) > .milliseconds(20))
        #expect(try #require(statistics.median) < .milliseconds(2))
    }

    @Test func aNewSnapshotMaySwitchItOff() {
        let destination = Destination.make(2, policy: policy())
        let call = hedged(destination)
        connect(call, 2)
        let next = Destination.make(2, policy: CallPolicy(), after: destination, now: call.now)
        head(call, ResponseFacts(status: 200), of: 2)
        call.end()
        #expect(next.isAtRest)
        let later = Call(to: next, at: call.now)
        later.beginAndSend()
        #expect(later.effects.wakeAt == call.now + .seconds(2))
    }
}

extension CallerEffect {
    fileprivate var isNothing: Bool { if case .nothing = self { true } else { false } }
}
