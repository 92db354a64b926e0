import CMeshSystem
import Foundation
import Glibc
import MeshAdminAPI

/// Starts `meshd` in a session of its own, so that neither Ctrl-C nor the end of this terminal reaches it.
struct DaemonLauncher {
    let location: MeshLocation

    /// How long a new daemon may take until it answers.
    private static let patience: Duration = .seconds(10)
    private static let pause: useconds_t = 20_000

    /// The daemon of this mesh, started if none answers.
    ///
    /// - Returns: also the process id where it was started here, for it is this process that must reap it.
    func ensureDaemon() throws -> (client: DaemonClient, status: DaemonStatus, child: pid_t?) {
        let client = DaemonClient(location)
        if let status = try client.status() { return (client, status, nil) }
        let logLength = logLength
        let child = try spawn()
        let clock = ContinuousClock()
        var deadline = clock.now + Self.patience
        var hasEnded = false
        while clock.now < deadline {
            // Located anew: the daemon may have made another runtime folder than the one that its predecessor left a link to.
            let client = DaemonClient(location)
            if let status = try? client.status() {
                if hasEnded { return (client, status, nil) }
                return (client, status, child)
            }
            if !hasEnded, waitpid(child, nil, WNOHANG) == child {
                // Another `mesh up` may have been faster, and its daemon be about to answer.
                hasEnded = true
                deadline = min(deadline, clock.now + .seconds(1))
            }
            usleep(Self.pause)
        }
        if !hasEnded {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
        throw CommandFailure(
            hasEnded ? "the daemon ended at once" : "the daemon did not answer within \(Self.patience.components.seconds)s",
            detail: logTail(since: logLength), hint: "read \(location.stateFolder.daemonLog)")
    }

    private var logLength: Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: location.stateFolder.daemonLog)
        return attributes?[.size] as? Int ?? 0
    }

    /// The last lines that were written beyond `length`.
    private func logTail(since length: Int) -> [String] {
        guard let contents = FileManager.default.contents(atPath: location.stateFolder.daemonLog) else { return [] }
        return String(decoding: contents.dropFirst(length), as: UTF8.self).split(whereSeparator: \.isNewline).suffix(5).map(String.init)
    }

    private func spawn() throws -> pid_t {
        let executable = try Self.executable()
        try makeStateFolder()
        var arguments = [executable, "--state-dir", location.stateFolder.path]
        if let file = location.file { arguments += ["--file", file] }
        let folder = location.file.map { ($0 as NSString).deletingLastPathComponent } ?? location.stateFolder.path

        let log = open(location.stateFolder.daemonLog, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard log >= 0 else {
            throw CommandFailure(
                "the daemon's log \(location.stateFolder.daemonLog) cannot be opened: \(String(cString: strerror(errno)))",
                hint: "choose another state folder: MESH_STATE_DIR=/some/folder mesh up")
        }
        defer { close(log) }
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for pointer in argv { free(pointer) } }
        // No descriptor but these goes along: whoever started this command may wait for the end of a pipe.
        let pid = executable.withCString { path in
            folder.withCString { folder in
                argv.withUnsafeMutableBufferPointer { arguments -> pid_t in
                    guard let first = arguments.baseAddress else { return -1 }
                    var spawn = mesh_spawn(
                        path: path, arguments: first, environment: environ, folder: folder, descriptors: nil, descriptor_count: 0,
                        output: log, error: log, new_session: true)
                    return mesh_spawn_process(&spawn)
                }
            }
        }
        guard pid > 0 else {
            let reason = String(cString: strerror(errno))
            throw CommandFailure("the daemon cannot be started: \(executable): \(reason)", hint: "build it again: make build")
        }
        return pid
    }

    private func makeStateFolder() throws {
        let path = location.stateFolder.path
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            let reason = (error as NSError).localizedDescription
            throw CommandFailure(
                "the state folder \(path) cannot be made: \(reason)", hint: "choose another one: MESH_STATE_DIR=/some/folder mesh up")
        }
        guard access(path, W_OK) == 0 else {
            throw CommandFailure(
                "the state folder \(path) cannot be written to",
                hint: "make it yours, or choose another one: MESH_STATE_DIR=/some/folder mesh up")
        }
    }

    /// `meshd` beside this executable.
    private static func executable() throws -> String {
        guard let own = realpath("/proc/self/exe", nil) else {
            throw CommandFailure("this command cannot find its own place (/proc/self/exe)", hint: "mount /proc")
        }
        defer { free(own) }
        let path = (String(cString: own) as NSString).deletingLastPathComponent + "/meshd"
        guard access(path, X_OK) == 0 else {
            throw CommandFailure("the daemon is missing: there is no \(path)", hint: "build it, beside mesh: make build")
        }
        return path
    }
}
