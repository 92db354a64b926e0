import Glibc
import MeshModel
import MeshSupervision
import Testing

/// A supervisor in folders of its own.
struct SupervisorBench {
    let slot: TestSlot
    let supervisor: Supervisor

    init(_ slot: TestSlot? = nil, groups: Supervisor.Configuration.Groups = .init()) throws {
        self.slot = try slot ?? TestSlot(replica: "unused")
        let state = self.slot.folder.path.replacing("/instances/unused", with: "")
        supervisor = Supervisor(
            .init(
                stateFolder: state, runtimeFolder: self.slot.folder.runtimeFolder, shimExecutable: TestSlot.shim,
                // Also where a sanitizer and a build take their part of two cores.
                answerTimeout: .seconds(30), groups: groups))
    }

    /// The same folders under a new daemon.
    func successor() throws -> SupervisorBench { try SupervisorBench(slot, groups: supervisor.configuration.groups) }

    func folder(_ replica: String) -> InstanceFolder {
        InstanceFolder(stateFolder: supervisor.configuration.stateFolder, runtimeFolder: slot.folder.runtimeFolder, replica: replica)
    }

    func spec(
        _ replica: String = "echo-1", service: String = "echo", _ arguments: [String] = [TestSlot.service, "serve"],
        listens: SocketAddress? = nil,
        probes: ProbeSet = ProbeSet(ready: .probe(Probe(.http(path: "/healthz"), timeout: .seconds(10), within: .seconds(60)))),
        onExit: IncarnationSpecification.ListenersOnExit = .hold, restart: RestartPolicy = RestartPolicy()
    ) -> ReplicaSpec {
        ReplicaSpec(
            service: service, tier: "enterprise", replica: replica, arguments: arguments, workingFolder: slot.root,
            environment: ["PATH": "/usr/bin:/bin", "MESH_TEST_ROOT": slot.root],
            listen: [.init(name: "http", address: listens ?? .unix(path: folder(replica).serviceSocket))], listenersOnExit: onExit,
            probes: probes, restart: restart, stopGrace: .seconds(Int64(2)))
    }

    func ready(_ replica: String = "echo-1") async throws -> ReplicaSnapshot {
        await eventually("\(replica) is ready") { await supervisor.snapshot(of: replica)?.state == .ready }
        return try #require(await supervisor.snapshot(of: replica))
    }

    func shim(_ replica: String) -> Int32? { ShimRecord.read(folder(replica)).shim?.processID }

    func expectNothingLeft() async {
        #expect(slot.processes == [])
        #expect(Files.names(in: slot.folder.runtimeFolder) == [])
    }
}

/// One after the other: each of them starts, kills and awaits real processes, and so many at once would only wait for each other.
@Suite(.serialized) struct SupervisorTests {
    @Test func aPeerMoreOrLessIsNoReasonToRestart() throws {
        let bench = try SupervisorBench()
        let alone = bench.spec(onExit: .hold)
        #expect(alone.mayGoOn(as: bench.spec(onExit: .close)))
        #expect(!alone.mayGoOn(as: bench.spec("echo-1", [TestSlot.service, "other"])))
    }

    @Test func itStartsServesAndLeavesNothing() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        let settled = await bench.supervisor.settled(["echo-1"])
        #expect(settled.map(\.state) == [.ready])
        let replica = try #require(settled.first)
        #expect(await ask(replica.addresses[0])?.hasSuffix("\(replica.processID ?? 0)") == true)
        #expect(replica.restarts == 0)
        #expect(replica.startedAt != nil)
        #expect(await bench.supervisor.usage()["echo-1"]?.last?.residentBytes ?? 0 > 0)
        await bench.supervisor.stopAll(order: [["echo"]])
        await bench.expectNothingLeft()
        #expect(await bench.supervisor.snapshot() == [])
    }

    @Test func aKilledReplicaIsBackAtOnceAndNoConnectionIsLost() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        var replica = try await bench.ready()
        for round in 1...3 {
            let before = try #require(replica.processID)
            kill(before, SIGKILL)
            let waiting = try #require(beginAsking(replica.addresses[0]))
            let answer = await finishAsking(waiting)
            #expect(answer?.hasSuffix("\(before)") == false)
            await eventually("it is ready again") {
                guard let now = await bench.supervisor.snapshot(of: "echo-1") else { return false }
                return now.state == .ready && now.processID != before && now.restarts == round
            }
            replica = try await bench.ready()
            #expect(replica.lastExit?.cause == .signal(SIGKILL))
        }
        await bench.supervisor.stopAll(order: [])
        await bench.expectNothingLeft()
    }

    @Test func aCrashLoopIsShownWithItsReason() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec("crash-1", ["sh", "-c", "echo 'bad schema v7' >&2; exit 1"]))
        let settled = await bench.supervisor.settled(["crash-1"])
        let replica = try #require(settled.first)
        #expect(replica.state == .crashLoop)
        #expect(replica.lastErrorLine == "bad schema v7")
        #expect(replica.reason?.hasPrefix("exit 1 after 0.") == true)
        #expect(replica.nextRestartIn.map { $0 > .zero } == true)
        await bench.supervisor.stopAll(order: [])
        await bench.expectNothingLeft()
    }

    @Test func aMissingExecutableIsSaidAtOnce() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec("none-1", ["/no/such/program"]))
        let settled = await bench.supervisor.settled(["none-1"])
        #expect(settled.first?.reason?.contains("cannot run /no/such/program") == true)
        await bench.supervisor.stopAll(order: [])
    }

    @Test func whatNeverGetsReadyIsSaid() async throws {
        let bench = try SupervisorBench()
        let probe = Probe(.http(path: "/healthz"), timeout: .milliseconds(50), within: .milliseconds(300))
        try await bench.supervisor.start(bench.spec("deaf-1", [TestSlot.service, "deaf"], probes: ProbeSet(ready: .probe(probe))))
        let settled = await bench.supervisor.settled(["deaf-1"])
        #expect(settled.first?.reason == "not ready within 0.3s: GET /healthz: no answer in time")
        await bench.supervisor.stopAll(order: [])
        await bench.expectNothingLeft()
    }

    @Test func aPortInUseIsAnErrorOfTheStart() async throws {
        let bench = try SupervisorBench()
        let taken = try ListeningSocket.bind(.tcp(host: "127.0.0.1", port: 0))
        await #expect(throws: StartError.self) { try await bench.supervisor.start(bench.spec(listens: taken.address)) }
        #expect(bench.slot.processes == [])
    }

    @Test func aNewDaemonFindsWhatLivesAndWhatDied() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        try await bench.supervisor.start(bench.spec("echo-2"))
        var first = try await bench.ready("echo-1")
        let second = try await bench.ready("echo-2")
        // What happened to it before stays known.
        kill(try #require(first.processID), SIGKILL)
        await eventually("it is back") {
            await bench.supervisor.snapshot(of: "echo-1").map { $0.state == .ready && $0.restarts == 1 } ?? false
        }
        first = try await bench.ready("echo-1")
        await bench.supervisor.detach()
        kill(try #require(second.processID), SIGTERM)
        await eventually("its exit is recorded") { !ShimRecord.read(bench.folder("echo-2")).exits.isEmpty }

        let next = try bench.successor()
        let adoptions = await next.supervisor.adopt(startsDead: true)
        #expect(adoptions.map(\.replica) == ["echo-1", "echo-2"])
        #expect(adoptions.map(\.isLost) == [false, true])
        #expect(adoptions.map(\.exit?.cause) == [nil, .signal(SIGTERM)], "the end of an incarnation that has a successor is no news")
        #expect(adoptions.first?.snapshot?.state == .ready, "before it was asked anything")
        #expect(adoptions.first?.snapshot?.restarts == 1)
        let adopted = try await next.ready("echo-1")
        #expect(adopted.processID == first.processID)
        #expect(adopted.instance == first.instance)
        #expect(adopted.addresses == first.addresses)
        let restarted = try await next.ready("echo-2")
        #expect(restarted.processID != second.processID)
        // The same specification again changes nothing.
        try await next.supervisor.start(bench.spec())
        #expect(await next.supervisor.snapshot(of: "echo-1")?.processID == first.processID)
        #expect(await next.supervisor.snapshot(of: "echo-1")?.isOutdated == false)
        await next.supervisor.stopAll(order: [["echo"]])
        await next.expectNothingLeft()
    }

    @Test func aDaemonThatOnlyStopsStartsNothing() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        let replica = try await bench.ready()
        await bench.supervisor.detach()
        kill(try #require(replica.processID), SIGKILL)
        await eventually("its exit is recorded") { !ShimRecord.read(bench.folder("echo-1")).exits.isEmpty }
        let next = try bench.successor()
        let adoption = try #require(await next.supervisor.adopt(startsDead: false).first)
        #expect(adoption.snapshot?.state == .stopped)
        #expect(adoption.snapshot?.lastExit?.cause == .signal(SIGKILL), "how it ended is known")
        await next.supervisor.stopAll(order: [])
        await next.expectNothingLeft()
        #expect(ShimRecord.read(bench.folder("echo-1")).starts.count == 1)
    }

    @Test func aKilledShimIsReplacedAndItsServiceKept() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        let before = try await bench.ready()
        let shim = try #require(before.shimProcessID)
        kill(shim, SIGKILL)
        await eventually("another shim") {
            guard let now = await bench.supervisor.snapshot(of: "echo-1")?.shimProcessID else { return false }
            return now != shim
        }
        let after = try await bench.ready()
        #expect(after.processID == before.processID)
        #expect(bench.slot.services == [before.processID].compactMap { $0 })
        // Now without a child of its own it is still in charge.
        kill(try #require(after.processID), SIGKILL)
        await eventually("it is back") {
            await bench.supervisor.snapshot(of: "echo-1").map { $0.state == .ready && $0.restarts == 1 } ?? false
        }
        #expect(await bench.supervisor.snapshot(of: "echo-1")?.lastExit?.cause == .unknown)
        #expect(bench.slot.services.count == 1)
        await bench.supervisor.stopAll(order: [])
        await bench.expectNothingLeft()
    }

    @Test func everythingKilledAtOnceComesBackOnce() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        let before = try await bench.ready()
        let (shim, process) = (try #require(before.shimProcessID), try #require(before.processID))
        kill(shim, SIGKILL)
        kill(process, SIGKILL)
        await eventually("it is back") {
            guard let now = await bench.supervisor.snapshot(of: "echo-1") else { return false }
            return now.state == .ready && now.processID != process
        }
        #expect(bench.slot.services.count == 1)
        await bench.supervisor.stopAll(order: [])
        await bench.expectNothingLeft()
    }

    @Test func shimsKilledWhileNoDaemonLookedAreNoObstacle() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        try await bench.supervisor.start(bench.spec("echo-2"))
        let first = try await bench.ready("echo-1")
        let second = try await bench.ready("echo-2")
        await bench.supervisor.detach()
        // One keeps its service; of the other, both go.
        kill(try #require(first.shimProcessID), SIGKILL)
        kill(try #require(second.shimProcessID), SIGKILL)
        kill(try #require(second.processID), SIGKILL)
        await eventually("both are gone") {
            ProcessHandle.startTime(of: second.processID!) == nil && ProcessHandle.startTime(of: first.shimProcessID!) == nil
                && ProcessHandle.startTime(of: second.shimProcessID!) == nil
        }
        let next = try bench.successor()
        let adoptions = await next.supervisor.adopt(startsDead: true)
        #expect(adoptions.map(\.problem) == [nil, nil])
        #expect(adoptions.last?.exit?.cause == .unknown)
        #expect(try await next.ready("echo-1").processID == first.processID)
        #expect(try await next.ready("echo-2").processID != second.processID)
        #expect(bench.slot.services.count == 2)
        await next.supervisor.stopAll(order: [["echo"]])
        await next.expectNothingLeft()
    }

    @Test func aRestartTakesTheNewSpecification() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        let before = try await bench.ready()
        var spec = bench.spec(listens: .tcp(host: "127.0.0.1", port: 0))
        spec.version = "2"
        try await bench.supervisor.start(spec)
        #expect(await bench.supervisor.snapshot(of: "echo-1")?.isOutdated == true)
        #expect(await bench.supervisor.snapshot(of: "echo-1")?.processID == before.processID)
        await bench.supervisor.restart("echo-1")
        await eventually("the new one") {
            await bench.supervisor.snapshot(of: "echo-1").map { $0.state == .ready && $0.version == "2" } ?? false
        }
        let after = try await bench.ready()
        #expect(after.addresses.first?.description.hasPrefix("127.0.0.1:") == true)
        #expect(await ask(after.addresses[0])?.hasSuffix("\(after.processID ?? 0)") == true)
        await bench.supervisor.stopAll(order: [])
        await bench.expectNothingLeft()
    }

    @Test func aStoppedReplicaStartsAgain() async throws {
        let bench = try SupervisorBench()
        try await bench.supervisor.start(bench.spec())
        let before = try await bench.ready()
        await bench.supervisor.stop("echo-1")
        await eventually("it is stopped") { await bench.supervisor.snapshot(of: "echo-1")?.state == .stopped }
        #expect(bench.slot.services == [])
        try await bench.supervisor.start(bench.spec())
        #expect(try await bench.ready().processID != before.processID)
        await bench.supervisor.remove("echo-1")
        await bench.expectNothingLeft()
    }

    @Test func callersAreStoppedFirst() async throws {
        let bench = try SupervisorBench()
        for service in ["c", "a", "b"] { try await bench.supervisor.start(bench.spec("\(service)-1", service: service)) }
        _ = await bench.supervisor.settled(["a-1", "b-1", "c-1"])
        let (gone, continuation) = AsyncStream<String>.makeStream()
        await bench.supervisor.stopAll(order: [["a"], ["b"], ["c"]]) { continuation.yield($0) }
        continuation.finish()
        var order: [String] = []
        for await replica in gone { order.append(replica) }
        #expect(order == ["a-1", "b-1", "c-1"])
        await bench.expectNothingLeft()
    }

    @Test func execAndLogProbesAreAsked() async throws {
        let bench = try SupervisorBench()
        let script = "echo listening on port 17; : > \"$MESH_TEST_ROOT/mark\"; read x < \"$MESH_TEST_ROOT/stays\""
        #expect(mkfifo(bench.slot.root + "/stays", 0o600) == 0)
        try await bench.supervisor.start(
            bench.spec("log-1", ["sh", "-c", script], probes: ProbeSet(ready: .probe(Probe(.log(pattern: "listening on port [0-9]+"))))))
        try await bench.supervisor.start(
            bench.spec("exec-1", ["sh", "-c", script], probes: ProbeSet(ready: .probe(Probe(.exec(command: "test -e mark"))))))
        _ = try await bench.ready("log-1")
        _ = try await bench.ready("exec-1")
        await bench.supervisor.stopAll(order: [])
        await bench.expectNothingLeft()
    }

    @Test func elevenAreReadySoon() async throws {
        let bench = try SupervisorBench()
        let begin = SystemClock.now()
        let names = (1...11).map { "echo-\($0)" }
        for name in names { try await bench.supervisor.start(bench.spec(name, [TestSlot.service, "serve", "50"])) }
        let settled = await bench.supervisor.settled(names)
        #expect(settled.allSatisfy { $0.state == .ready })
        // 0.1 s where nothing else runs; the bound is for a machine that builds besides.
        #expect(SystemClock.now() - begin < .seconds(Int64(15)))
        await bench.supervisor.stopAll(order: [["echo"]])
        await bench.expectNothingLeft()
    }
}

extension SupervisorTests {
    @Test func aSecondWishToStopDoesNotWaitForTheGrace() async throws {
        let bench = try SupervisorBench()
        var spec = bench.spec("stubborn-1", ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"])
        spec.probes = ProbeSet(ready: .probe(Probe(.log(pattern: "up"))))
        spec.stopGrace = .seconds(Int64(600))
        try await bench.supervisor.start(spec)
        _ = try await bench.ready("stubborn-1")
        let supervisor = bench.supervisor
        let patient = Task { await supervisor.stopAll(order: []) }
        await eventually("it drains") { await supervisor.snapshot(of: "stubborn-1")?.state == .draining }
        await supervisor.stopAll(order: [], atOnce: true)
        await patient.value
        await bench.expectNothingLeft()
    }
}
