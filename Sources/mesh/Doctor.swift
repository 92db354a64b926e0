import MeshAdminAPI
import MeshLimits
import MeshTerminal

/// Says what of a machine and a mesh will bite, and what to do about it.
///
/// Pure: the same facts give the same findings.
struct Doctor {
    let facts: DoctorFacts
    let version: String
    let protocolVersion: Int

    init(_ facts: DoctorFacts, version: String = AdminAPI.releaseVersion, protocolVersion: Int = AdminAPI.protocolVersion) {
        self.facts = facts
        self.version = version
        self.protocolVersion = protocolVersion
    }

    var findings: [DoctorFinding] {
        let mesh =
            facts.name == nil
            ? [DoctorFinding("mesh", .note, "there is no mesh.yaml here: only this machine was looked at", fix: "mesh doctor -f FILE")]
            : [check, stateFolder, disk, sockets, ports, memory, daemon, staleSockets] + crashes
        return [kernel, programs, openFiles, limits, clock] + mesh
    }

    // MARK: The machine

    /// `close_range` with CLOSE_RANGE_CLOEXEC is the newest call that instances are started with.
    private static let oldestKernel = (5, 11)

    private var kernel: DoctorFinding {
        guard facts.hasProc else { return .init("kernel", .error, "/proc is missing", fix: "mount -t proc proc /proc") }
        let numbers = facts.kernel.split(separator: ".").prefix(2).map { Int($0.prefix(while: \.isNumber)) ?? 0 }
        guard numbers.count == 2, (numbers[0], numbers[1]) >= Self.oldestKernel else {
            return .init(
                "kernel", .error, "Linux \(facts.kernel) is too old", fix: "use \(Self.oldestKernel.0).\(Self.oldestKernel.1) or newer")
        }
        return .init("kernel", .ok, "Linux \(facts.kernel), \(facts.cores) cores, \(Quantities.bytes(facts.memoryBytes)) of memory")
    }

    private var programs: DoctorFinding {
        if let missing = facts.programs.first(where: { !$0.isExecutable }) {
            return .init("programs", .error, "there is no executable \(missing.path)", fix: "build it, beside mesh: make build")
        }
        return .init("programs", .ok, "\(facts.programs.map(\.name).joined(separator: " and ")) stand beside mesh \(version)")
    }

    private static let fewFiles: UInt64 = 4096

    private var openFiles: DoctorFinding {
        let (soft, hard) = facts.openFiles
        let text = "\(count(soft)) open files for a process, \(count(hard)) at most"
        let greedy = facts.limits.first { UInt64($0.openFiles ?? 0) > hard }
        if let greedy {
            return .init(
                "files", .warning, "\(greedy.service) is to have \(greedy.openFiles ?? 0) open files, and gets \(hard)",
                fix: "ulimit -Hn \(greedy.openFiles ?? 0) where mesh up is run (limits.conf, LimitNOFILE=), or lower limits.files")
        }
        guard soft < Self.fewFiles else { return .init("files", .ok, text) }
        return .init(
            "files", .warning, "\(text): every connection of the gateway takes one",
            fix: "ulimit -n \(min(hard, 65_536)) before mesh up, or LimitNOFILE= of the unit")
    }

    private func count(_ number: UInt64) -> String { number > 1 << 40 ? "any number of" : String(number) }

    private var limits: DoctorFinding {
        let ways = facts.keeping.ways
        let memory = ways.memory == .controlGroup ? "cgroup" : "looked at every second"
        let cpu = ways.cpu == .controlGroup ? "cgroup" : "whole cores"
        let text = "memory: \(memory), cpu: \(cpu), files: rlimit"
        guard let reason = facts.keeping.reason else { return .init("limits", .ok, "\(text); in \(facts.keeping.controlGroup ?? "")") }
        // Of as many cores as there are, all.
        let unbounded = facts.limits.filter { ways.cpu == .wholeCores && ($0.cpus ?? 0).rounded(.up) >= Double(facts.cores) }.map(\.service)
        let exception =
            unbounded.isEmpty ? "" : "; limits.cpu of \(unbounded.joined(separator: ", ")) bounds nothing on \(facts.cores) cores"
        // Only who has set a limit gains by having it kept better.
        let isWanted = facts.limits.contains { $0.memoryBytes != nil || $0.cpus != nil }
        return .init("limits", .note, "\(text); \(reason)\(exception)", fix: isWanted ? facts.keeping.fix : nil)
    }

    /// 2026-01-01: before that, this program did not exist.
    private static let earliest = 1_767_225_600.0

    private var clock: DoctorFinding {
        guard facts.now >= Self.earliest else {
            return .init("clock", .error, "the clock is years behind: traces and logs get wrong times", fix: "timedatectl set-ntp true")
        }
        guard let daemon = facts.daemon, daemon.startedAt > facts.now + 5 else { return .init("clock", .ok, "plausible") }
        return .init(
            "clock", .warning,
            "the clock was set back by \(Int(daemon.startedAt - facts.now)) s since the daemon started: newer traces look older",
            fix: "timedatectl set-ntp true")
    }

    // MARK: The mesh

    private var name: String { facts.name ?? "" }

    private var check: DoctorFinding {
        let (errors, warnings) = facts.findings
        let what = [(errors, "error"), (warnings, "warning")].filter { $0.0 > 0 }.map { Quantities.count($0.0, $0.1) }
        guard !what.isEmpty else { return .init("mesh.yaml", .ok, "mesh \(name), 0 findings") }
        return .init(
            "mesh.yaml", errors > 0 ? .error : .warning, "mesh \(name), \(what.joined(separator: ", "))", fix: "mesh check\(facts.selector)"
        )
    }

    private var stateFolder: DoctorFinding {
        guard let folder = facts.state else { return .init("state", .note, "no state folder is known") }
        guard let permissions = folder.permissions else {
            return folder.isWritable
                ? .init("state", .ok, "\(folder.path) will be made")
                : .init(
                    "state", .error, "\(folder.path) can't be made", fix: "MESH_STATE_DIR=/some/folder mesh up\(facts.selector)")
        }
        if !folder.isOurs {
            return .init("state", .error, "\(folder.path) belongs to another user", fix: "run mesh as that user, or set MESH_STATE_DIR")
        }
        if !folder.isWritable {
            return .init("state", .error, "\(folder.path) can't be written to", fix: "chmod 700 \(folder.path), or set MESH_STATE_DIR")
        }
        guard permissions & 0o077 == 0 else {
            return .init(
                "state", .warning,
                "\(folder.path) is open to others (mode \(String(permissions & 0o777, radix: 8))): environments of services lie there",
                fix: "chmod 700 \(folder.path)")
        }
        return .init("state", .ok, folder.path)
    }

    private static let littleSpace = 200 << 20
    private static let fewInodes = 1000

    private var disk: DoctorFinding {
        guard let free = facts.state?.freeBytes else { return .init("disk", .note, "the space that is left is unknown") }
        let left = "\(Quantities.bytes(free)) free"
        if let files = facts.state?.freeFiles, files < Self.fewInodes {
            return .init("disk", .error, "\(left), but room for \(files) more files only", fix: "remove files there, or set MESH_STATE_DIR")
        }
        if free < Self.littleSpace {
            return .init("disk", .error, "\(left): logs and traces will be lost", fix: "make room, or set MESH_STATE_DIR")
        }
        if let store = facts.traceStoreBytes, free < store {
            return .init(
                "disk", .warning, "\(left), but traces may take \(Quantities.bytes(store))",
                fix: "lower traces.store.max in mesh.yaml, or make room")
        }
        return .init("disk", .ok, left)
    }

    /// Of `sockaddr_un`, without the NUL.
    private static let longestPath = 107

    private var sockets: DoctorFinding {
        guard let path = facts.longestSocket else { return .init("paths", .note, "no sockets are known") }
        let length = path.utf8.count
        guard length > Self.longestPath else {
            return .init("paths", .ok, "the longest path of a socket has \(length) of \(Self.longestPath) bytes")
        }
        return .init(
            "paths", .error, "the path of a socket has \(length) bytes, and \(Self.longestPath) are allowed: \(path)",
            fix: "set XDG_RUNTIME_DIR or TMPDIR to a shorter folder, or shorten the name of the service")
    }

    private var ports: DoctorFinding {
        if let port = facts.ports.first(where: { $0.problem != nil }) {
            return .init(
                "ports", .error, "\(port.owner) can't listen on \(port.address): \(port.problem ?? "")",
                fix: "choose another port in mesh.yaml, or end who has it: ss -ltnp")
        }
        let list = facts.ports.map { "\($0.owner) \($0.address)" }.joined(separator: ", ")
        return .init("ports", .ok, facts.ports.isEmpty ? "none is fixed" : list)
    }

    private var memory: DoctorFinding {
        let wanted = facts.limits.reduce(0) { $0 + ($1.memoryBytes ?? 0) * $1.replicas }
        if wanted > facts.memoryBytes {
            return .init(
                "memory", .warning,
                "the limits allow \(Quantities.bytes(wanted)) in all, and this machine has \(Quantities.bytes(facts.memoryBytes))",
                fix: "lower limits.memory or replicas")
        }
        if let greedy = facts.limits.first(where: { ($0.cpus ?? 0) > Double(facts.cores) }) {
            return .init(
                "memory", .note, "\(greedy.service) may have \(Quantities.decimal(greedy.cpus ?? 0, 1)) cores, and there are \(facts.cores)"
            )
        }
        return .init("memory", .ok, wanted > 0 ? "the limits allow \(Quantities.bytes(wanted)) in all" : "no service has a limit")
    }

    private var daemon: DoctorFinding {
        guard let daemon = facts.daemon else {
            return facts.hasControlSocket
                ? .init(
                    "daemon", .error, "its socket is there, and nobody answers: what runs goes on, and nothing restarts it",
                    fix: "mesh up -d\(facts.selector)   takes everything over again")
                : .init("daemon", .ok, "none runs")
        }
        let replace = "kill \(daemon.pid); mesh up -d\(facts.selector)   the services go on meanwhile"
        if daemon.protocolVersion != protocolVersion || daemon.version != version {
            let isOther = daemon.protocolVersion != protocolVersion
            return .init(
                "daemon", isOther ? .error : .warning, "it is of version \(daemon.version), and this mesh of \(version)", fix: replace)
        }
        let program = facts.programs.first { $0.name == "meshd" }
        if let changed = program?.changedAt, changed > daemon.startedAt + 1 {
            return .init("daemon", .warning, "it was started before \(program?.path ?? "meshd") was built anew", fix: replace)
        }
        let age = Quantities.duration(milliseconds: max(0, facts.now - daemon.startedAt) * 1000)
        return .init("daemon", .ok, "pid \(daemon.pid), version \(daemon.version), up for \(age)")
    }

    private var staleSockets: DoctorFinding {
        guard let first = facts.staleSockets.first else { return .init("sockets", .ok, "none is left behind") }
        let count = facts.staleSockets.count
        let others = count == 1 ? "" : " and \(count - 1) more"
        return .init(
            "sockets", .warning, "nobody listens on \(first)\(others)",
            fix: facts.daemon == nil ? "mesh up -d\(facts.selector), or rm \(first)" : "rm \(first)")
    }

    private var crashes: [DoctorFinding] {
        facts.instances.filter { $0.state == .crashLoop }.map { instance in
            .init(
                "crashes", .error,
                "\(instance.instance) keeps failing: \(instance.lastExit ?? "")"
                    + (instance.lastErrorLine.map { ": \"\($0)\"" } ?? ""), fix: "mesh logs \(instance.instance) --last-crash")
        }
    }
}
