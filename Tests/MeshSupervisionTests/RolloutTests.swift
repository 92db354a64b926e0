import MeshModel
import MeshSupervision
import TestSupport
import Testing

/// A service whose replicas do as they are told, in time that is moved by hand.
private struct RolloutBench {
    var rollout: Rollout
    var replicas: [Rollout.Replica] = []
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var share: Double?
    var abortReason: String?
    var isDone = false
    /// How long a new replica takes to be ready; nil: it fails.
    var startTime: Timespan? = .milliseconds(100)
    var drainTime = Timespan.milliseconds(200)
    private var readyAt: [String: Instant] = [:]
    private var goneAt: [String: Instant] = [:]
    /// The most at once and the fewest ready while it went.
    var most = 0
    var fewest = Int.max

    init(wanted: Int, old: Int, policy: RolloutPolicy = RolloutPolicy(), isNewVersion: Bool = true) {
        rollout = Rollout(wanted: wanted, policy: policy, isNewVersion: isNewVersion)
        replicas = (0..<old).map { .init(name: "orders-\($0 + 1)", isCurrent: false, condition: .ready(since: .zero)) }
    }

    /// Until it is done or aborted, for at most `seconds`; `each` may disturb.
    mutating func run(seconds: Int64 = 60, _ each: (inout RolloutBench) -> Void = { _ in }) {
        let end = now + .seconds(seconds)
        while now < end, !isDone, abortReason == nil {
            settle()
            each(&self)
            var wakeAt = now + .milliseconds(50)
            decision: for _ in 0..<8 {
                switch rollout.decide(replicas, now) {
                case .done:
                    isDone = true
                    return
                case .abort(let reason):
                    abortReason = reason
                    return
                case .proceed(let steps, let at):
                    wakeAt = min(at ?? wakeAt, wakeAt)
                    if steps.isEmpty { break decision }
                    for step in steps { take(step) }
                }
            }
            measure()
            now = max(wakeAt, now + .milliseconds(1))
        }
    }

    private mutating func take(_ step: Rollout.Step) {
        switch step {
        case .start(let count, let held):
            for number in ReplicaName.free(count, service: "orders", version: nil, taken: Set(replicas.map(\.name))) {
                let name = ReplicaName.make(service: "orders", version: nil, number: number)
                replicas.append(.init(name: name, isCurrent: true, condition: .starting, isHeld: held))
                readyAt[name] = now + (startTime ?? .seconds(1))
            }
        case .release(let names):
            for index in replicas.indices where names.contains(replicas[index].name) { replicas[index].isHeld = false }
        case .hold(let names):
            for index in replicas.indices where names.contains(replicas[index].name) { replicas[index].isHeld = true }
        case .share(let share): self.share = share
        case .retire(let names):
            for index in replicas.indices where names.contains(replicas[index].name) {
                replicas[index].condition = .leaving
                goneAt[replicas[index].name] = now + drainTime
            }
        case .stop(let names):
            for index in replicas.indices where names.contains(replicas[index].name) {
                replicas[index].condition = .stopping
                goneAt[replicas[index].name] = now + drainTime
            }
        case .startAgain(let names):
            for index in replicas.indices where names.contains(replicas[index].name) {
                replicas[index].isCurrent = true
                replicas[index].condition = .starting
                readyAt[replicas[index].name] = now + (startTime ?? .seconds(1))
            }
        }
    }

    private mutating func settle() {
        for index in replicas.indices where replicas[index].condition == .starting {
            guard let due = readyAt[replicas[index].name], now >= due else { continue }
            replicas[index].condition = startTime == nil ? .failed("exit 1 after 0.1s") : .ready(since: now)
        }
        for index in replicas.indices where replicas[index].condition == .stopping {
            if goneAt[replicas[index].name].map({ now >= $0 }) ?? false { replicas[index].condition = .stopped }
        }
        replicas.removeAll { replica in replica.condition == .leaving && goneAt[replica.name].map { now >= $0 } ?? false }
    }

    private mutating func measure() {
        most = max(most, replicas.count { $0.condition != .leaving })
        fewest = min(fewest, serving)
    }

    var serving: Int {
        replicas.count { replica in if case .ready = replica.condition { !replica.isHeld } else { false } }
    }
    var current: Int { replicas.count { $0.isCurrent && $0.condition != .leaving } }
}

@Suite(.calculating) struct RolloutTests {
    @Test func aNewServiceStartsAllAtOnce() {
        var bench = RolloutBench(wanted: 5, old: 0)
        #expect(bench.rollout.decide([], bench.now) == .proceed([.start(5, held: false)], wakeAt: nil))
        let start = bench.now
        bench.run()
        #expect(bench.isDone && bench.current == 5)
        #expect(bench.now - start < .milliseconds(200), "nothing is replaced, so that nothing waits for them to prove themselves")
    }

    @Test(arguments: [
        (RolloutPolicy.Bound.count(2), 5, 2), (.count(9), 5, 5), (.count(0), 5, 1), (.share(0.5), 5, 3), (.share(0), 5, 1),
        (.share(1), 5, 5),
    ]) func enoughIsOneAtLeastAndAllAtMost(_ bound: RolloutPolicy.Bound, wanted: Int, enough: Int) {
        #expect(RolloutPolicy(minAvailable: bound).enough(of: wanted) == enough)
        #expect(RolloutPolicy().enough(of: wanted) == wanted)
    }

    @Test func aServiceIsReadyWhenEnoughOfItsReplicasAre() {
        let policy = RolloutPolicy(minAvailable: .count(3))
        var slow = RolloutBench(wanted: 5, old: 0, policy: policy)
        slow.run { bench in
            for index in bench.replicas.indices.suffix(2) { bench.replicas[index].condition = .unready }
        }
        #expect(slow.isDone && slow.current == 5 && slow.serving == 3)
        var broken = RolloutBench(wanted: 5, old: 0, policy: policy)
        broken.run { bench in
            for index in bench.replicas.indices.suffix(2) { bench.replicas[index].condition = .failed("exit 1") }
        }
        #expect(broken.isDone && broken.serving == 3)
        var hopeless = RolloutBench(wanted: 5, old: 0, policy: policy)
        hopeless.run { bench in
            for index in bench.replicas.indices.suffix(3) { bench.replicas[index].condition = .failed("exit 1") }
        }
        #expect(hopeless.abortReason == "orders-3: exit 1")
    }

    /// Otherwise a broken build would replace what serves, as far as the number allows it.
    @Test func aNewVersionOfWhichOneFailsIsStoppedHoweverFewAreEnough() {
        var bench = RolloutBench(wanted: 3, old: 3, policy: RolloutPolicy(minAvailable: .count(1)))
        bench.startTime = nil
        bench.run()
        #expect(bench.abortReason == "orders-4: exit 1 after 0.1s")
        #expect(bench.replicas.count { !$0.isCurrent && $0.condition != .leaving } == 3)
    }

    @Test func rollingKeepsToItsBounds() {
        var bench = RolloutBench(wanted: 3, old: 3)
        bench.run()
        #expect(bench.isDone && bench.current == 3 && bench.replicas.count == 3)
        #expect(bench.most == 4)
        #expect(bench.fewest == 3)
    }

    @Test func withoutSurgeOneGoesBeforeOneComes() {
        var bench = RolloutBench(wanted: 3, old: 3, policy: RolloutPolicy(maxSurge: .count(0), maxUnavailable: .count(1)))
        bench.run()
        #expect(bench.isDone && bench.most == 3 && bench.fewest == 2)
    }

    @Test func neitherSurgeNorAbsenceMeansASurgeOfOne() {
        var bench = RolloutBench(wanted: 2, old: 2, policy: RolloutPolicy(maxSurge: .count(0), maxUnavailable: .share(0.1)))
        bench.run()
        #expect(bench.isDone && bench.most == 3 && bench.fewest == 2)
    }

    @Test(arguments: [(1, 0.25, 1, 0), (4, 0.25, 1, 1), (10, 0.25, 3, 2), (3, 1.0, 3, 3)])
    func sharesAreRoundedUpForSurgeAndDownForAbsence(wanted: Int, share: Double, surge: Int, absent: Int) {
        var bench = RolloutBench(wanted: wanted, old: wanted, policy: RolloutPolicy(maxSurge: .share(share), maxUnavailable: .share(share)))
        bench.run()
        #expect(bench.isDone)
        #expect(bench.most <= wanted + surge)
        #expect(bench.fewest >= wanted - absent)
    }

    @Test func aNewOneCountsOnlyWhenItWasHealthyForLongEnough() {
        var bench = RolloutBench(wanted: 1, old: 1, policy: RolloutPolicy(minHealthyTime: .seconds(3)))
        var retiredAt: Instant?
        let start = bench.now
        bench.run { bench in
            if retiredAt == nil, bench.replicas.contains(where: { $0.condition == .leaving }) { retiredAt = bench.now }
        }
        #expect(bench.isDone)
        #expect(retiredAt.map { $0 - start >= .seconds(3) } ?? false)
    }

    @Test func whatFailsEndsItWithTheOldOnesUntouched() {
        var bench = RolloutBench(wanted: 3, old: 3)
        bench.startTime = nil
        bench.run()
        #expect(bench.abortReason == "orders-4: exit 1 after 0.1s")
        #expect(bench.replicas.count { !$0.isCurrent && $0.condition == .ready(since: .zero) } == 3)
    }

    @Test func oldOnesThatDoNotServeAreNoObstacle() {
        var bench = RolloutBench(wanted: 2, old: 2)
        bench.replicas[0].condition = .failed("crash loop")
        bench.replicas[1].condition = .unready
        bench.run()
        #expect(bench.isDone && bench.current == 2)
    }

    @Test func fewerAreWantedThanRun() {
        var bench = RolloutBench(wanted: 2, old: 0)
        bench.replicas = (1...12).map { .init(name: "orders-\($0)", isCurrent: true, condition: .ready(since: .zero)) }
        bench.replicas[4].condition = .unready
        bench.run()
        #expect(bench.isDone)
        #expect(bench.replicas.map(\.name) == ["orders-1", "orders-2"])
    }

    @Test func recreateEndsAllBeforeTheFirstNewOne() {
        var bench = RolloutBench(wanted: 2, old: 2, policy: RolloutPolicy(strategy: .recreate))
        var overlapped = false
        bench.run { bench in
            let old = bench.replicas.contains { !$0.isCurrent && $0.condition != .stopped }
            overlapped = overlapped || old && bench.current > 0
        }
        #expect(bench.isDone && !overlapped && bench.fewest == 0)
        #expect(bench.replicas.map(\.name) == ["orders-1", "orders-2"], "in their places")
    }

    @Test(arguments: [(3, 1), (1, 3)]) func recreateWithAnotherNumber(old: Int, wanted: Int) {
        var bench = RolloutBench(wanted: wanted, old: old, policy: RolloutPolicy(strategy: .recreate))
        bench.run()
        #expect(bench.isDone && bench.current == wanted && bench.replicas.count == wanted)
    }

    @Test func blueGreenSwitchesAtOnce() {
        var bench = RolloutBench(wanted: 3, old: 3, policy: RolloutPolicy(strategy: .blueGreen))
        var mixed = false
        bench.run { bench in
            let serving = bench.replicas.filter { !$0.isHeld && $0.condition != .leaving && $0.condition != .starting }
            mixed = mixed || Set(serving.map(\.isCurrent)).count > 1
        }
        #expect(bench.isDone && !mixed && bench.most == 6 && bench.fewest == 3)
    }

    @Test func theOldOnesOfBlueGreenStandByUntilTheNewOnesHaveShownThatTheyDoNoWorse() {
        var bench = RolloutBench(wanted: 3, old: 3, policy: RolloutPolicy(strategy: .blueGreen, minHealthyTime: .seconds(4)))
        var switchedAt: Instant?
        var retiredAt: Instant?
        bench.run { bench in
            let isSwitched = bench.replicas.contains { $0.isCurrent && !$0.isHeld }
            switchedAt = switchedAt ?? (isSwitched ? bench.now : nil)
            retiredAt = retiredAt ?? (bench.replicas.contains { $0.condition == .leaving } ? bench.now : nil)
            for index in bench.replicas.indices { bench.replicas[index].traffic = Traffic(requests: 100, covers: .seconds(9)) }
        }
        #expect(bench.isDone && bench.current == 3 && bench.replicas.count == 3)
        #expect(retiredAt! - switchedAt! >= .seconds(4))
    }

    @Test func blueGreenGoesBackToTheOldOnesThatStandBy() {
        var failing = RolloutBench(wanted: 3, old: 3, policy: RolloutPolicy(strategy: .blueGreen))
        failing.run { bench in
            for index in bench.replicas.indices {
                let failures = bench.replicas[index].isCurrent && !bench.replicas[index].isHeld ? 10 : 0
                bench.replicas[index].traffic = Traffic(requests: 100, failures: failures, covers: .seconds(9))
            }
        }
        #expect(failing.abortReason == "30 of 300 requests failed in the new version, 0 of 300 in the old one")
        var gone = RolloutBench(wanted: 3, old: 3, policy: RolloutPolicy(strategy: .blueGreen))
        var switchedAt: Instant?
        gone.run { bench in
            guard bench.replicas.contains(where: { $0.isCurrent && !$0.isHeld }) else { return }
            switchedAt = switchedAt ?? bench.now
            for index in bench.replicas.indices where bench.replicas[index].isCurrent { bench.replicas[index].condition = .unready }
        }
        #expect(gone.abortReason == "no process of the new version is ready any more since all calls went there")
        #expect(gone.now - switchedAt! < .seconds(1), "nobody else answers meanwhile")
        for bench in [failing, gone] {
            #expect(bench.replicas.count { !$0.isCurrent && $0.condition == .ready(since: .zero) && $0.isHeld } == 3)
        }
    }

    @Test func aCanaryGoesStepByStep() {
        var bench = RolloutBench(
            wanted: 4, old: 4, policy: RolloutPolicy(strategy: .canary(steps: [0.1, 0.5], pause: .seconds(10))))
        var shares: [Double] = []
        let start = bench.now
        bench.run(seconds: 120) { bench in
            if let share = bench.share, shares.last != share {
                shares.append(share)
                #expect(bench.current == (share == 0.1 ? 1 : 2) || shares.count == 2)
                #expect(bench.replicas.count { !$0.isCurrent && $0.condition != .leaving } == 4)
            }
        }
        #expect(bench.isDone && shares == [0.1, 0.5] && bench.share == nil)
        #expect(bench.now - start >= .seconds(20))
        #expect(bench.fewest == 4)
    }

    @Test func aDaemonThatComesBackGoesOnFromWhatItFinds() {
        for interruption in 0..<40 {
            var bench = RolloutBench(wanted: 3, old: 3)
            var steps = 0
            bench.run { bench in
                steps += 1
                // All that it had in mind is gone.
                if steps == interruption { bench.rollout = Rollout(wanted: 3, policy: RolloutPolicy()) }
            }
            #expect(bench.isDone && bench.current == 3 && bench.most <= 4 && bench.fewest >= 3)
        }
    }

    @Test func aNewVersionReplacesNothingBeforeItsTrialIsOver() {
        var bench = RolloutBench(wanted: 4, old: 4, policy: RolloutPolicy(maxSurge: .count(2)))
        var shares: [Double] = []
        bench.run { bench in
            // Few calls come, so that it takes as long as it may.
            for index in bench.replicas.indices { bench.replicas[index].traffic = Traffic(requests: 1, covers: .seconds(60)) }
            if let share = bench.share, shares.last != share { shares.append(share) }
            guard bench.share != nil else { return }
            #expect(bench.replicas.count { !$0.isCurrent && $0.condition == .ready(since: .zero) } == 4)
            #expect(bench.current == 2)
        }
        #expect(bench.isDone && bench.share == nil)
        #expect(shares == [2.0 / 6])
        #expect(bench.now - Instant(nanoseconds: 1_000_000_000_000) >= .seconds(5))
        #expect(bench.rollout.uncompared == 1)
    }

    @Test func aRestartOfTheSameVersionIsNotTriedOut() {
        var bench = RolloutBench(wanted: 2, old: 2, isNewVersion: false)
        bench.run { #expect($0.share == nil && !$0.replicas.contains(where: \.isHeld)) }
        #expect(bench.isDone && bench.fewest == 2)
    }

    @Test(arguments: [
        (Traffic(requests: 100, failures: 60, covers: .seconds(9)), "60 of 100 requests failed in the new version, 0 of 400 in the old one")
    ])
    func aNewVersionThatDoesWorseEndsItWithTheOldOnesUntouched(traffic: Traffic, reason: String) {
        for strategy in [RolloutPolicy.Strategy.rolling, .canary(steps: [0.25], pause: .seconds(10))] {
            var bench = RolloutBench(wanted: 4, old: 4, policy: RolloutPolicy(strategy: strategy))
            bench.run { bench in
                guard bench.share != nil else { return }
                for index in bench.replicas.indices {
                    bench.replicas[index].traffic = bench.replicas[index].isCurrent ? traffic : Traffic(requests: 100, covers: .seconds(9))
                }
            }
            #expect(bench.abortReason == reason)
            #expect(bench.replicas.count { !$0.isCurrent && $0.condition == .ready(since: .zero) } == 4)
        }
    }

    @Test func aNewVersionThatDoesNotStayReadyEndsIt() {
        var bench = RolloutBench(wanted: 1, old: 1)
        bench.run { bench in
            for index in bench.replicas.indices where bench.replicas[index].isCurrent && bench.share != nil {
                bench.replicas[index].condition = .unready
            }
        }
        #expect(bench.abortReason == "orders-2: it was ready, and has not been for 10 s")
    }

    @Test func whereTheOldOnesDoNotServeThereIsNothingToTryOut() {
        var bench = RolloutBench(wanted: 2, old: 2, policy: RolloutPolicy(strategy: .canary(steps: [0.1], pause: .seconds(60))))
        for index in bench.replicas.indices { bench.replicas[index].condition = .failed("crash loop") }
        bench.run(seconds: 30)
        #expect(bench.isDone && bench.share == nil)
    }

    @Test func itKeepsItsBoundsWhateverHappens() {
        for seed in UInt64(0)..<300 {
            var random = RandomSource(seed: seed)
            let wanted = Int(random.next() % 6) + 1
            let surge = Int(random.next() % 3)
            let absent = Int(random.next() % 3)
            let old = Int(random.next() % 8)
            var bench = RolloutBench(
                wanted: wanted, old: old,
                policy: RolloutPolicy(maxSurge: .count(surge), maxUnavailable: .count(absent), minHealthyTime: .milliseconds(200)))
            bench.run { bench in
                guard random.next() % 20 == 0, !bench.replicas.isEmpty else { return }
                // An old one dies and comes back.
                let index = Int(random.next() % UInt64(bench.replicas.count))
                guard !bench.replicas[index].isCurrent, bench.replicas[index].condition != .leaving else { return }
                bench.replicas[index].condition = bench.replicas[index].condition == .unready ? .ready(since: bench.now) : .unready
            }
            #expect(bench.isDone && bench.current == wanted, "seed \(seed)")
            let mostAllowed = max(old, wanted + (surge == 0 && min(absent, wanted) == 0 ? 1 : surge))
            #expect(bench.most <= mostAllowed, "seed \(seed)")
        }
    }
}
