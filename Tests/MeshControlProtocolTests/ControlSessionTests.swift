import MeshControlProtocol
import MeshModel
import Testing

@Suite struct ControlSessionTests {
    var now = Instant(nanoseconds: 1_000)
    var random = RandomSource(seed: 1)
    var session = ControlSession(hello: hello)

    static let hello = Hello(instance: MessageTests.instance, service: "orders", processID: 42)
    static let configuration = ConfigurationMessage(revision: 7, json: Array(#"{"revision":7}"#.utf8))

    /// What the hello says once revision 7 rules.
    static var resumed: Hello {
        var hello = hello
        hello.revision = 7
        return hello
    }

    @Test mutating func `greets, installs the first configuration and acknowledges it`() {
        #expect(session.started().connect)
        #expect(session.connected(now: now).send == [.hello(Self.hello)])
        #expect(session.received(.configuration(Self.configuration)).install == Self.configuration)
        #expect(session.revision == nil)
        #expect(session.configurationInstalled(revision: 7).send == [.acknowledged(Acknowledgement(revision: 7))])
        #expect(session.revision == 7)
    }

    @Test mutating func `a refused configuration leaves the one before it in force`() {
        connect()
        _ = session.configurationInstalled(revision: 7)
        let refusal = session.configurationRefused(revision: 8, reason: "a route without a target")
        #expect(refusal.send == [.refused(Refusal(revision: 8, reason: "a route without a target"))])
        #expect(session.revision == 7)
    }

    @Test mutating func `comes back after the daemon died and says which revision it has`() throws {
        connect()
        _ = session.configurationInstalled(revision: 7)
        _ = session.healthChanged(to: Health(ready: true))

        let lost = session.disconnected(now: now, random: &random)
        #expect(!lost.connect && !session.isConnected)
        now = try #require(lost.wakeAt)
        #expect(session.timerFired(now: now).connect)
        #expect(session.connected(now: now).send == [.hello(Self.resumed), .health(Health(ready: true))])
    }

    @Test mutating func `what happened without a daemon is said when it is back`() throws {
        connect()
        now = try #require(session.disconnected(now: now, random: &random).wakeAt)
        #expect(session.configurationInstalled(revision: 7).send.isEmpty)
        #expect(session.healthChanged(to: Health(ready: false, reason: "draining")).send.isEmpty)
        #expect(session.stoppingBegan().send.isEmpty)
        _ = session.timerFired(now: now)
        #expect(
            session.connected(now: now).send == [.hello(Self.resumed), .health(Health(ready: false, reason: "draining")), .stopping])
    }

    @Test(arguments: 0..<20) func `waits longer after each failure, between half of its bound and all of it`(seed: UInt64) throws {
        var session = ControlSession(hello: Self.hello)
        var random = RandomSource(seed: seed)
        var now = Instant.zero
        _ = session.started()
        for bound in [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000] as [Int64] {
            let wakeAt = try #require(session.disconnected(now: now, random: &random).wakeAt)
            #expect(wakeAt - now >= .milliseconds(bound) * 0.5)
            #expect(wakeAt - now <= .milliseconds(bound))
            #expect(!session.timerFired(now: Instant(nanoseconds: wakeAt.nanoseconds - 1)).connect)
            now = wakeAt
            #expect(session.timerFired(now: now).connect)
        }
    }

    @Test mutating func `a connection that lasted forgives the failures before it`() throws {
        _ = session.started()
        for _ in 0..<6 {
            now = try #require(session.disconnected(now: now, random: &random).wakeAt)
            _ = session.timerFired(now: now)
        }
        _ = session.connected(now: now)
        now = now + .seconds(10)
        let wakeAt = try #require(session.disconnected(now: now, random: &random).wakeAt)
        #expect(wakeAt - now <= .milliseconds(50))
    }

    @Test mutating func `a daemon that drops every connection at once is not stormed`() throws {
        _ = session.started()
        for _ in 0..<8 {
            _ = session.connected(now: now)
            now = try #require(session.disconnected(now: now, random: &random).wakeAt)
            _ = session.timerFired(now: now)
        }
        _ = session.connected(now: now)
        let wakeAt = try #require(session.disconnected(now: now, random: &random).wakeAt)
        #expect(wakeAt - now >= .milliseconds(2_500))
    }

    @Test mutating func `reports statistics while connected, and only then`() throws {
        connect()
        let due = now + .seconds(1)
        #expect(!session.timerFired(now: Instant(nanoseconds: due.nanoseconds - 1)).reportStatistics)
        let report = session.timerFired(now: due)
        #expect(report.reportStatistics)
        #expect(report.wakeAt == due + .seconds(1))
        let wakeAt = try #require(session.disconnected(now: due, random: &random).wakeAt)
        #expect(!session.timerFired(now: wakeAt).reportStatistics)
    }

    @Test mutating func `statistics that say nothing new are sent seldom`() throws {
        connect()
        let some = InstanceStatistics(counters: ["inbound.requests": 1])
        let more = InstanceStatistics(counters: ["inbound.requests": 2])
        #expect(session.statisticsCollected(some, now: now).send == [.statistics(some)])
        #expect(session.statisticsCollected(some, now: now + .seconds(1)).send.isEmpty)
        #expect(session.statisticsCollected(more, now: now + .seconds(2)).send == [.statistics(more)])
        #expect(session.statisticsCollected(more, now: now + .seconds(6)).send.isEmpty)
        #expect(session.statisticsCollected(more, now: now + .seconds(7)).send == [.statistics(more)])
        // A daemon that is new knows none.
        let wakeAt = try #require(session.disconnected(now: now, random: &random).wakeAt)
        _ = session.timerFired(now: wakeAt)
        _ = session.connected(now: wakeAt)
        #expect(session.statisticsCollected(more, now: now + .seconds(8)).send == [.statistics(more)])
    }

    @Test mutating func `health is said only when it changes`() {
        connect()
        #expect(session.healthChanged(to: Health(ready: true)).send == [.health(Health(ready: true))])
        #expect(session.healthChanged(to: Health(ready: true)).send.isEmpty)
        #expect(session.healthChanged(to: Health(ready: false, reason: "full")).send == [.health(Health(ready: false, reason: "full"))])
    }

    @Test mutating func `drains when told, says once that it stops, and ends by closing`() {
        connect()
        #expect(session.received(.drain(Drain(within: .seconds(3)))).drain == Drain(within: .seconds(3)))
        #expect(session.stoppingBegan().send == [.stopping])
        #expect(session.stoppingBegan().send.isEmpty)
        let ended = session.ended()
        #expect(ended.disconnect)
        #expect(ended.wakeAt == nil)
        #expect(session.disconnected(now: now, random: &random) == ControlSession.Effects())
        #expect(session.timerFired(now: now + .seconds(60)) == ControlSession.Effects())
    }

    @Test mutating func `an end while waiting for the daemon leaves nothing to do`() throws {
        connect()
        now = try #require(session.disconnected(now: now, random: &random).wakeAt)
        #expect(session.ended() == ControlSession.Effects())
        #expect(session.timerFired(now: now) == ControlSession.Effects())
    }

    @Test mutating func `what arrives after the loss of a connection is not obeyed`() {
        connect()
        _ = session.disconnected(now: now, random: &random)
        let late = session.received(.configuration(Self.configuration))
        #expect(late.install == nil)
    }

    /// Whatever happens in whatever order: never two connections, and no message without one.
    @Test(arguments: 0..<200) func `never opens a second connection, never speaks without one`(seed: UInt64) {
        var session = ControlSession(hello: Self.hello)
        var random = RandomSource(seed: seed)
        var now = Instant.zero
        var opening = false
        var open = false
        for _ in 0..<300 {
            now = now + .milliseconds(Int64(random.next(below: 2_000)))
            let effects: ControlSession.Effects
            switch random.next(below: 9) {
            case 0: effects = session.started()
            case 1 where opening:
                (opening, open) = (false, true)
                effects = session.connected(now: now)
                if !session.isConnected { open = false }
            case 2 where opening || open:
                (opening, open) = (false, false)
                effects = session.disconnected(now: now, random: &random)
            case 3: effects = session.received(.configuration(Self.configuration))
            case 4: effects = session.configurationInstalled(revision: random.next())
            case 5: effects = session.healthChanged(to: Health(ready: random.next(below: 2) == 0))
            case 6: effects = session.timerFired(now: now)
            case 7 where random.next(below: 20) == 0: effects = session.stoppingBegan()
            case 8 where random.next(below: 50) == 0: effects = session.ended()
            default: continue
            }
            if effects.disconnect { (opening, open) = (false, false) }
            if effects.connect {
                #expect(!opening && !open)
                opening = true
            }
            #expect(effects.send.isEmpty || open)
            #expect(session.isConnected == open)
        }
    }

    private mutating func connect() {
        _ = session.started()
        _ = session.connected(now: now)
    }
}
