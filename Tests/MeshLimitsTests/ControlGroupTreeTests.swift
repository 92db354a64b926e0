import Foundation
import MeshLimits
import Testing

/// The effects on a folder that stands for the kernel's tree.
@Suite final class ControlGroupTreeTests {
    private let mount = FileManager.default.temporaryDirectory.appending(path: "mesh-groups-\(UUID())")

    deinit { try? FileManager.default.removeItem(at: mount) }

    /// What the kernel makes with a group.
    private func make(_ group: String = "", _ files: [String: String] = [:]) throws {
        let folder = mount.appending(path: group)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
    }

    private func text(_ path: String) -> String? { try? String(contentsOf: mount.appending(path: path), encoding: .utf8) }
    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: mount.appending(path: path).path) }

    private func division(_ controllers: ControlGroupControllers = .cpu, isRoot: Bool = false) throws -> ControlGroupDivision {
        try ControlGroupDivision(
            of: ControlGroupHost(mount: mount.path, path: "/", controllers: controllers, isRoot: isRoot), name: "mesh-1", own: [4711])
    }

    @Test func aDivisionIsMade() throws {
        try make("", ["cgroup.subtree_control": ""])
        try make("mesh-1", ["cgroup.subtree_control": ""])
        try make("mesh-1/control", ["cgroup.procs": ""])
        let established = try division().established()
        #expect(text("mesh-1/control/cgroup.procs") == "4711")
        #expect(text("cgroup.subtree_control") == "+cpu")
        #expect(text("mesh-1/cgroup.subtree_control") == "+cpu")
        #expect(established.controllers == .cpu && established.missing.isEmpty)
    }

    /// As the kernel answers while a process is in a group that is to be divided, or where a controller went to version 1.
    @Test func aControllerThatIsRefusedIsDoneWithout() throws {
        try make()
        try make("mesh-1/control", ["cgroup.procs": ""])
        let established = try division(.all).established()
        #expect(established.controllers == [])
        #expect(established.missing["cpu"]?.description == "writing \(mount.path)/cgroup.subtree_control: No such file or directory")
        #expect(established.missing.count == 2)
    }

    @Test func whereNothingCanBeMovedNothingIsDivided() throws {
        try make()
        #expect(throws: ControlGroupObstacle.self) { try division().established() }
    }

    @Test func anInstancesGroupIsMadeOrNothingIsLeft() throws {
        try make("mesh-1", ["cgroup.subtree_control": ""])
        let division = try division(.all, isRoot: true)
        let there = division.group(replica: "a", instance: "1")
        try make("mesh-1/a.1", ["memory.max": "", "memory.oom.group": "", "cpu.max": ""])
        try division.makeGroup(there, for: ProcessLimits(memoryBytes: 4096, cores: 2))
        #expect(text("mesh-1/a.1/memory.max") == "4096" && text("mesh-1/a.1/cpu.max") == "200000 100000")
        #expect(text("mesh-1/a.1/memory.oom.group") == "1" && !exists("mesh-1/a.1/memory.swap.max"), "not every kernel counts swap")

        let refused = division.group(replica: "b", instance: "2")
        #expect(throws: ControlGroupObstacle.self) { try division.makeGroup(refused, for: ProcessLimits(memoryBytes: 4096)) }
        #expect(!exists("mesh-1/b.2"))
    }

    @Test func whatNothingLivesInIsRemoved() throws {
        try make("mesh-1/control")
        try make("mesh-1/dead.1/below")
        try make("mesh-1/alive.2", ["stands for": "a process"])
        let division = try division()
        division.removeDeserted()
        #expect(exists("mesh-1/control") && !exists("mesh-1/dead.1") && exists("mesh-1/alive.2"))
    }

    @Test func aDivisionIsUndone() throws {
        try make("", ["cgroup.subtree_control": "", "cgroup.procs": ""])
        try make("mesh-1", ["cgroup.subtree_control": ""])
        try make("mesh-1/control", ["cgroup.procs": "12\n13\n"])
        try division().dissolve()
        #expect(text("cgroup.subtree_control") == "-cpu" && text("mesh-1/cgroup.subtree_control") == "-cpu")
        #expect(text("cgroup.procs") == "13", "each is moved by a write of its own")
    }

    @Test func whatAGroupUsesIsRead() throws {
        try make("a", ["cgroup.procs": "12\n13\n", "cpu.stat": "usage_usec 4711\nuser_usec 4000\nsystem_usec 711\n"])
        let usage = try #require(ControlGroupUsage(of: mount.path + "/a"))
        #expect(usage.processes == [12, 13] && usage.cpuMicroseconds == 4711)
        #expect(ControlGroupUsage(of: mount.path + "/b") == nil)
    }

    @Test func theMachineIsReallyLookedAt() throws {
        guard let host = ControlGroupSurvey.host() else { return }
        #expect(host.path.hasPrefix("/") && FileManager.default.fileExists(atPath: host.folder + "/cgroup.procs"))
        #expect(!host.others.contains { $0.id == getpid() })
    }
}
