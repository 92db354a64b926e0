import Foundation
import MeshLimits
import MeshModel
import MeshSupervision
import Testing

/// A group of the kernel's own for these tests, where they may make one.
enum RealGroups {
    static let name = "mesh-test-\(getpid())"
    private static let decision = Result { () throws(ControlGroupObstacle) in
        try ControlGroupDivision(of: ControlGroupSurvey.host(), name: name, own: [])
    }
    static var isThere: Bool { (try? decision.get()) != nil }
    static var obstacle: String { if case .failure(let obstacle) = decision { "\(obstacle)" } else { "" } }
    static func establish() throws -> ControlGroupDivision { try decision.get().established() }
    static func path(of process: Int32) -> String { String(decoding: readAll("/proc/\(process)/cgroup"), as: UTF8.self) }
}

/// A shim and the control group of its service: on a folder that stands for one, and on the kernel's where there is one to be had.
@Suite(.serialized) struct ControlGroupTests {
    /// What the kernel makes with a group, as plain files.
    private func fakeGroup(_ slot: TestSlot, _ files: [String: String] = ["cgroup.procs": "", "cgroup.kill": ""]) throws -> String {
        let path = slot.root + "/group"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)")) }
        return path
    }

    private func text(_ path: String) -> String { String(decoding: readAll(path), as: UTF8.self) }

    @Test func theServiceIsInItsGroupAndTheShimIsNot() async throws {
        let slot = try TestSlot()
        let group = try fakeGroup(slot)
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification(
            [TestSlot.service, "hog", "48"], limits: ProcessLimits(memoryBytes: 24 << 20),
            group: .init(path: group, controllers: .memory))
        client.send(.start)
        let service = try await events.started().processID
        #expect(text(group + "/cgroup.procs") == "\(service)")
        await eventually("what the group bounds is not looked at") { slot.log.contains("out took 1") }
        client.send(.describe)
        #expect(try await events.state().group == .memory)

        client.send(.stop(grace: .zero))
        #expect(try await events.exited().memory == nil)
        _ = try await events.first { if case .swept = $0 { true } else { false } }
        #expect(text(group + "/cgroup.kill") == "1", "all of it is ended at once")
        client.send(.describe)
        #expect(try await events.state().group == nil)
    }

    @Test(arguments: [(1, "limit"), (0, "machine")]) func theKernelsKillIsNamedAsSuch(reached: Int, by: String) async throws {
        let slot = try TestSlot()
        let group = try fakeGroup(slot)
        let client = try slot.launch()
        var events = EventReader(client)
        let limit = Int64(24 << 20)
        _ = try slot.specification(
            [TestSlot.service, "deaf"], limits: ProcessLimits(memoryBytes: limit), group: .init(path: group, controllers: .all))
        client.send(.start)
        let service = try await events.started().processID
        _ = try fakeGroup(
            slot, ["memory.events": "low 0\nhigh 0\nmax 9\noom \(reached)\noom_kill 1\noom_group_kill 1\n", "memory.peak": "\(limit)\n"])
        kill(service, SIGKILL)
        let report = try await events.exited()
        if by == "limit" {
            #expect(report.memory == .limit(used: limit, allowed: limit))
            #expect(report.description.hasPrefix("killed out of memory: it needed more than limits.memory, which is 24M (SIGKILL) after "))
            #expect(slot.log.contains("shim killed out of memory: it needed more than limits.memory, which is 24 MB\n"))
        } else {
            #expect(report.memory == .machine)
        }
        #expect(ShimRecord.read(slot.folder).exits == [report])
    }

    @Test func aKillOfSomebodyElseIsNotOutOfMemory() async throws {
        let slot = try TestSlot()
        let group = try fakeGroup(slot, ["cgroup.procs": "", "memory.events": "oom 0\noom_kill 0\n"])
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification([TestSlot.service, "deaf"], group: .init(path: group, controllers: .memory))
        client.send(.start)
        kill(try await events.started().processID, SIGKILL)
        #expect(try await events.exited().memory == nil)
    }

    @Test func whoCannotEnterItsGroupIsLookedAfterWithout() async throws {
        let slot = try TestSlot()
        let group = try fakeGroup(slot, [:])
        let client = try slot.launch()
        var events = EventReader(client)
        _ = try slot.specification(
            [TestSlot.service, "hog", "48"], limits: ProcessLimits(memoryBytes: 24 << 20),
            group: .init(path: group, controllers: .memory))
        client.send(.start)
        _ = try await events.started()
        guard case .limit(let used, let allowed)? = try await events.exited().memory else { throw EventReader.Missing(what: "why") }
        #expect(used > allowed)
        #expect(slot.log.contains("shim runs without a control group, which it could not enter: No such file or directory\n"))
        #expect(!Files.exists(group))
    }

    @Test func aNewShimTakesTheGroupOver() async throws {
        let slot = try TestSlot()
        let group = try fakeGroup(slot)
        var events = EventReader(try slot.launch())
        let first = try await events.state().processID
        _ = try slot.specification([TestSlot.service, "deaf"], group: .init(path: group, controllers: .cpu))
        let client = try ShimClient.connect(slot.folder)
        client.send(.start)
        _ = try await events.started()
        kill(first, SIGKILL)
        _ = try await events.first { $0 == .lost }
        let second = try slot.launch()
        var after = EventReader(second)
        let state = try await after.state()
        #expect(state.isAdopted && state.group == .cpu)
        second.send(.stop(grace: .zero))
        _ = try await after.first { if case .swept = $0 { true } else { false } }
        #expect(text(group + "/cgroup.kill") == "1")
    }

    // MARK: With the kernel

    @Test(.enabled(if: RealGroups.isThere, "no control group is delegated to these tests: \(RealGroups.obstacle)"))
    func whatLeavesItsProcessGroupDoesNotLeaveItsControlGroup() async throws {
        let division = try RealGroups.establish()
        defer { division.dissolve() }
        let slot = try TestSlot()
        let client = try slot.launch()
        var events = EventReader(client)
        let shim = try await events.state().processID
        let group = division.group(replica: "echo-1", instance: "1")
        try division.makeGroup(group, for: ProcessLimits())
        _ = try slot.specification(
            ["sh", "-c", "cat /proc/self/cgroup; setsid sleep 1000 & setsid sleep 1000 & exec sleep 1000"],
            group: .init(path: group, controllers: division.controllers))
        client.send(.start)
        let service = try await events.started().processID
        await eventually("all of it is in its group") { text(group + "/cgroup.procs").split(separator: "\n").count == 3 }
        await eventually("it was so before it said a word") { slot.log.contains("out 0::") && slot.log.contains("/echo-1.1\n") }
        #expect(RealGroups.path(of: shim) != RealGroups.path(of: service), "what the shim takes is not its service's")
        client.send(.signal(SIGKILL))
        _ = try await events.first { if case .swept = $0 { true } else { false } }
        #expect(slot.services == [])
        #expect(!Files.exists(group))
    }

    @Test(.enabled(if: RealGroups.isThere, "no control group is delegated to these tests: \(RealGroups.obstacle)"))
    func groupsOutliveTheDaemonAndNotTheirInstances() async throws {
        let division = try RealGroups.establish()
        defer { division.dissolve() }
        let bench = try SupervisorBench(groups: .init(division: division, name: RealGroups.name))
        try await bench.supervisor.start(bench.spec())
        let before = try await bench.ready()
        let instance = try #require(before.instance)
        let group = division.group(replica: "echo-1", instance: "\(instance)")
        #expect(before.group == division.controllers)
        #expect(text(group + "/cgroup.procs") == "\(try #require(before.processID))\n")

        await bench.supervisor.detach()
        // As a daemon leaves it that is killed between making a group and starting its process.
        let deserted = division.group(replica: "echo-9", instance: "9")
        try division.makeGroup(deserted, for: ProcessLimits())
        let successor = try bench.successor()
        let adopted = await successor.supervisor.adopt(startsDead: true)
        #expect(adopted.map(\.snapshot?.processID) == [before.processID])
        #expect(adopted.map(\.snapshot?.group) == [division.controllers])
        #expect(!Files.exists(deserted) && Files.exists(group))

        await successor.supervisor.restart("echo-1")
        await eventually("another instance runs") {
            let now = await successor.supervisor.snapshot(of: "echo-1")
            return now?.state == .ready && now?.instance != instance
        }
        #expect(!Files.exists(group))
        await successor.supervisor.remove("echo-1")
        await successor.expectNothingLeft()
        division.removeDeserted()
        #expect(Files.names(in: division.folder).filter { $0.hasPrefix("echo") } == [])
    }

    @Test(.enabled(if: RealGroups.isThere, "no control group is delegated to these tests: \(RealGroups.obstacle)"))
    func whatAServiceStartsCountsAsItsUse() async throws {
        let division = try RealGroups.establish()
        defer { division.dissolve() }
        let bench = try SupervisorBench(groups: .init(division: division, name: RealGroups.name))
        let program = TestSlot.service
        try await bench.supervisor.start(bench.spec("echo-1", ["sh", "-c", "'\(program)' hog 32 & exec '\(program)' serve"]))
        let replica = try await bench.ready()
        await eventually("the other has its memory") {
            ProcessSample.take(replica.processID ?? 0, hasGroup: true).map { $0.residentBytes > 32 << 20 } ?? false
        }
        let alone = try #require(ProcessSample.take(replica.processID ?? 0))
        let all = try #require(ProcessSample.take(replica.processID ?? 0, hasGroup: true))
        #expect(alone.residentBytes < 32 << 20 && all.threads == alone.threads + 1)
        #expect(all.descriptors < alone.descriptors * 2, "a limit of them is one of each process")
        #expect(all.cpuTime > .zero)
        await bench.supervisor.remove("echo-1")
        await bench.expectNothingLeft()
    }
}
