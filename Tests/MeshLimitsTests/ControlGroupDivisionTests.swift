import MeshLimits
import Testing

/// How a control group is divided, decided without one.
@Suite struct ControlGroupDivisionTests {
    /// As `systemd-run --user --scope -p Delegate=yes mesh up` gives it.
    private static let scope = ControlGroupHost(
        mount: "/sys/fs/cgroup", path: "/user.slice/mesh.scope", controllers: .all, isMarkedDelegated: true, hasManager: true)
    private static let group = "/sys/fs/cgroup/user.slice/mesh.scope"

    private func division(
        own: [Int32] = [100, 99], _ change: (inout ControlGroupHost) -> Void = { _ in }
    ) throws -> ControlGroupDivision {
        var host = Self.scope
        change(&host)
        return try ControlGroupDivision(of: host, name: "mesh-1", own: own)
    }

    /// The kernel bounds groups only below one that has no processes: daemon and shims get a group beside those of the instances.
    @Test func aGroupIsEmptiedBeforeItIsDivided() throws {
        let group = Self.group
        let division = try division()
        #expect(
            division.effects == [
                .make("\(group)/mesh-1"), .make("\(group)/mesh-1/control"), .move(process: 100, into: "\(group)/mesh-1/control"),
                .move(process: 99, into: "\(group)/mesh-1/control"), .enable("memory", below: group), .enable("cpu", below: group),
                .enable("memory", below: "\(group)/mesh-1"), .enable("cpu", below: "\(group)/mesh-1"),
            ])
        #expect(
            division.undoing == [
                .disable("memory", below: "\(group)/mesh-1"), .disable("cpu", below: "\(group)/mesh-1"), .disable("memory", below: group),
                .disable("cpu", below: group), .moveAll(from: "\(group)/mesh-1/control", into: group), .remove("\(group)/mesh-1/control"),
                .remove("\(group)/mesh-1"),
            ])
    }

    @Test func theKernelsFirstGroupMayKeepItsProcesses() throws {
        let division = try division {
            $0.path = "/"
            $0.isRoot = true
            $0.isMarkedDelegated = false
            $0.isPrivileged = true
            $0.others = [.init(id: 1, name: "init")]
            $0.controllers = .cpu
        }
        #expect(
            division.effects == [
                .make("/sys/fs/cgroup/mesh-1"), .enable("cpu", below: "/sys/fs/cgroup"), .enable("cpu", below: "/sys/fs/cgroup/mesh-1"),
            ])
        #expect(division.undoing == [.remove("/sys/fs/cgroup/mesh-1")])
    }

    /// A daemon that is started from where an earlier one put its shims goes on in its place.
    @Test func whoIsInTheControlGroupHasNothingToMake() throws {
        let division = try division {
            $0.path += "/mesh-1/control"
            $0.isMarkedDelegated = false
            $0.others = [.init(id: 7, name: "mesh-shim")]
            $0.controllers = .memory
        }
        #expect(division.effects == [])
        #expect(division.folder == "\(Self.group)/mesh-1" && division.controllers == .memory)
        #expect(division.undoing.last == .remove("\(Self.group)/mesh-1"))
        #expect(ControlGroupDivision(holding: "/a/mesh-2/control", mount: "/c", name: "mesh-1", controllers: .all) == nil, "another mesh's")
        #expect(ControlGroupDivision(holding: "/mesh-1/control", mount: "/c", name: "mesh-1", controllers: .all)?.folder == "/c/mesh-1")
    }

    struct Refusal: CustomTestStringConvertible, Sendable {
        var says: String
        var fix: String?
        var change: @Sendable (inout ControlGroupHost) -> Void
        var testDescription: String { says }
    }

    static let refusals = [
        Refusal(says: "control group \(group) is not delegated", fix: "systemd-run --user --scope -p Delegate=yes mesh up") {
            $0.isMarkedDelegated = false
        },
        Refusal(says: "control group \(group) is not delegated", fix: "systemd-run --scope -p Delegate=yes mesh up") {
            $0.isMarkedDelegated = false
            $0.isPrivileged = true
        },
        Refusal(says: "control group \(group) is not delegated", fix: nil) {
            $0.isMarkedDelegated = false
            $0.isPrivileged = true
            $0.hasManager = false
        },
        Refusal(says: "control group \(group) can't be written to", fix: nil) { $0.isWritable = false },
        Refusal(
            says: "control group \(group) also holds bash (pid 12) and 1 more", fix: "systemd-run --user --scope -p Delegate=yes mesh up"
        ) { $0.others = [.init(id: 12, name: "bash"), .init(id: 13, name: "tail")] },
    ]

    @Test(arguments: refusals) func whatIsNotOursIsLeftAlone(_ refusal: Refusal) throws {
        let obstacle = #expect(throws: ControlGroupObstacle.self) { try division(refusal.change) }
        #expect(obstacle?.description == refusal.says)
        #expect(obstacle?.fix == refusal.fix)
    }

    @Test func withoutAHierarchyThereIsNothingToDivide() throws {
        #expect(throws: ControlGroupObstacle.absent) { try ControlGroupDivision(of: nil, name: "mesh-1", own: []) }
    }

    /// Where nobody manages the hierarchy, who may write to a group may divide it.
    @Test func aContainersUserNeedsNoMark() throws {
        #expect(throws: Never.self) {
            try division {
                $0.isMarkedDelegated = false
                $0.hasManager = false
            }
        }
    }

    @Test func anInstancesGroupHasItsLimits() throws {
        let division = try division()
        let path = division.group(replica: "orders-1", instance: "7a")
        #expect(path == "\(Self.group)/mesh-1/orders-1.7a")
        #expect(
            division.effects(making: path, for: ProcessLimits(memoryBytes: 512_000_000, cores: 1.5, openFiles: 64)) == [
                .make(path), .set(path + "/memory.max", to: "512000000"), .setWhereItIs(path + "/memory.swap.max", to: "0"),
                .setWhereItIs(path + "/memory.oom.group", to: "1"), .set(path + "/cpu.max", to: "150000 100000"),
            ])
        #expect(division.effects(making: path, for: ProcessLimits()) == [.make(path)], "without limits it is there to be ended as one")
        #expect(
            division.effects(making: path, for: ProcessLimits(cores: 0.001)).last == .set(path + "/cpu.max", to: "1000 100000"),
            "the kernel takes no lower quota")
    }

    @Test func onlyWhatIsDelegatedIsSet() throws {
        let limits = ProcessLimits(memoryBytes: 1 << 20, cores: 0.5)
        func files(_ controllers: ControlGroupControllers) throws -> [ControlGroupEffect] {
            try division { $0.controllers = controllers }.effects(making: "/g", for: limits)
        }
        #expect(try files([]) == [.make("/g")])
        #expect(try files(.cpu) == [.make("/g"), .set("/g/cpu.max", to: "50000 100000")])
        #expect(try !files(.memory).contains(.set("/g/cpu.max", to: "50000 100000")))
    }

    @Test func controllersAreReadAsTheKernelWritesThem() {
        #expect(ControlGroupControllers(words: "cpuset cpu io memory hugetlb pids\n") == .all)
        #expect(ControlGroupControllers(words: "cpuset hugetlb\n") == [], "cpuset is not cpu")
        #expect(ControlGroupControllers(words: "memory,cpu") == .all)
        #expect(ControlGroupControllers.all.names == ["memory", "cpu"])
    }

    @Test func eachLimitIsKeptByWhatThereIs() {
        let limits = ProcessLimits(memoryBytes: 1 << 20, cores: 1.5, openFiles: 64)
        #expect(
            LimitKeeping(limits, in: .all, machineCores: 2) == LimitKeeping(memory: .controlGroup, cpu: .controlGroup, files: .processLimit)
        )
        #expect(
            LimitKeeping(limits, in: .memory, machineCores: 4)
                == LimitKeeping(memory: .controlGroup, cpu: .wholeCores, files: .processLimit))
        #expect(LimitKeeping(limits, in: nil, machineCores: 2) == LimitKeeping(memory: .watched, cpu: .nothing, files: .processLimit))
        #expect(LimitKeeping(ProcessLimits(), in: .all, machineCores: 2) == LimitKeeping())
    }
}
