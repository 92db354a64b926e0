internal import Glibc

/// One change of the tree of control groups; groups and files are given by their whole paths.
package enum ControlGroupEffect: Hashable, Sendable {
    /// No failure where it is there already.
    case make(String)
    case move(process: Int32, into: String)
    /// Every process of a group.
    case moveAll(from: String, into: String)
    /// Lets the groups below one be bounded by a controller.
    case enable(String, below: String)
    case disable(String, below: String)
    case set(String, to: String)
    /// The same for what not every kernel has.
    case setWhereItIs(String, to: String)
    /// Fails while processes or groups are in it.
    case remove(String)

    package func carryOut() throws(ControlGroupObstacle) {
        switch self {
        case .make(let group):
            guard mkdir(group, 0o755) == 0 || errno == EEXIST else { throw .refused("making control group \(group)", code: errno) }
        case .move(let process, let group): try ControlGroupFiles.write("\(process)", to: group + "/cgroup.procs")
        case .moveAll(let from, let group):
            for process in ControlGroupFiles.processes(of: from) {
                // One that has ended meanwhile needs no place.
                do throws(ControlGroupObstacle) { try ControlGroupFiles.write("\(process)", to: group + "/cgroup.procs") } catch {
                    guard case .refused(_, code: ESRCH) = error else { throw error }
                }
            }
        case .enable(let controller, let group): try ControlGroupFiles.write("+" + controller, to: group + "/cgroup.subtree_control")
        case .disable(let controller, let group): try ControlGroupFiles.write("-" + controller, to: group + "/cgroup.subtree_control")
        case .set(let file, let value): try ControlGroupFiles.write(value, to: file)
        case .setWhereItIs(let file, let value): if access(file, F_OK) == 0 { try ControlGroupFiles.write(value, to: file) }
        case .remove(let group):
            guard rmdir(group) == 0 || errno == ENOENT else { throw .refused("removing control group \(group)", code: errno) }
        }
    }
}

/// The files of control groups: each is read and written as a whole, by one call.
enum ControlGroupFiles {
    static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
    }

    static func write(_ text: String, to path: String) throws(ControlGroupObstacle) {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw .refused("writing \(path)", code: errno) }
        defer { close(file) }
        guard Glibc.write(file, text, text.utf8.count) == text.utf8.count else { throw .refused("writing \(text) to \(path)", code: errno) }
    }

    static func processes(of group: String) -> [Int32] {
        (read(group + "/cgroup.procs") ?? "").split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }
    }

    static func groups(in group: String) -> [String] {
        guard let folder = opendir(group) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    static func reason(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        _ = strerror_r(code, &buffer, buffer.count)
        return buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}
