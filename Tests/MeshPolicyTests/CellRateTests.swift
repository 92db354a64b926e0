import MeshModel
import MeshPolicy
import Testing

/// Computed by hand from ITU-T I.371, annex A: tau = (burst - 1) T, and a cell conforms where it is no earlier than TAT - tau.
@Suite("A cell rate")
struct CellRateTests {
    private func at(_ milliseconds: Int64) -> Instant { .zero + .seconds(100) + .milliseconds(milliseconds) }

    @Test("lets a burst through at once, and then one request per interval")
    func burst() {
        let rate = CellRate(requests: 4, window: .seconds(1))
        #expect(rate.interval == .milliseconds(250) && rate.burst == 4)
        var state = Instant.zero
        // (time, admitted, left, until full, wait)
        let table: [(Int64, Bool, Int, Int64, Int64)] = [
            (0, true, 3, 250, 0), (0, true, 2, 500, 0), (0, true, 1, 750, 0), (0, true, 0, 1000, 0), (0, false, 0, 1000, 250),
            (100, false, 0, 900, 150), (249, false, 0, 751, 1), (250, true, 0, 1000, 0), (500, true, 0, 1000, 0), (1500, true, 3, 250, 0),
        ]
        for (time, isAdmitted, remaining, reset, wait) in table {
            let verdict = rate.requestCame(&state, now: at(time))
            #expect(verdict.isAdmitted == isAdmitted, "at \(time)")
            #expect(verdict.remaining == remaining, "at \(time)")
            #expect(verdict.resetAfter == .milliseconds(reset), "at \(time)")
            #expect((verdict.retryAfter ?? .zero) == .milliseconds(wait), "at \(time)")
        }
    }

    @Test("is divided by those who share it, but never to less than one at a time")
    func shared() {
        #expect(CellRate(requests: 200, window: .seconds(1), sharers: 4) == CellRate(requests: 50, window: .seconds(1)))
        let small = CellRate(requests: 1, window: .seconds(1), sharers: 4)
        #expect(small.burst == 1 && small.interval == .seconds(4))
        #expect(CellRate(requests: 30, window: .seconds(60)).interval == .seconds(2))
    }

    @Test("lets no more through than the rate, whatever the arrivals", arguments: 0..<20)
    func bound(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let rate = CellRate(requests: Double(1 + random.next(below: 100)), window: .seconds(1))
        var state = Instant.zero
        var now = at(0)
        var admitted: [Instant] = []
        for _ in 0..<2000 {
            now = now + .microseconds(Int64(random.next(below: 20_000)))
            if rate.requestCame(&state, now: now).isAdmitted { admitted.append(now) }
        }
        for (first, start) in admitted.enumerated() {
            for (last, end) in admitted.enumerated().dropFirst(first) {
                let most = rate.burst + Int((end - start).nanoseconds / rate.interval.nanoseconds)
                #expect(last - first + 1 <= most)
                if last - first > 300 { break }
            }
        }
    }
}
