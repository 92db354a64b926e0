import MeshExchange
import MeshModel
import MeshPolicy
import Testing

@Suite("An exchange")
struct ExchangeTests {
    @Test("forwards an untroubled call by one attempt, and gives everything back")
    func untroubled() {
        let destination = Destination.make()
        let call = Call(to: destination)
        #expect(call.begin().start?.number == 1)
        #expect(call.effects.wakeAt == Instant.zero + .seconds(1), "the connect timeout")
        call.connectAndSend()
        #expect(call.effects.wakeAt == Instant.zero + .seconds(2), "the deadline")
        call.head(200)
        #expect(call.isForwarding && !call.retryNo)
        call.end()
        #expect(call.isComplete && call.effects.wakeAt == nil)
        #expect(call.exchange.attempts.count == 1 && call.exchange.flag == nil)
        #expect(call.exchange.attempts[0].status == 200 && call.exchange.attempts[0].retry == .notNeeded)
        #expect(destination.isAtRest)
    }

    @Test("tries a 503 again on the other endpoint, after a backoff")
    func retry() {
        let destination = Destination.make()
        let call = Call(to: destination)
        call.beginAndSend()
        let first = call.target
        call.head(503)
        #expect(call.effects.abandon == .retried && call.effects.start == nil)
        #expect(call.effects.wakeAt! <= call.now + .milliseconds(25))
        call.wake()
        #expect(call.effects.start?.number == 2 && call.target != first)
        call.connectAndSend()
        call.head(200)
        call.end()
        #expect(call.isComplete && call.verdicts == [.retried, .notNeeded])
        #expect(destination.isAtRest)
    }
}
