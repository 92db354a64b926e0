internal import CMeshSystem
internal import Glibc

/// Finds out what `ControlGroupDivision` decides by.
package enum ControlGroupSurvey {
    /// - Parameter movable: what the caller would move out of its group, beside itself.
    package static func host(movable: [Int32] = []) -> ControlGroupHost? {
        guard let mount = mount, let path = path(of: getpid()) else { return nil }
        let folder = ControlGroupHost.folder(mount, path)
        guard let controllers = ControlGroupFiles.read(folder + "/cgroup.controllers") else { return nil }
        let moved = Set(movable + [getpid()])
        let others = ControlGroupFiles.processes(of: folder).filter { !moved.contains($0) }.map { process in
            ControlGroupHost.Process(id: process, name: name(of: process))
        }
        let files = ["", "/cgroup.procs", "/cgroup.subtree_control"]
        return ControlGroupHost(
            mount: mount, path: path, controllers: ControlGroupControllers(words: controllers),
            isRoot: access(folder + "/cgroup.type", F_OK) != 0, isWritable: files.allSatisfy { access(folder + $0, W_OK) == 0 },
            isMarkedDelegated: ["user.delegate", "trusted.delegate"].contains { attribute($0, of: folder) == "1" },
            // sd_booted(3)
            hasManager: access("/run/systemd/system", F_OK) == 0, isPrivileged: geteuid() == 0, others: others)
    }

    /// The division whose `control` a process is in, such as a shim that an earlier daemon started from another group.
    package static func division(holding process: Int32, name: String) -> ControlGroupDivision? {
        guard let mount, let path = path(of: process) else { return nil }
        guard let found = ControlGroupDivision(holding: path, mount: mount, name: name, controllers: []) else { return nil }
        let enabled = ControlGroupFiles.read(found.folder + "/cgroup.subtree_control") ?? ""
        return ControlGroupDivision(holding: path, mount: mount, name: name, controllers: ControlGroupControllers(words: enabled))
    }

    package static func areInOneGroup(_ one: Int32, _ other: Int32) -> Bool { path(of: one) == path(of: other) }

    static func folder(of process: Int32) -> String? {
        guard let mount, let path = path(of: process) else { return nil }
        return ControlGroupHost.folder(mount, path)
    }

    private static let mount: String? = {
        let lines = (ControlGroupFiles.read("/proc/self/mounts") ?? "").split(separator: "\n").map { $0.split(separator: " ") }
        // Blanks stand as \040 there; no group of ours lies in such a place.
        return lines.first { $0.count > 2 && $0[2] == "cgroup2" && !$0[1].contains("\\") }.map { String($0[1]) }
    }()

    /// Nil where it is in none, or in one that lies outside of what this process may see.
    private static func path(of process: Int32) -> String? {
        let lines = (ControlGroupFiles.read("/proc/\(process)/cgroup") ?? "").split(separator: "\n")
        guard let path = lines.first(where: { $0.hasPrefix("0::/") })?.dropFirst(3) else { return nil }
        return path.hasPrefix("/..") ? nil : String(path)
    }

    private static func name(of process: Int32) -> String {
        (ControlGroupFiles.read("/proc/\(process)/comm") ?? "?").filter { !$0.isNewline }
    }

    private static func attribute(_ name: String, of path: String) -> String? {
        var value = [UInt8](repeating: 0, count: 16)
        let length = getxattr(path, name, &value, value.count)
        return length < 0 ? nil : String(decoding: value[..<length], as: UTF8.self)
    }
}
