import Curl
import Foundation
import Testing

extension RealProcesses {
    /// The traces of a mesh lie on a disk of their own, two megabytes large, that only the daemon and this test see.
    @Suite struct DiskSpaceTests {
        @Test func aFullDiskStopsTracesAndNothingElse() throws {
            let mesh = try TestMesh(
                """
                mesh: full
                gateway: { run: "${BIN}/edge-gateway", listen: "127.0.0.1:0", routes: { "/**": echo } }
                services:
                  echo: { tier: enterprise, run: "${BIN}/echo" }
                """)
            let disk = try SmallDisk(at: mesh.stateFolder.appending(path: "traces"))
            let up = try disk.start(Programs.path("mesh"), ["up", "-d", "-f", mesh.file.path(percentEncoded: false)], of: mesh).end(
                within: 120)
            try #require(
                up.status == 0,
                """
                \(up.errors)\(mesh.daemonLog)
                This test gives the daemon a file system of its own by unshare(1) and mount(8) of util-linux. Where neither root nor \
                user namespaces are allowed (kernel.unprivileged_userns_clone, a container's seccomp profile), run it elsewhere.
                """)
            try disk.enter(try #require(mesh.daemonProcess))
            func answered() throws -> String {
                let answer = try mesh.send("GET", "/")
                try #require(answer.status == 200, "\(answer.text)")
                return try #require(answer.headers["mesh-trace"])
            }
            _ = try mesh.trace(try answered(), with: ["echo"])
            #expect(try mesh.mesh("ps").errors.isEmpty)

            try disk.fill()
            // Requests go on, and the first batch that finds no room is told of.
            let isTold = try Wait.until(30) {
                _ = try answered()
                return try mesh.mesh("ps").errors.contains("traces are not being stored")
            }
            let warning = try mesh.mesh("ps")
            #expect(isTold, "\(warning.errors)")
            #expect(warning.status == 0)
            #expect(warning.errors.contains("disk is full") && warning.errors.contains("next: make room"), "\(warning.errors)")
            #expect(try mesh.instances.allSatisfy { $0["ready"] as? Bool == true && $0["restarts"] as? Int == 0 })
            let unseen = try answered()

            try disk.free()
            // What waited is stored with what comes.
            let isStoredAgain = try Wait.until(60) {
                _ = try answered()
                return try mesh.mesh("traces", "show", unseen).status == 0
            }
            #expect(isStoredAgain, "\(mesh.daemonLog)")
            #expect(try mesh.mesh("ps").errors.isEmpty)
            #expect(try mesh.mesh("down").status == 0)
            #expect(mesh.processes.isEmpty)
        }
    }
}

/// A file system in memory, in a mount namespace of its own; it goes with the last process that was started in it.
private final class SmallDisk {
    private let place: URL
    /// The same place, as seen from here.
    private var seen: URL?
    private var ballast: URL? { seen?.appending(path: "ballast") }

    /// - Parameter place: where it is mounted; made if it is not there.
    init(at place: URL) throws {
        self.place = place
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// Starts a program that finds the disk at its place.
    func start(_ program: String, _ arguments: [String], of mesh: TestMesh) throws -> RunningCommand {
        let namespaces = getuid() == 0 ? ["--mount"] : ["--user", "--map-root-user", "--mount"]
        let script = #"mount -t tmpfs -o size=2m,mode=0700 mesh-test "$1" && shift && exec "$@""#
        return try RunningCommand(
            "/usr/bin/env", ["unshare"] + namespaces + ["sh", "-c", script, "sh", place.path(percentEncoded: false), program] + arguments,
            environment: mesh.environment, folder: mesh.folder)
    }

    /// Looks at the disk through one of the processes that see it.
    func enter(_ process: Int32) throws {
        let seen = URL(filePath: "/proc/\(process)/root\(place.path(percentEncoded: false))")
        self.seen = seen
        var own = stat()
        var other = stat()
        try #require(stat(place.path(percentEncoded: false), &own) == 0 && stat(seen.path(percentEncoded: false), &other) == 0)
        try #require(own.st_dev != other.st_dev, "\(place.path(percentEncoded: false)) is on the machine's own disk")
    }

    func fill() throws {
        let path = try #require(ballast).path(percentEncoded: false)
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        let block = [UInt8](repeating: 0, count: 4096)
        while write(file, block, block.count) > 0 {}
        try #require(errno == ENOSPC)
    }

    func free() throws { try FileManager.default.removeItem(at: try #require(ballast)) }
}
