import MeshAdminAPI
import MeshLimits
import Testing

@testable import mesh

/// What `mesh doctor` says of a machine, without one.
@Suite struct DoctorTests {
    private static let now = 1_800_000_000.0

    /// All is well with it.
    private static let well: DoctorFacts = {
        var facts = DoctorFacts(
            kernel: "6.18.44-generic", now: now, cores: 4, memoryBytes: 8 << 30, openFiles: (65_536, 1_048_576),
            keeping: LimitsStatus(
                controlGroup: "/sys/fs/cgroup/x.scope/mesh-1",
                ways: LimitKeeping(memory: .controlGroup, cpu: .controlGroup, files: .processLimit)),
            programs: [
                .init(name: "meshd", path: "/opt/mesh/meshd", isExecutable: true, changedAt: now - 9000),
                .init(name: "mesh-shim", path: "/opt/mesh/mesh-shim", isExecutable: true, changedAt: now - 9000),
            ])
        facts.name = "shop"
        facts.state = .init(path: "/shop/.mesh/shop", permissions: 0o700, freeBytes: 20 << 30, freeFiles: 1_000_000)
        facts.longestSocket = "/run/user/1000/mesh-0123456789abcdef/inventory-3.shim"
        facts.traceStoreBytes = 1_000_000_000
        facts.ports = [.init(owner: "gateway", address: "0.0.0.0:8080")]
        facts.limits = [.init(service: "ledger", memoryBytes: 512_000_000, cpus: 1.5, openFiles: 4096, replicas: 2)]
        facts.daemon = .init(pid: 4711, version: "1.0", protocolVersion: 1, startedAt: now - 3725)
        facts.hasControlSocket = true
        return facts
    }()

    private func findings(_ change: (inout DoctorFacts) -> Void = { _ in }) -> [DoctorFinding] {
        var facts = Self.well
        change(&facts)
        return Doctor(facts, version: "1.0", protocolVersion: 1).findings
    }

    @Test func whereAllIsWellNothingIsToBeDone() {
        let findings = findings()
        #expect(findings.allSatisfy { $0.fix == nil && [.ok, .note].contains($0.status) }, "\(findings)")
        #expect(
            findings.map(\.check) == [
                "kernel", "programs", "files", "limits", "clock", "mesh.yaml", "state", "disk", "paths", "ports", "memory", "daemon",
                "sockets",
            ])
        #expect(findings.first { $0.check == "daemon" }?.message == "pid 4711, version 1.0, up for 62m 05s")
    }

    struct Trouble: CustomTestStringConvertible, Sendable {
        var check: String
        var status: DoctorFinding.Status
        var says: String
        var fix: String
        var change: @Sendable (inout DoctorFacts) -> Void
        var testDescription: String { "\(check): \(says)" }

        init(
            _ check: String, _ status: DoctorFinding.Status, _ says: String, fix: String,
            _ change: @escaping @Sendable (inout DoctorFacts) -> Void
        ) {
            (self.check, self.status, self.says, self.fix, self.change) = (check, status, says, fix, change)
        }
    }

    static let troubles = [
        Trouble("kernel", .error, "/proc is missing", fix: "mount") { $0.hasProc = false },
        Trouble("kernel", .error, "Linux 5.4.0 is too old", fix: "5.11") { $0.kernel = "5.4.0" },
        Trouble("kernel", .error, "Linux odd is too old", fix: "5.11") { $0.kernel = "odd" },
        Trouble("programs", .error, "there is no executable /opt/mesh/mesh-shim", fix: "make build") {
            $0.programs[1].isExecutable = false
        },
        Trouble("files", .warning, "1024 open files", fix: "ulimit -n 65536") { $0.openFiles.soft = 1024 },
        Trouble("files", .warning, "1024 open files", fix: "ulimit -n 8192") { $0.openFiles = (1024, 8192) },
        Trouble("files", .warning, "ledger is to have 4096 open files, and gets 2048", fix: "ulimit -Hn 4096") {
            $0.openFiles = (2048, 2048)
        },
        Trouble("clock", .error, "years behind", fix: "timedatectl") { $0.now = 3600 },
        Trouble("clock", .warning, "set back by 86400 s", fix: "timedatectl") { $0.daemon?.startedAt = now + 86_400 },
        Trouble("mesh.yaml", .error, "mesh shop, 2 errors, 1 warning", fix: "mesh check -f x.yaml") {
            $0.findings = (2, 1)
            $0.selector = " -f x.yaml"
        },
        Trouble("mesh.yaml", .warning, "mesh shop, 1 warning", fix: "mesh check") { $0.findings = (0, 1) },
        Trouble("state", .warning, "open to others (mode 755)", fix: "chmod 700 /shop/.mesh/shop") { $0.state?.permissions = 0o755 },
        Trouble("state", .error, "belongs to another user", fix: "MESH_STATE_DIR") { $0.state?.isOurs = false },
        Trouble("state", .error, "can't be written to", fix: "chmod 700") { $0.state?.isWritable = false },
        Trouble("state", .error, "can't be made", fix: "MESH_STATE_DIR=/some/folder mesh up") {
            $0.state?.permissions = nil
            $0.state?.isWritable = false
        },
        Trouble("disk", .error, "50M free: logs and traces will be lost", fix: "make room") { $0.state?.freeBytes = 50 << 20 },
        Trouble("disk", .warning, "500M free, but traces may take 954M", fix: "traces.store.max") { $0.state?.freeBytes = 500 << 20 },
        Trouble("disk", .error, "room for 12 more files", fix: "remove files") { $0.state?.freeFiles = 12 },
        Trouble("paths", .error, "has 120 bytes, and 107 are allowed", fix: "XDG_RUNTIME_DIR") {
            $0.longestSocket = "/" + String(repeating: "x", count: 119)
        },
        Trouble("ports", .error, "gateway can't listen on 0.0.0.0:8080: address already in use", fix: "ss -ltnp") {
            $0.ports[0].problem = "address already in use"
        },
        Trouble("memory", .warning, "the limits allow 954G in all, and this machine has 8.0G", fix: "limits.memory") {
            $0.limits[0].replicas = 2000
        },
        Trouble("daemon", .error, "nobody answers", fix: "mesh up -d") { $0.daemon = nil },
        Trouble("daemon", .error, "of version 2.0, and this mesh of 1.0", fix: "kill 4711") {
            $0.daemon?.version = "2.0"
            $0.daemon?.protocolVersion = 2
        },
        Trouble("daemon", .warning, "of version 0.9, and this mesh of 1.0", fix: "kill 4711") { $0.daemon?.version = "0.9" },
        Trouble("daemon", .warning, "before /opt/mesh/meshd was built anew", fix: "kill 4711; mesh up -d") {
            $0.programs[0].changedAt = now
        },
        Trouble("sockets", .warning, "nobody listens on /run/a.shim and 1 more", fix: "rm /run/a.shim") {
            $0.staleSockets = ["/run/a.shim", "/run/b.shim"]
        },
        Trouble("crashes", .error, "crm-1 keeps failing: exit 1 after 0.3s: \"bad schema v7\"", fix: "mesh logs crm-1 --last-crash") {
            $0.instances = [
                InstanceStatus(
                    service: "crm", tier: "enterprise", instance: "crm-1", state: .crashLoop, ready: false, lastExit: "exit 1 after 0.3s",
                    lastErrorLine: "bad schema v7")
            ]
        },
    ]

    @Test(arguments: troubles) func whatBitesIsSaidWithItsFix(_ trouble: Trouble) throws {
        let bad = findings(trouble.change).filter { [.warning, .error].contains($0.status) }
        #expect(bad.map(\.check) == [trouble.check])
        let finding = try #require(bad.first)
        #expect(finding.status == trouble.status)
        #expect(finding.message.contains(trouble.says), "\(finding.message)")
        #expect(finding.fix?.contains(trouble.fix) == true, "\(finding.fix ?? "")")
    }

    @Test func howLimitsAreKeptIsSaidPlainly() throws {
        func finding(_ keeping: LimitsStatus, _ change: (inout DoctorFacts) -> Void = { _ in }) -> DoctorFinding {
            findings {
                $0.keeping = keeping
                change(&$0)
            }[3]
        }
        let host = ControlGroupHost(mount: "/sys/fs/cgroup", path: "/x.scope", controllers: .all, isMarkedDelegated: true, hasManager: true)
        func keeping(_ change: (inout ControlGroupHost) -> Void) -> LimitsStatus {
            var host = host
            change(&host)
            return LimitsStatus(Result { () throws(ControlGroupObstacle) in try ControlGroupDivision(of: host, name: "mesh-1", own: []) })
        }
        let exact = finding(keeping { _ in })
        #expect(exact.status == .ok && exact.message == "memory: cgroup, cpu: cgroup, files: rlimit; in /sys/fs/cgroup/x.scope/mesh-1")

        let none = finding(keeping { $0.isMarkedDelegated = false })
        #expect(
            none.message
                == "memory: looked at every second, cpu: whole cores, files: rlimit; control group /sys/fs/cgroup/x.scope is not delegated")
        #expect(none.status == .note && none.fix == "systemd-run --user --scope -p Delegate=yes mesh up")
        #expect(finding(keeping { $0.isMarkedDelegated = false }) { $0.limits = [] }.fix == nil, "nobody would gain by it")

        let partly = finding(keeping { $0.controllers = .memory }) { $0.limits[0].cpus = 3.5 }
        #expect(
            partly.message.hasPrefix(
                "memory: cgroup, cpu: whole cores, files: rlimit; control group /sys/fs/cgroup/x.scope has no controller for cpu"))
        #expect(partly.message.hasSuffix("; limits.cpu of ledger bounds nothing on 4 cores"))
        #expect(partly.fix?.contains("Delegate=memory cpu pids") == true)
    }

    @Test func withoutAMeshTheMachineIsLookedAt() {
        let findings = findings { $0.name = nil }
        #expect(findings.map(\.check) == ["kernel", "programs", "files", "limits", "clock", "mesh"])
    }

    @Test func aMachineIsReallyLookedAt() throws {
        let facts = try DoctorSurvey(file: nil, environment: ["MESH_STATE_DIR": "/nowhere/in/particular"]).facts()
        #expect(facts.hasProc && facts.cores > 0 && facts.memoryBytes > 0 && facts.openFiles.soft > 0)
        #expect(facts.kernel.contains("."))
        #expect(facts.state?.permissions == nil)
        #expect(facts.state?.freeBytes != nil)
        #expect(facts.daemon == nil && !facts.hasControlSocket)
    }
}
