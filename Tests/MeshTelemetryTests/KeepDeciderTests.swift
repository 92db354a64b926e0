import MeshModel
import MeshTelemetry
import Testing

@Suite("Keep decision")
struct KeepDeciderTests {
    private let shop = TraceKeeping(slowerThan: .quantile(0.99), rest: 0.1)

    private func trace(_ share: Double) -> TraceID { TraceID(high: 1, low: UInt64(share * 0x1p56)) }

    @Test func withoutARuleEveryTraceIsKept() {
        var decider = KeepDecider()
        #expect(decider.ended(trace(0.999), after: .milliseconds(1), trouble: []) == .all)
    }

    @Test func troubleIsKeptAndOfTheRestAShare() {
        var decider = KeepDecider(TraceKeeping(rest: 0.1))
        #expect(decider.ended(trace(0.9), after: .milliseconds(1), trouble: .error) == .error)
        #expect(decider.ended(trace(0.9), after: .milliseconds(1), trouble: [.error, .retried]) == .error)
        #expect(decider.ended(trace(0.9), after: .milliseconds(1), trouble: .retried) == .retried)
        #expect(decider.ended(trace(0.9), after: .milliseconds(1), trouble: []) == .notKept)
        #expect(decider.ended(trace(0.05), after: .milliseconds(1), trouble: []) == .sampled)
        #expect(decider.ended(trace(0.9), after: .milliseconds(1), trouble: [], isAsked: true) == .asked)
    }

    @Test func sharesOfTroubleAreObeyed() {
        var decider = KeepDecider(TraceKeeping(errors: 0.5, retried: 0, rest: 0))
        #expect(decider.ended(trace(0.4), after: .zero, trouble: .error) == .error)
        #expect(decider.ended(trace(0.6), after: .zero, trouble: .error) == .notKept)
        #expect(decider.ended(trace(0.1), after: .zero, trouble: .retried) == .notKept)
    }

    @Test func aFixedLimitJudgesFromTheFirstRequestOn() {
        var decider = KeepDecider(TraceKeeping(slowerThan: .duration(.milliseconds(300)), rest: 0))
        #expect(decider.ended(trace(0.5), after: .milliseconds(300), trouble: []) == .notKept)
        #expect(decider.ended(trace(0.5), after: .milliseconds(301), trouble: []) == .slow)
    }

    @Test func untilARouteIsKnownAllOfItIsKept() {
        var decider = KeepDecider(shop)
        for _ in 0..<KeepDecider.earlyRequests {
            #expect(decider.ended(trace(0.9), route: 1, after: .milliseconds(10), trouble: []) == .early)
        }
        #expect(decider.ended(trace(0.9), route: 1, after: .milliseconds(10), trouble: []) == .notKept)
        #expect(decider.ended(trace(0.9), route: 1, after: .milliseconds(50), trouble: []) == .slow)
        // Another route knows nothing yet, and neither does this one once routes have changed.
        #expect(decider.ended(trace(0.9), route: 2, after: .milliseconds(10), trouble: []) == .early)
        decider.routesChanged()
        #expect(decider.ended(trace(0.9), route: 1, after: .milliseconds(10), trouble: []) == .early)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func aboutOnePercentIsSlowerThanP99(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var decider = KeepDecider(TraceKeeping(slowerThan: .quantile(0.99), rest: 0))
        var slow = 0
        for _ in 0..<20_000 {
            let duration = Timespan.microseconds(Int64(1000 + random.nextUnit() * random.nextUnit() * 100_000))
            if decider.ended(TraceID.random(&random), route: 3, after: duration, trouble: []) == .slow { slow += 1 }
        }
        #expect((20...300).contains(slow))
    }

    @Test func whatWasSlowYesterdayIsForgotten() {
        var decider = KeepDecider(TraceKeeping(slowerThan: .quantile(0.99), rest: 0))
        for _ in 0..<50_000 { _ = decider.ended(trace(0.9), after: .milliseconds(100), trouble: []) }
        for _ in 0..<100_000 { _ = decider.ended(trace(0.9), after: .milliseconds(1), trouble: []) }
        #expect(decider.ended(trace(0.9), after: .milliseconds(50), trouble: []) == .slow)
    }
}
