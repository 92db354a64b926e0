import MeshModel
import Testing

@Suite("Time")
struct TimeTests {
    @Test("saturates instead of overflowing")
    func saturates() {
        #expect(Instant.zero + Timespan(nanoseconds: .max) == .distantFuture)
        #expect(Instant(nanoseconds: 1) + Timespan(nanoseconds: .max) == .distantFuture)
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant(nanoseconds: .min) + Timespan(nanoseconds: -1) == Instant(nanoseconds: .min))
    }

    @Test("counts in nanoseconds, and rounds milliseconds down")
    func units() {
        #expect(Timespan.seconds(2).nanoseconds == 2_000_000_000 && Timespan.seconds(0.25) == .milliseconds(250))
        #expect(Timespan.microseconds(1_999).milliseconds == 1)
        #expect(Timespan.milliseconds(10) * 3 == .milliseconds(30) && Timespan.milliseconds(10) * 0.5 == .milliseconds(5))
        #expect(Instant(nanoseconds: 5) - Instant(nanoseconds: 7) == Timespan(nanoseconds: -2))
    }
}
