import MeshModel
import MeshSupervision
import Testing

@Suite struct ProbingTests {
    @Test func itAsksEagerlyUntilTheFirstSuccessAndCalmlyThen() {
        var now = Instant(nanoseconds: 5)
        var probing = Probing(Probe(.tcp), began: now)
        var tries = 0
        while now < Instant(nanoseconds: 5) + .seconds(Int64(1)) {
            #expect(probing.isDue(now) == true)
            #expect(probing.isDue(now) == false, "one at a time")
            #expect(probing.wakeAt == nil)
            #expect(probing.failed("refused", now) == nil)
            tries += 1
            now = probing.wakeAt!
        }
        #expect((15...40).contains(tries))
        #expect(probing.isDue(now) == true)
        #expect(probing.succeeded(now) == .nowPassing)
        #expect(probing.wakeAt == now + .seconds(Int64(1)))
    }

    @Test func theIntervalNeverExceedsWhatWasAskedFor() {
        var now = Instant.zero
        var probing = Probing(Probe(.tcp, every: .milliseconds(100)), began: now)
        for _ in 0..<200 {
            #expect(probing.isDue(now) == true)
            _ = probing.failed("refused", now)
            #expect(probing.wakeAt! - now <= .milliseconds(100))
            now = probing.wakeAt!
        }
    }

    @Test func anAnswerWithoutAQuestionCountsNothing() {
        var probing = Probing(Probe(.tcp), began: .zero)
        #expect(probing.succeeded(.zero) == nil)
        #expect(probing.verdict == .undecided)
    }

    @Test func aSuccessBetweenFailuresResetsTheCount() {
        var now = Instant.zero
        var probing = Probing(Probe(.tcp), began: now)
        func turn(_ isSuccess: Bool) -> Probing.Turn? {
            now = now + .seconds(Int64(1))
            #expect(probing.isDue(now) == true)
            return isSuccess ? probing.succeeded(now) : probing.failed("no", now)
        }
        let turns = [true, false, false, true, false, false, false, false, true].map(turn)
        #expect(turns == [.nowPassing, nil, nil, nil, nil, nil, .nowFailing, nil, .nowPassing])
    }
}

@Suite struct StartPlanTests {
    @Test func calleesStartBeforeTheirCallers() {
        let plan = StartPlan([
            .init(name: "gateway", calls: ["orders", "catalog", "customers"]),
            .init(name: "orders", calls: ["inventory", "ledger", "crm"]), .init(name: "catalog", calls: ["inventory"]),
            .init(name: "customers", calls: ["crm"]), .init(name: "ledger", calls: []), .init(name: "inventory", calls: []),
            .init(name: "crm", calls: ["rates elsewhere"]),
        ])
        #expect(plan.waves == [["crm", "inventory", "ledger"], ["catalog", "customers", "orders"], ["gateway"]])
        #expect(plan.stopOrder.first == ["gateway"])
        #expect(plan.circular.isEmpty)
    }

    @Test func oneMaySayThatItStartsAnyway() {
        let plan = StartPlan([.init(name: "a", calls: ["b"], startsAnyway: true), .init(name: "b", calls: [])])
        #expect(plan.waves == [["a", "b"]])
    }

    @Test func aCircleIsNamedAndStartsTogether() {
        let plan = StartPlan([
            .init(name: "a", calls: ["b"]), .init(name: "b", calls: ["c"]), .init(name: "c", calls: ["b"]), .init(name: "d", calls: ["d"]),
        ])
        #expect(plan.waves == [["d"], ["b", "c"], ["a"]])
        #expect(plan.circular == ["b", "c"])
    }
}
