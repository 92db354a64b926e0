import CMeshSystem
import Glibc
import MeshModel
import MeshSupervision
import Testing

@Suite(.serialized) struct ShimTests {
    @Test func theShimIsSmallAndKnowsNoSwift() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        let state = try await events.state()
        var sample = mesh_process_sample()
        #expect(mesh_process_sample(state.processID, &sample) == 0)
        #expect(sample.resident_bytes < 1 << 20)
        let mapped = String(decoding: readAll("/proc/\(state.processID)/maps"), as: UTF8.self)
        #expect(!mapped.contains("libswift"))
        #expect(state.startTime == ProcessHandle.startTime(of: state.processID))
        client.send(.exit)
        _ = try await events.first { $0 == .left }
        await client.end(by: SystemClock.now() + .seconds(5))
        #expect(!Files.exists(slot.folder.shimSocket))
        #expect(!Files.exists(slot.folder.standardOutput))
    }

    @Test func anExitIsToldAndRecorded() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        let instance = try slot.specification(["sh", "-c", "echo hello; echo 'bad schema v7' >&2; exit 3"])
        client.send(.start)
        let started = try await events.started()
        let report = try await events.exited()
        #expect(report.instance == instance)
        #expect(report.cause == .code(3))
        #expect(report.processID == started.processID)
        #expect(report.lastErrorLine == "bad schema v7")
        #expect(report.peakResidentBytes > 0)
        #expect(!report.isClean)
        #expect(report.description.hasPrefix("exit 3 after 0."))
        let record = ShimRecord.read(slot.folder)
        #expect(record.exits == [report])
        #expect(record.starts.map(\.startTime) == [started.startTime])
        #expect(record.unfinished == nil)
        #expect(slot.log.contains(" \(instance) out hello\n"))
        #expect(slot.log.contains(" \(instance) err bad schema v7\n"))
    }

    /// The last of many lines of a backtrace says nothing; what came before them does, or how they begin.
    @Test(arguments: [
        ("Shop/Stock.swift:7: Fatal error: Index out of range", "Shop/Stock.swift:7: Fatal error: Index out of range"),
        ("info: ready", "*** Program crashed: Illegal instruction at 0x01 ***"),
    ])
    func aBacktraceIsNotTheReason(said: String, expected: String) async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        let backtrace =
            "\\n*** Signal 4: Backtracing from 0x01... done ***\\n\\n*** Program crashed: Illegal instruction at 0x01 ***\\n\\n0  0x01\\n"
        _ = try slot.specification(["sh", "-c", "printf '\(said)\\n\(backtrace)\\nBacktrace took 0.01s\\n' >&2; exit 1"])
        client.send(.start)
        _ = try await events.started()
        #expect(try await events.exited().lastErrorLine == expected)
        _ = try slot.specification(["sh", "-c", "echo next >&2; exit 1"])
        client.send(.start)
        _ = try await events.started()
        #expect(try await events.exited().lastErrorLine == "next", "every incarnation begins anew")
    }

    @Test func aSignalledEndIsTold() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification(["sleep", "1000"])
        client.send(.start)
        _ = try await events.started()
        client.send(.signal(SIGSEGV))
        let report = try await events.exited()
        #expect(report.cause == .signal(SIGSEGV))
        #expect(!report.wasExpected)
    }

    @Test func whatCannotBeRunIsSaid() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        let instance = try slot.specification(["/no/such program"])
        client.send(.start)
        let event = try await events.first { if case .startFailed = $0 { true } else { false } }
        #expect(event == .startFailed(instance: instance, stage: .exec, code: ENOENT))
        #expect(ShimRecord.read(slot.folder).exits.map(\.cause) == [.notExecuted(ENOENT)])
    }

    @Test func aSecondStartIsRefusedWhileOneLives() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification(["sleep", "1000"])
        client.send(.start)
        _ = try await events.started()
        client.send(.start)
        _ = try await events.first { $0 == .startFailed(instance: nil, stage: .busy, code: EBUSY) }
        client.send(.exit)
        _ = try await events.first { $0 == .refused(command: "exit", code: EBUSY) }
        #expect(slot.processes.count == 1)
    }

    @Test func stopTermsThenKills() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification(["sh", "-c", "trap 'echo no' TERM; echo up; while :; do sleep 0.05; done"])
        client.send(.start)
        _ = try await events.started()
        await eventually("the service is up") { slot.log.contains("out up") }
        client.send(.stop(grace: .milliseconds(200)))
        let report = try await events.exited()
        #expect(report.cause == .signal(SIGKILL))
        #expect(report.wasExpected)
        #expect(slot.log.contains("out no"))
    }

    @Test func grandchildrenEndWithTheirService() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        // One in the group, one that left group and session, one that was orphaned before.
        _ = try slot.specification([
            "sh", "-c", "sleep 1001 & setsid sleep 1002 & (setsid sleep 1003 &) ; echo up; read x < stays",
        ])
        #expect(mkfifo(slot.root + "/stays", 0o600) == 0)
        client.send(.start)
        let started = try await events.started()
        await eventually("all run") { slot.log.contains("out up") && slot.processes.count == 4 }
        kill(started.processID, SIGKILL)
        _ = try await events.exited()
        _ = try await events.first { if case .swept = $0 { true } else { false } }
        #expect(slot.processes == [])
    }

    @Test func theServiceGetsItsDescriptorsAndACleanSlate() async throws {
        let slot = try TestSlot(stateFolder: "a folder with spaces")
        let client = try slot.launchListening()
        var events = EventReader(client)
        _ = try slot.specification([TestSlot.service, "inspect"])
        client.send(.start)
        _ = try await events.exited()
        let lines = slot.log.split(separator: "\n").compactMap { $0.split(separator: " ", maxSplits: 3).last.map(String.init) }
        #expect(
            lines == [
                "descriptors 0 1 2 3", "pid_is_mine 1", "fds 1", "names http", "term_blocked 0", "pipe_ignored 0", "group_is_mine 1",
            ])
    }

    @Test func aHeldListenerLosesNoQueuedConnection() async throws {
        let slot = try TestSlot()
        let client = try slot.launchListening()
        let address = SocketAddress.unix(path: slot.folder.serviceSocket)
        var events = EventReader(client)
        _ = try slot.specification([TestSlot.service, "serve"])
        client.send(.start)
        let first = try await events.started()
        #expect(await ask(address)?.hasSuffix("\(first.processID)") == true)
        client.send(.signal(SIGKILL))
        _ = try await events.exited()
        // Nobody accepts now; the connection waits.
        let waiting = try #require(beginAsking(address))
        _ = try slot.specification([TestSlot.service, "serve"])
        client.send(.start)
        let second = try await events.started()
        #expect(second.processID != first.processID)
        #expect(await finishAsking(waiting)?.hasSuffix("\(second.processID)") == true)
    }

    @Test func aClosedListenerRefusesAtOnceAndComesBack() async throws {
        let slot = try TestSlot()
        let client = try slot.launchListening()
        let address = SocketAddress.unix(path: slot.folder.serviceSocket)
        var events = EventReader(client)
        _ = try slot.specification([TestSlot.service, "deaf"], onExit: .close)
        client.send(.start)
        _ = try await events.started()
        let waiting = try #require(beginAsking(address))
        client.send(.signal(SIGKILL))
        _ = try await events.exited()
        #expect(await finishAsking(waiting) == nil)
        #expect(await ask(address) == nil)
        _ = try slot.specification([TestSlot.service, "serve"], onExit: .close)
        client.send(.start)
        let started = try await events.started()
        #expect(await ask(address)?.hasSuffix("\(started.processID)") == true)
    }

    @Test func aClosedPortIsTheSamePortAgain() async throws {
        let slot = try TestSlot()
        let socket = try ListeningSocket.bind(.tcp(host: "127.0.0.1", port: 0))
        let address = socket.address
        let client = try slot.launch(listeners: [("http", address, socket)])
        var events = EventReader(client)
        for _ in 0..<2 {
            _ = try slot.specification([TestSlot.service, "serve"], onExit: .close)
            client.send(.start)
            let started = try await events.started()
            #expect(await ask(address)?.hasSuffix("\(started.processID)") == true)
            client.send(.signal(SIGKILL))
            _ = try await events.exited()
        }
    }

    @Test func aDaemonThatComesBackLearnsWhatHappened() async throws {
        let slot = try TestSlot()
        var running: Int32 = 0
        var instance: InstanceID?
        do {
            let client = try slot.launch()
            var events = EventReader(client)
            instance = try slot.specification(["sh", "-c", "read x < gate; echo because >&2; exit 7"])
            #expect(mkfifo(slot.root + "/gate", 0o600) == 0)
            client.send(.start)
            running = try await events.started().processID
            client.disconnect()
            _ = try await events.first { $0 == .lost }
        }
        do {
            let client = try ShimClient.connect(slot.folder)
            var events = EventReader(client)
            let state = try await events.state()
            #expect(state.phase == .running)
            #expect(state.childProcessID == running)
            #expect(state.instance == instance)
            client.disconnect()
            _ = try await events.first { $0 == .lost }
        }
        let gate = open(slot.root + "/gate", O_WRONLY)
        write(gate, "x\n", 2)
        close(gate)
        await eventually("the exit is recorded") { ShimRecord.read(slot.folder).exits.count == 1 }
        let client = try ShimClient.connect(slot.folder)
        var events = EventReader(client)
        #expect(try await events.state().childProcessID == 0)
        let exit = try #require(ShimRecord.read(slot.folder).exits.last)
        #expect(exit.cause == .code(7))
        #expect(exit.lastErrorLine == "because")
    }

    @Test func aLostShimsServiceIsTakenOverAndNeverDoubled() async throws {
        let slot = try TestSlot()
        let client = try slot.launchListening()
        let address = SocketAddress.unix(path: slot.folder.serviceSocket)
        var events = EventReader(client)
        let shim = try await events.state().processID
        let instance = try slot.specification([TestSlot.service, "serve"])
        client.send(.start)
        let service = try await events.started().processID
        kill(shim, SIGKILL)
        _ = try await events.first { $0 == .lost }
        await client.end(by: SystemClock.now() + .seconds(5))
        #expect(kill(service, 0) == 0)
        #expect(await ask(address)?.hasSuffix("\(service)") == true)
        #expect(ShimRecord.read(slot.folder).unfinished?.instance == instance)

        let second = try slot.launch(listeners: [("http", address, nil)])
        var secondEvents = EventReader(second)
        let state = try await secondEvents.state()
        #expect(state.isAdopted)
        #expect(state.childProcessID == service)
        #expect(state.instance == instance)
        // A third finds the slot taken.
        let third = try slot.launch()
        var thirdEvents = EventReader(third)
        _ = try await thirdEvents.first { $0 == .failed(stage: "lock", code: EWOULDBLOCK) }
        second.send(.start)
        _ = try await secondEvents.first { $0 == .startFailed(instance: nil, stage: .busy, code: EBUSY) }
        #expect(slot.processes == [service])

        second.send(.signal(SIGKILL))
        let report = try await secondEvents.exited()
        #expect(report.cause == .unknown)
        _ = try slot.specification([TestSlot.service, "serve"])
        second.send(.start)
        let next = try await secondEvents.started().processID
        #expect(await ask(address)?.hasSuffix("\(next)") == true)
        #expect(slot.processes == [next])
    }

    @Test func aServiceThatDiedWithItsShimIsSaidToBeUnknown() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        let shim = try await events.state().processID
        let instance = try slot.specification(["sh", "-c", "setsid sleep 1000 & sleep 1000"])
        client.send(.start)
        let service = try await events.started().processID
        await eventually("both run") { slot.processes.count == 3 }
        kill(shim, SIGKILL)
        _ = try await events.first { $0 == .lost }
        kill(service, SIGKILL)
        await eventually("it is gone") { ProcessHandle.startTime(of: service) == nil }
        let second = try slot.launch()
        var secondEvents = EventReader(second)
        _ = try await secondEvents.state()
        await eventually("what it left is ended") { slot.processes == [] }
        let exits = ShimRecord.read(slot.folder).exits
        #expect(exits.map(\.instance) == [instance])
        #expect(exits.map(\.cause) == [.unknown])
    }

    @Test func outputSurvivesItsReader() async throws {
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        let shim = try await events.state().processID
        _ = try slot.specification([
            "sh", "-c", "n=0; while [ $n -lt 400 ]; do echo line $n; n=$((n+1)); sleep 0.002; done; echo done; sleep 1000",
        ])
        client.send(.start)
        _ = try await events.started()
        await eventually("it writes") { slot.log.contains("line 10\n") }
        kill(shim, SIGKILL)
        _ = try await events.first { $0 == .lost }
        await client.end(by: SystemClock.now() + .seconds(5))
        let second = try slot.launch()
        var secondEvents = EventReader(second)
        _ = try await secondEvents.state()
        await eventually("it goes on") { slot.log.contains("out done\n") }
        let lines = slot.log.split(separator: "\n").filter { $0.contains(" out line ") }
        // What the lost shim had read and not yet written is the most that can be missing.
        #expect(lines.count >= 395)
    }

    @Test func aFullDiskDropsAndCountsAndNeverBlocks() async throws {
        let slot = try TestSlot()
        #expect(symlink("/dev/full", slot.folder.log) == 0)
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification([
            "sh", "-c", "n=0; while [ $n -lt 3000 ]; do echo 0123456789012345678901234567890123456789; n=$((n+1)); done",
        ])
        client.send(.start)
        #expect(try await events.exited().cause == .code(0))
        client.send(.describe)
        #expect(try await events.state().logLinesDropped == 3000)
    }

    @Test func aDeepStateFolderWorks() async throws {
        let deep = (0..<8).map { _ in "a folder of twenty-nine bytes" }.joined(separator: "/")
        let slot = try TestSlot(stateFolder: deep)
        #expect(slot.folder.path.utf8.count > 200)
        let client = try slot.launchListening()
        var events = EventReader(client)
        _ = try slot.specification([TestSlot.service, "serve"])
        client.send(.start)
        let started = try await events.started()
        #expect(await ask(.unix(path: slot.folder.serviceSocket))?.hasSuffix("\(started.processID)") == true)
    }

    @Test func aTerminatedShimStopsItsServiceAndLeavesNothing() async throws {
        let slot = try TestSlot()
        let client = try slot.launchListening()
        var events = EventReader(client)
        let shim = try await events.state().processID
        _ = try slot.specification([TestSlot.service, "serve"])
        client.send(.start)
        _ = try await events.started()
        kill(shim, SIGTERM)
        let report = try await events.exited()
        #expect(report.wasExpected)
        _ = try await events.first { $0 == .left }
        await client.end(by: SystemClock.now() + .seconds(5))
        #expect(slot.processes == [])
        #expect(Files.names(in: slot.folder.runtimeFolder) == [])
    }
}

/// Files of /proc tell no size.
func readAll(_ path: String) -> [UInt8] {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = read(file, &buffer, buffer.count)
        if count <= 0 { return bytes }
        bytes += buffer[..<count]
    }
}
