import Foundation

/// The short folder where the sockets of a mesh lie, since the path of a Unix socket has 107 bytes at most and that of
/// a state folder can have more.
///
/// `$XDG_RUNTIME_DIR/mesh-<hash>`, or `<temporary folder>/mesh-<uid>/<hash>`; the hash is that of the state folder's real path.
/// The daemon leaves a link to it in the state folder (`run`), so that it is found also from a shell whose environment
/// names another runtime folder.
package struct RuntimeFolder: Hashable, Sendable {
    package var path: String

    package var controlSocket: String { path + "/control.sock" }
    package var instanceSocket: String { path + "/instances.sock" }
    package var spanSocket: String { path + "/spans.sock" }
    /// Of the control group of the mesh: like this folder, no other mesh of the machine has it.
    package var controlGroupName: String {
        let name = (path as NSString).lastPathComponent
        return name.hasPrefix("mesh-") ? name : "mesh-\(name)"
    }

    /// Room that a socket's name needs: the longest is `/<replica>-<run>.sock`.
    private static let longestUsable = 60
    private static let linkName = "run"

    /// Where the sockets of the mesh in `stateFolder` belong, by its real path and this process's environment.
    package static func path(
        stateFolder: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> String {
        let hash = hexadecimal(fnv1a64(realPath(stateFolder)))
        if let runtime = environment["XDG_RUNTIME_DIR"], runtime.hasPrefix("/"), runtime.utf8.count <= longestUsable - 22,
            access(runtime, W_OK) == 0
        {
            return "\(trimmed(runtime))/mesh-\(hash)"
        }
        var temporary = environment["TMPDIR"] ?? "/tmp"
        if !temporary.hasPrefix("/") || temporary.utf8.count > longestUsable - 35 { temporary = "/tmp" }
        return "\(trimmed(temporary))/mesh-\(getuid())/\(hash)"
    }

    /// Finds the folder of a mesh that may be running: by the daemon's link, else by the rule.
    package static func locate(
        _ stateFolder: StateFolder, environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> RuntimeFolder {
        let link = stateFolder.path + "/" + linkName
        if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link), target.hasPrefix("/"),
            isOwnDirectory(target)
        {
            return RuntimeFolder(path: target)
        }
        return RuntimeFolder(path: path(stateFolder: stateFolder.path, environment: environment))
    }

    /// Makes the folder (0700) and the link to it; the state folder must exist.
    ///
    /// - Throws: a `Problem` when the folder exists and belongs to somebody else or is open to others.
    package static func create(
        for stateFolder: StateFolder, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> RuntimeFolder {
        let folder = RuntimeFolder(path: path(stateFolder: stateFolder.path, environment: environment))
        let parent = (folder.path as NSString).deletingLastPathComponent
        for directory in (parent as NSString).lastPathComponent.hasPrefix("mesh-") ? [parent, folder.path] : [folder.path] {
            guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
                throw Problem(
                    type: "runtime-folder", title: "cannot make the folder of the sockets", status: 500,
                    detail: "\(directory): \(String(cString: strerror(errno)))",
                    hint: "set XDG_RUNTIME_DIR to a folder that you may write to, with a path shorter than 38 bytes")
            }
            guard isOwnDirectory(directory) else {
                throw Problem(
                    type: "runtime-folder", title: "the folder of the sockets is not safe", status: 500,
                    detail: "\(directory) belongs to somebody else or is open to others",
                    hint: "remove it (ls -ld \(directory)), or set XDG_RUNTIME_DIR to a folder of your own")
            }
        }
        let link = stateFolder.path + "/" + linkName
        unlink(link)
        _ = symlink(folder.path, link)
        return folder
    }

    private static func isOwnDirectory(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return false }
        return status.st_uid == getuid() && status.st_mode & 0o077 == 0
    }

    /// The path without links; where its end does not exist yet, the real path of what does, and the rest as it is.
    private static func realPath(_ path: String) -> String {
        var existing = URL(fileURLWithPath: path).standardizedFileURL
        var rest: [String] = []
        while existing.path != "/" {
            if let resolved = realpath(existing.path, nil) {
                defer { free(resolved) }
                return ([String(cString: resolved)] + rest.reversed()).joined(separator: "/")
            }
            rest.append(existing.lastPathComponent)
            existing.deleteLastPathComponent()
        }
        return "/" + rest.reversed().joined(separator: "/")
    }

    private static func trimmed(_ path: String) -> String { path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path }

    /// FNV-1a with 64 bits (draft-eastlake-fnv).
    private static func fnv1a64(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
