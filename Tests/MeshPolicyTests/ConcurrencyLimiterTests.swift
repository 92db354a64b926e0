import MeshModel
import MeshPolicy
import Testing

@Suite("Concurrency limiter")
struct ConcurrencyLimiterTests {
    @Test("lets in as many as its limit says, and one for each that ends")
    func fixed() {
        var limiter = ConcurrencyLimiter(.fixed(3), now: .zero)
        let admitted = (0..<5).map { _ in limiter.requestCame(.standard, now: .zero) }
        #expect(admitted == [true, true, true, false, false] && limiter.inFlight == 3)
        limiter.requestEnded(.standard, servedIn: .milliseconds(1), now: .zero)
        let next = (0..<2).map { _ in limiter.requestCame(.standard, now: .zero) }
        #expect(next == [true, false])
        limiter.follow(.fixed(5), now: .zero)
        let more = (0..<3).map { _ in limiter.requestCame(.standard, now: .zero) }
        #expect(more == [true, true, false] && limiter.inFlight == 5)
    }

    @Test("what is critical may go a quarter beyond it")
    func critical() {
        var limiter = ConcurrencyLimiter(.fixed(8), now: .zero)
        for _ in 0..<8 { _ = limiter.requestCame(.standard, now: .zero) }
        let admitted = (0..<3).map { _ in limiter.requestCame(.critical, now: .zero) }
        #expect(admitted == [true, true, false])
    }

    @Test("seats are kept for what the classes above usually have under way, and given back when they stay away")
    func reserves() {
        var limiter = ConcurrencyLimiter(.fixed(10), now: .zero)
        for _ in 0..<4 { _ = limiter.requestCame(.critical, now: .zero) }
        // After ten seconds four is what is usual.
        let later = Instant.zero + .seconds(10)
        for _ in 0..<4 { limiter.requestEnded(.critical, servedIn: .seconds(10), now: later) }
        let sheddable = (0..<10).count { _ in limiter.requestCame(.sheddable, now: later) }
        let critical = limiter.requestCame(.critical, now: later)
        #expect(sheddable == 6 && critical)
        // Of the four seats, the one that is taken is still usual.
        let standard = (0..<10).count { _ in limiter.requestCame(.standard, now: later + .seconds(10)) }
        #expect(standard == 3)
    }

    /// Sixteen seats, each request takes 10 ms: 1600 a second, of which a tenth is critical, at three times that. Little's law gives the
    /// seats, the queue of arrivals is drawn.
    @Test(
        "at three times the load nine tenths of the seats are used and under one in a hundred critical requests is lost", arguments: 1...5)
    func overload(seed: Int) {
        var random = RandomSource(seed: UInt64(seed))
        var limiter = ConcurrencyLimiter(.fixed(32), now: .zero)
        var ending: [(at: Instant, of: Criticality)] = []
        var now = Instant.zero
        var served = 0
        var lost: [Criticality: Int] = [:]
        var came: [Criticality: Int] = [:]
        let rate = 3.0 * 32 / 0.01
        let end = Instant.zero + .seconds(5)
        while now < end {
            // Twice a uniform gap has the same mean as the load.
            now = now + .nanoseconds(Int64(2 * random.nextUnit() / rate * 1e9))
            for request in ending where request.at <= now {
                limiter.requestEnded(request.of, servedIn: .milliseconds(10), now: request.at)
                served += 1
            }
            ending.removeAll { $0.at <= now }
            let draw = random.nextUnit()
            let criticality: Criticality = draw < 0.1 ? .critical : draw < 0.6 ? .standard : .sheddable
            came[criticality, default: 0] += 1
            if limiter.requestCame(criticality, now: now) {
                ending.append((now + .milliseconds(10), criticality))
            } else {
                lost[criticality, default: 0] += 1
            }
        }
        #expect(Double(served) >= 0.9 * 5 * 32 / 0.01)
        #expect(Double(lost[.critical] ?? 0) < 0.01 * Double(came[.critical]!))
        #expect(Double(lost[.standard]!) / Double(came[.standard]!) < Double(lost[.sheddable]!) / Double(came[.sheddable]!))
    }
}
