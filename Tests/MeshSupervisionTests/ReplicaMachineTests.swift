import MeshModel
import MeshSupervision
import TestSupport
import Testing

/// A machine and a clock that is moved by hand.
struct MachineBench {
    var machine: ReplicaMachine
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var wakeAt: Instant?

    init(
        probes: ProbeSet = ProbeSet(ready: .probe(Probe(.http(path: "/healthz")))), restart: RestartPolicy = RestartPolicy(),
        stopGrace: Timespan = .seconds(10), past: ReplicaMachine.Past = .init()
    ) {
        machine = ReplicaMachine(probes: probes, restart: restart, stopGrace: stopGrace, past: past)
    }

    mutating func tell(_ fact: (inout ReplicaMachine, Instant) -> ReplicaMachine.Effects) -> [ReplicaMachine.Command] {
        let effects = fact(&machine, now)
        wakeAt = effects.wakeAt
        return effects.commands
    }
    mutating func pass(_ span: Timespan) -> [ReplicaMachine.Command] {
        now = now + span
        return tell { $0.timerFired($1) }
    }
    mutating func start() -> [ReplicaMachine.Command] { tell { $0.startRequested($1) } }
    mutating func stop() -> [ReplicaMachine.Command] { tell { $0.stopRequested($1) } }
    mutating func spawn() -> [ReplicaMachine.Command] { tell { $0.spawned($1) } }
    mutating func exit(_ cause: ExitReport.Cause = .signal(9), expected: Bool = false) -> [ReplicaMachine.Command] {
        let report = report(cause, expected: expected)
        return tell { $0.exited(report, $1) }
    }
    /// To a first success of the readiness probe of run `run`.
    mutating func becomeReady(run: Int) {
        _ = start()
        _ = spawn()
        _ = tell { $0.probeSucceeded(.ready, run: run, $1) }
    }
    func report(_ cause: ExitReport.Cause, expected: Bool = false) -> ExitReport {
        ExitReport(
            instance: InstanceID(high: 1, low: 2), processID: 7, cause: cause, wasExpected: expected, endedAt: UnixTime(nanoseconds: 0),
            ran: .seconds(0.3), lastErrorLine: "bad schema v7")
    }
}

extension [ReplicaMachine.Command] {
    var starts: Int { count { $0 == .start } }
    var reports: [ReplicaMachine.Report] { compactMap { if case .report(let report) = $0 { report } else { nil } } }
    var probes: [Int] { compactMap { if case .probe(_, _, let run) = $0 { run } else { nil } } }
}

@Suite(.calculating) struct ReplicaMachineTests {
    @Test func itStartsProbesAndIsReady() {
        var bench = MachineBench()
        #expect(bench.machine.state == .stopped)
        #expect(bench.start() == [.report(.launching), .start])
        #expect(bench.machine.state == .starting)
        let commands = bench.spawn()
        #expect(commands.reports == [.running])
        #expect(commands.probes == [1])
        #expect(bench.tell { $0.probeSucceeded(.ready, run: 1, $1) }.reports == [.ready])
        #expect(bench.machine.state == .ready)
    }

    @Test func aHealthyOneThatDiesIsBackAtOnce() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        let commands = bench.exit()
        #expect(commands.starts == 1)
        #expect(bench.machine.restarts == 1)
    }

    @Test func backoffDoublesToItsCapAndIsShownAsACrashLoop() {
        var bench = MachineBench()
        _ = bench.start()
        var delays: [Int64] = []
        for _ in 0..<10 {
            _ = bench.spawn()
            #expect(bench.exit(.code(1)).starts == 0)
            delays.append((bench.wakeAt! - bench.now).milliseconds)
            #expect(bench.machine.state == (delays.count == 1 ? .starting : .crashLoop))
            #expect(bench.pass(.milliseconds(delays.last! - 1)).starts == 0)
            #expect(bench.pass(.milliseconds(1)).starts == 1)
        }
        #expect(delays == [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000])
        #expect(bench.machine.reason == "exit 1 after 0.3s: \"bad schema v7\"")
    }

    @Test func aStableRunForgetsFailures() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        for run in 2..<5 {
            _ = bench.exit()
            if let next = bench.machine.nextStart { _ = bench.pass(next - bench.now) }
            _ = bench.spawn()
            _ = bench.tell { $0.probeSucceeded(.ready, run: run, $1) }
        }
        #expect(bench.machine.failures == 3)
        _ = bench.pass(.seconds(Int64(5)))
        #expect(bench.exit().starts == 1)
        #expect(bench.machine.failures == 1)
    }

    @Test func aCleanExitIsRestartedAndIsNoCrash() {
        var bench = MachineBench()
        _ = bench.start()
        for _ in 0..<5 {
            _ = bench.spawn()
            _ = bench.exit(.code(0))
            #expect(bench.machine.state == .starting)
            #expect(bench.pass(bench.wakeAt! - bench.now).starts == 1)
        }
        #expect(bench.machine.reason == nil)
    }

    @Test func restartPoliciesHold() {
        var never = MachineBench(restart: RestartPolicy(when: .never))
        never.becomeReady(run: 1)
        #expect(never.exit().reports.last == .stopped)
        var onFailure = MachineBench(restart: RestartPolicy(when: .onFailure))
        onFailure.becomeReady(run: 1)
        #expect(onFailure.exit(.code(1)).starts == 1)
        _ = onFailure.spawn()
        #expect(onFailure.exit(.code(0)).reports.last == .stopped)
    }

    @Test func whatNeverGetsReadyIsAStartFailure() {
        var bench = MachineBench()
        _ = bench.start()
        _ = bench.spawn()
        _ = bench.tell { $0.probeFailed(.ready, run: 1, "no answer in time", $1) }
        #expect(bench.pass(.milliseconds(29_999)).reports == [])
        let commands = bench.pass(.milliseconds(1))
        #expect(commands.reports.first == .startFailed(reason: "not ready within 30.0s: GET /healthz: no answer in time"))
        #expect(commands.contains(.stop(grace: .seconds(Int64(10)))))
        #expect(bench.exit(.signal(15), expected: true).starts == 0)
        #expect(bench.machine.failures == 1)
        #expect(bench.machine.reason == "not ready within 30.0s: GET /healthz: no answer in time")
    }

    @Test func threeFailuresMakeItUnreadyAndOneSuccessReady() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        for attempt in 1...3 {
            #expect(bench.pass(.seconds(Int64(1))).probes == [1])
            let reports = bench.tell { $0.probeFailed(.ready, run: 1, "status 503", $1) }.reports
            #expect(reports == (attempt == 3 ? [.unready(reason: "status 503")] : []))
        }
        #expect(bench.machine.state == .unready)
        _ = bench.pass(.seconds(Int64(1)))
        #expect(bench.tell { $0.probeSucceeded(.ready, run: 1, $1) }.reports == [.ready])
    }

    @Test func aDeadOneIsEndedAndStartedAnew() {
        var bench = MachineBench(probes: ProbeSet(ready: .settled(after: .zero), live: Probe(.tcp, failures: 2)))
        _ = bench.start()
        _ = bench.spawn()
        #expect(bench.machine.state == .ready)
        _ = bench.pass(.seconds(Int64(1)))
        #expect(bench.tell { $0.probeFailed(.live, run: 1, "refused", $1) }.isEmpty)
        _ = bench.pass(.seconds(Int64(1)))
        let commands = bench.tell { $0.probeFailed(.live, run: 1, "refused", $1) }
        #expect(commands.contains(.stop(grace: .seconds(Int64(10)))))
        #expect(commands.reports.contains(.unready(reason: "not alive: refused")))
        #expect(bench.exit(.signal(15), expected: true).starts == 1)
    }

    @Test func startupComesBeforeReady() {
        var bench = MachineBench(
            probes: ProbeSet(startup: Probe(.exec(command: "true"), within: .seconds(Int64(60))), ready: .probe(Probe(.tcp))))
        _ = bench.start()
        let first = bench.spawn()
        #expect(first.contains(.probe(.startup, Probe(.exec(command: "true"), within: .seconds(Int64(60))), run: 1)))
        #expect(first.probes.count == 1)
        #expect(bench.pass(.seconds(Int64(40))).reports == [])
        let then = bench.tell { $0.probeSucceeded(.startup, run: 1, $1) }
        #expect(then == [.probe(.ready, Probe(.tcp), run: 1)])
        #expect(bench.tell { $0.probeSucceeded(.ready, run: 1, $1) }.reports == [.ready])
    }

    @Test func itMayReportItself() {
        var bench = MachineBench(probes: ProbeSet(ready: .reported(within: .seconds(Int64(30)))))
        _ = bench.start()
        _ = bench.spawn()
        #expect(bench.tell { $0.reported(isReady: true, $1) }.reports == [.ready])
        #expect(bench.tell { $0.reported(isReady: false, $1, why: "draining") }.reports == [.unready(reason: "draining")])
        var silent = MachineBench(probes: ProbeSet(ready: .reported(within: .seconds(Int64(30)))))
        _ = silent.start()
        _ = silent.spawn()
        #expect(
            silent.pass(.seconds(Int64(30))).reports.first == .startFailed(reason: "not ready within 30.0s: it never reported ready"))
    }

    @Test func anAnswerOfAnEarlierRunIsIgnored() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        _ = bench.pass(.seconds(Int64(1)))
        _ = bench.exit()
        _ = bench.spawn()
        #expect(bench.tell { $0.probeSucceeded(.ready, run: 1, $1) }.isEmpty)
        #expect(bench.machine.state == .starting)
    }

    @Test func aStopEndsAndStaysStopped() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        #expect(bench.stop() == [.report(.draining), .stop(grace: .seconds(Int64(10)))])
        #expect(bench.machine.state == .draining)
        #expect(bench.pass(.seconds(Int64(12))) == [.kill])
        #expect(bench.exit(expected: true).reports.last == .stopped)
        #expect(bench.wakeAt == nil)
        #expect(bench.pass(.seconds(Int64(1000))).isEmpty)
    }

    @Test func aStopWhileLaunchingWaitsForTheChild() {
        var bench = MachineBench()
        _ = bench.start()
        #expect(bench.stop().isEmpty)
        #expect(bench.spawn().contains(.stop(grace: .seconds(Int64(10)))))
        #expect(bench.exit(.signal(15), expected: true).reports.last == .stopped)
    }

    @Test func aRestartIsOneAfterTheOther() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        #expect(bench.tell { $0.restartRequested($1) }.starts == 0)
        #expect(bench.exit(.signal(15), expected: true).starts == 1)
        #expect(bench.machine.failures == 0)
    }

    @Test func aLostShimIsReplacedAndItsChildKept() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        #expect(bench.tell { $0.shimLost($1) } == [.report(.shimLost), .recoverShim])
        #expect(bench.machine.state == .ready)
        #expect(bench.tell { $0.shimNotRecovered("no memory", $1) }.isEmpty)
        #expect(bench.pass(.seconds(Int64(1))) == [.recoverShim])
        #expect(bench.tell { $0.foundAlive($1) }.starts == 0)
        #expect(bench.machine.state == .ready)
    }

    @Test func aChildThatDiedWithItsShimIsStartedAnew() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        _ = bench.tell { $0.shimLost($1) }
        let report = bench.report(.unknown)
        #expect(bench.tell { $0.foundDead(report, $1) }.starts == 1)
    }

    @Test func aStopDuringRecoveryIsKept() {
        var bench = MachineBench()
        bench.becomeReady(run: 1)
        _ = bench.tell { $0.shimLost($1) }
        _ = bench.stop()
        #expect(bench.tell { $0.foundAlive($1) }.contains(.stop(grace: .seconds(Int64(10)))))
        #expect(bench.exit(.unknown).reports.last == .stopped)
    }

    @Test func whatIsAdoptedGoesOnAsItWasSeenLast() {
        var ready = MachineBench(past: .init(restarts: 3, state: .ready))
        #expect(ready.tell { $0.foundAlive($1, wanted: true) }.reports == [.adopted])
        #expect(ready.machine.state == .ready)
        #expect(ready.machine.restarts == 3)
        // A probe that fails is believed as ever.
        var reports: [ReplicaMachine.Report] = []
        for _ in 0..<3 {
            #expect(ready.pass(.seconds(Int64(1))).probes == [1])
            reports += ready.tell { $0.probeFailed(.ready, run: 1, "no answer", $1) }.reports
        }
        #expect(reports == [.unready(reason: "no answer")])

        var unready = MachineBench(past: .init(state: .unready))
        #expect(unready.tell { $0.foundAlive($1, wanted: true) }.probes == [1], "it is asked at once")
        #expect(unready.machine.state == .unready)

        var starting = MachineBench(past: .init(state: .starting))
        _ = starting.tell { $0.foundAlive($1, wanted: true) }
        #expect(starting.machine.state == .starting)
        #expect(starting.pass(.seconds(Int64(30))).reports.contains { if case .startFailed = $0 { true } else { false } })
    }

    @Test func whatIsFoundAfterItsShimWasLostInTheStartIsNotAssumedReady() {
        var bench = MachineBench(past: .init(state: .ready))
        _ = bench.start()
        _ = bench.tell { $0.shimLost($1) }
        _ = bench.tell { $0.foundAlive($1) }
        #expect(bench.machine.state == .starting)
    }

    @Test func aSilentShimIsReplaced() {
        var bench = MachineBench()
        _ = bench.start()
        #expect(bench.pass(bench.machine.launchTimeout).contains(.replaceShim))
    }

    /// Random facts against a model of the world: whatever happens, there is one child at most, and a stopped replica stays stopped.
    @Test(arguments: 0..<200) func noSequenceOfFactsBreaksTheRules(seed: Int) {
        var random = RandomSource(seed: UInt64(seed))
        var bench = MachineBench(
            probes: ProbeSet(ready: .probe(Probe(.tcp)), live: seed % 3 == 0 ? Probe(.tcp) : nil), stopGrace: .seconds(Int64(1)))
        // The world: what the shim has been told and not answered, and whether a child lives.
        var isStarting = false
        var lives = false
        var shimIsLost = false
        var isWanted = false
        for _ in 0..<400 {
            let commands: [ReplicaMachine.Command]
            switch Int.random(in: 0..<12, using: &random) {
            case 0:
                isWanted = true
                commands = bench.start()
            case 1 where Int.random(in: 0..<4, using: &random) == 0:
                isWanted = false
                commands = bench.stop()
            case 2:
                isWanted = true
                commands = bench.tell { $0.restartRequested($1) }
            case 3 where isStarting && !shimIsLost:
                isStarting = false
                if Bool.random(using: &random) {
                    lives = true
                    commands = bench.spawn()
                } else {
                    commands = bench.tell { $0.startFailed("no", $1) }
                }
            case 4 where lives && !shimIsLost:
                lives = false
                commands = bench.exit(Bool.random(using: &random) ? .code(0) : .signal(9))
            case 5 where !shimIsLost && bench.machine.mayLive:
                shimIsLost = true
                if isStarting {
                    isStarting = false
                    lives = Bool.random(using: &random)
                }
                commands = bench.tell { $0.shimLost($1) }
            case 6 where shimIsLost:
                shimIsLost = false
                if lives && Bool.random(using: &random) { lives = false }
                commands = lives ? bench.tell { $0.foundAlive($1) } : bench.tell { $0.foundDead(nil, $1) }
            case 7: commands = bench.tell { $0.probeSucceeded(.ready, run: Int.random(in: 0..<5, using: &random), $1) }
            case 8: commands = bench.tell { $0.probeFailed(.live, run: Int.random(in: 0..<5, using: &random), "no", $1) }
            case 9: commands = bench.tell { $0.reported(isReady: Bool.random(using: &random), $1) }
            default: commands = bench.pass(.milliseconds(Int64.random(in: 0..<4000, using: &random)))
            }
            for command in commands {
                switch command {
                case .start:
                    #expect(!isStarting && !lives, "a second child")
                    #expect(isWanted, "a start after a stop")
                    isStarting = true
                case .replaceShim:
                    shimIsLost = true
                    if isStarting {
                        isStarting = false
                        lives = Bool.random(using: &random)
                    }
                case .report(.waiting(let until, _)):
                    #expect(until > bench.now && until - bench.now <= .seconds(Int64(30)))
                default: break
                }
            }
            #expect(bench.wakeAt.map { $0 > bench.now } ?? true, "a timer in the past would spin")
            if !isWanted && !bench.machine.mayLive { #expect(bench.machine.state == .stopped) }
            if lives { #expect(bench.machine.mayLive, "a child that nobody knows of") }
        }
    }
}
