import Foundation
import Testing

/// A mesh of real processes in a folder of its own, ended with the test.
///
/// Every process that belongs to it carries `MESH_TEST_ID` in its environment, so that one that is left behind is found.
final class TestMesh {
    let folder: URL
    let file: URL
    let stateFolder: URL
    var environment: [String: String]
    private let id = UUID().uuidString

    /// - Parameters:
    ///   - yaml: the mesh.yaml; `${BIN}` in it stands for the folder of the executables.
    ///   - stateFolder: where the state lies, relative to the test's folder.
    init(_ yaml: String, stateFolder: String = "state", environment extra: [String: String] = [:]) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "mesh-test-\(id.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        file = folder.appending(path: "mesh.yaml")
        self.stateFolder = folder.appending(path: stateFolder)
        environment = ProcessInfo.processInfo.environment
        for name in environment.keys where name.hasPrefix("MESH_") || name == "PORT" { environment[name] = nil }
        environment["BIN"] = try Self.programs(by: folder.appending(path: "bin"))
        environment["MESH_STATE_DIR"] = self.stateFolder.path(percentEncoded: false)
        environment["MESH_TEST_ID"] = id
        environment["NO_COLOR"] = "1"
        environment.merge(extra) { $1 }
        try write(yaml)
    }

    /// The folder of the executables; by a link where its own path has a blank, at which the text of a `run:` is cut into words.
    private static func programs(by link: URL) throws -> String {
        let path = Programs.folder.path(percentEncoded: false)
        guard path.contains(" ") else { return path }
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: Programs.folder)
        return link.path(percentEncoded: false)
    }

    /// The shop of this repository, its executables those of this build, its port from the kernel.
    static func shop(stateFolder: String = "state", environment: [String: String] = [:]) throws -> TestMesh {
        let yaml = try String(contentsOf: Programs.checkout.appending(path: "mesh.yaml"), encoding: .utf8)
        // Its times are those of a release build; these are debug builds beside other tests, and every tier's share grows alike.
        let patient = yaml.replacing(/(timeout|deadline): ([0-9]+)(ms|s)/) { "\($0.1): \((Int($0.2) ?? 0) * 20)\($0.3)" }
        return try TestMesh(
            patient.replacing(".build/release", with: "${BIN}"), stateFolder: stateFolder,
            environment: ["PORT": "0"].merging(environment) { $1 })
    }

    func write(_ yaml: String) throws { try yaml.write(to: file, atomically: true, encoding: .utf8) }

    /// Runs `mesh` to its end.
    @discardableResult
    func mesh(_ arguments: String..., within bound: TimeInterval = 60) throws -> CommandRun {
        try start(arguments).end(within: bound)
    }

    /// Starts `mesh` and goes on.
    func start(_ arguments: [String]) throws -> RunningCommand {
        let withFile =
            ["up", "check", "plan"].contains(arguments.first) ? arguments + ["-f", file.path(percentEncoded: false)] : arguments
        return try RunningCommand(Programs.path("mesh"), withFile, environment: environment, folder: folder)
    }

    /// `mesh up -d`, expected to succeed.
    func up(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let run = try mesh("up", "-d", within: 120)
        try #require(run.status == 0, "mesh up: \(run.errors)\(run.output)\(daemonLog)", sourceLocation: sourceLocation)
    }

    var instances: [[String: Any]] { get throws { try mesh("ps", "--json").objects } }

    /// `http://127.0.0.1:port` of the gateway.
    var gateway: String {
        get throws {
            let address = try instances.first { $0["service"] as? String == "gateway" }?["address"] as? String
            return "http://\(try #require(address))"
        }
    }

    var daemonLog: String { (try? String(contentsOf: stateFolder.appending(path: "daemon.log"), encoding: .utf8)) ?? "" }

    /// Ids of all processes that belong to this mesh.
    var processes: [Int32] {
        let marker = Data("MESH_TEST_ID=\(id)".utf8)
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { Int32($0) }.filter { process in
            guard let environment = FileManager.default.contents(atPath: "/proc/\(process)/environ") else { return false }
            return environment.range(of: marker) != nil
        }
    }

    deinit {
        if !processes.isEmpty {
            _ = try? mesh("down", within: 30)
            for process in processes { kill(process, SIGKILL) }
        }
        try? FileManager.default.removeItem(at: folder)
    }
}
