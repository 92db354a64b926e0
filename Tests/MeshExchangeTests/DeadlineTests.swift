import MeshExchange
import MeshModel
import MeshPolicy
import Testing

@Suite("A deadline")
struct DeadlineTests {
    @Test(
        "is the earlier one of what was inherited and what the edge allows",
        arguments: [(nil, nil, 2000), (500, nil, 500), (5000, nil, 2000), (500, 300, 300), (nil, 5000, 5000), (700, 5000, 700)]
            as [(Int64?, Int64?, Int64)])
    func earlier(row: (inherited: Int64?, timeout: Int64?, deadline: Int64)) {
        let call = Call(
            to: .make(), inherited: row.inherited.map { .zero + .milliseconds($0) }, timeout: row.timeout.map { .milliseconds($0) })
        #expect(call.exchange.deadline == .zero + .milliseconds(row.deadline))
    }

    @Test(
        "with less than a millisecond left, nothing is tried",
        arguments: [(-5, true), (0, true), (999, true), (1000, false)] as [(Int64, Bool)])
    func onArrival(row: (microseconds: Int64, isRefused: Bool)) {
        let destination = Destination.make()
        let call = Call(to: destination, at: .zero + .seconds(1), inherited: .zero + .seconds(1) + .microseconds(row.microseconds))
        call.begin()
        #expect((call.effects.start == nil) == row.isRefused)
        if row.isRefused {
            #expect(call.failure?.cause == .deadlineOnArrival && call.failure?.status == 504 && call.failure?.flag == .deadlineExhausted)
            #expect(destination.isAtRest && destination.statistics(now: .zero).counters.refused == 1)
        }
    }

    @Test("passing ends what runs, with 504")
    func passes() {
        let destination = Destination.make()
        let call = Call(to: destination)
        call.beginAndSend()
        #expect(call.effects.wakeAt == .zero + .seconds(2))
        call.wake()
        #expect(call.effects.abandon == .deadlinePassed && call.failure?.status == 504 && call.failure?.flag == .deadlineExhausted)
        #expect(call.effects.wakeAt == nil && destination.isAtRest && call.verdicts == [.callOver])
    }

    @Test("passing between two attempts ends the wait")
    func passesInBackoff() {
        let destination = Destination.make()
        let call = Call(to: destination, inherited: .zero + .milliseconds(30), timeout: .seconds(1))
        call.beginAndSend()
        call.head(ResponseFacts(status: 503, retryAfter: .milliseconds(29)))
        #expect(call.effects.wakeAt == .zero + .milliseconds(30))
        call.now = .zero + .milliseconds(31)
        call.effects = call.exchange.timerFired(now: call.now, random: &call.random)
        #expect(call.failure?.cause == .deadlinePassed && call.effects.abandon == nil && destination.isAtRest)
    }

    @Test("a head that comes after it is too late, and one in its very instant is not")
    func late() {
        let call = Call(to: .make())
        call.beginAndSend()
        call.head(200, after: .seconds(2))
        #expect(call.isForwarding)
        let late = Call(to: .make())
        late.beginAndSend()
        late.head(200, after: .seconds(2) + .nanoseconds(1))
        #expect(late.failure?.cause == .deadlinePassed && late.effects.abandon == .deadlinePassed)
    }

    @Test("does not rule a body once the head is out")
    func afterHead() {
        let call = Call(to: .make())
        call.beginAndSend()
        call.head(200)
        #expect(call.effects.wakeAt == call.now + .seconds(300), "the body only has to move")
        call.advance(.seconds(200))
        call.exchange.progressed(now: call.now)
        #expect(call.wake().caller.isForwarding == false)
        call.advance(.seconds(150))
        call.effects = call.exchange.timerFired(now: call.now, random: &call.random)
        #expect(call.effects.wakeAt! > call.now && !call.isReset)
        call.wake()
        #expect(call.isReset && call.failure?.cause == .streamIdle && call.effects.abandon == .streamIdle)
    }

    @Test("covers the body on gRPC, and ends it by a reset")
    func grpc() {
        let destination = Destination.make()
        let call = Call(to: destination, .post, streamsBody: true, isGRPC: true)
        call.beginAndSend()
        call.head(200)
        #expect(call.effects.wakeAt == .zero + .seconds(2))
        call.wake()
        #expect(call.isReset && call.failure?.flag == .deadlineExhausted && destination.isAtRest)
    }

    @Test("stands still while a body is uploaded, and goes on when it is there")
    func upload() {
        let destination = Destination.make()
        let call = Call(to: destination, .put, streamsBody: true)
        call.begin()
        call.exchange.connected(now: call.now)
        call.advance(.seconds(60))
        call.exchange.progressed(now: call.now)
        call.effects = call.exchange.timerFired(now: call.now, random: &call.random)
        #expect(call.failure == nil && call.effects.wakeAt == call.now + .seconds(300))
        call.effects = call.exchange.requestSent(now: call.now)
        #expect(call.effects.wakeAt == call.now + .seconds(2) && call.exchange.deadline == call.now + .seconds(2))
        call.wake()
        #expect(call.failure?.cause == .deadlinePassed && destination.isAtRest)
    }

    @Test("an upload that stands still for five minutes ends")
    func stalledUpload() {
        let destination = Destination.make()
        let call = Call(to: destination, .put, streamsBody: true)
        call.begin()
        call.exchange.connected(now: call.now)
        call.now = call.now + .seconds(300)
        call.effects = call.exchange.timerFired(now: call.now, random: &call.random)
        #expect(call.failure?.cause == .streamIdle && call.failure?.status == 504 && destination.isAtRest)
        #expect(destination.statistics(now: .zero).endpoints.allSatisfy { $0.window.calls == 0 }, "neither end is known to be at fault")
    }

    @Test("none at all leaves only max_duration and what stands still")
    func unlimited() {
        let call = Call(to: .make(), timeout: Exchange.unlimited)
        call.beginAndSend()
        #expect(call.effects.wakeAt == nil && call.exchange.deadline == .distantFuture)
        call.head(200, after: .seconds(100))
        #expect(call.isForwarding)

        let limited = Call(to: .make(), timeout: Exchange.unlimited, maxDuration: .seconds(10))
        limited.beginAndSend()
        limited.head(200)
        #expect(limited.effects.wakeAt == .zero + .seconds(10))
        limited.wake()
        #expect(limited.isReset && limited.failure?.cause == .durationExceeded)
    }

    @Test("the remainder goes down with every attempt")
    func remainder() {
        let call = Call(to: .make())
        call.advance(.milliseconds(500))
        #expect(call.begin().start?.remaining == .milliseconds(1500))
        call.connectAndSend()
        call.head(ResponseFacts(status: 503, retryAfter: .milliseconds(499)))
        #expect(call.wake().start?.remaining == .milliseconds(1000))
    }

    @Test("a connect has a timeout of its own, after which another endpoint is tried")
    func connecting() {
        let destination = Destination.make()
        let call = Call(to: destination, .post)
        call.begin()
        let first = call.target
        call.wake()
        #expect(call.now == .zero + .seconds(1) && call.effects.abandon == .connectTimedOut)
        #expect(call.target != nil && call.target != first)
        call.leave()
        #expect(destination.isAtRest)
    }
}
