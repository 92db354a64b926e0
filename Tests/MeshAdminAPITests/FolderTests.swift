import Foundation
import MeshAdminAPI
import Testing

@Suite final class FolderTests {
    private let root: URL

    init() throws {
        root = FileManager.default.temporaryDirectory.appending(path: "folders-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: root) }

    private func folder(_ name: String) throws -> StateFolder {
        let url = root.appending(path: name)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return StateFolder(path: url.path)
    }

    @Test func stateLiesBesideTheFileUnlessTheEnvironmentNamesAFolder() {
        #expect(StateFolder(mesh: "shop", file: "/a/b/mesh.yaml", environment: [:]).path == "/a/b/.mesh/shop")
        #expect(StateFolder(mesh: "shop", file: "/a/b/mesh.yaml", environment: ["MESH_STATE_DIR": ""]).path == "/a/b/.mesh/shop")
        #expect(StateFolder(mesh: "shop", file: "/a/b/mesh.yaml", environment: ["MESH_STATE_DIR": "/s/../t"]).path == "/t")
        #expect(StateFolder.named(by: [:]) == nil)
    }

    /// A state folder may be far deeper than a socket's path may be long.
    @Test func socketsAlwaysFitIntoTheirLimit() throws {
        let deep = try folder(String(repeating: "deep/", count: 40))
        for environment in [
            [:], ["TMPDIR": "/" + String(repeating: "long", count: 30)], ["XDG_RUNTIME_DIR": "/run/user/1000"], ["TMPDIR": root.path],
        ] {
            let path = RuntimeFolder.path(stateFolder: deep.path, environment: environment)
            #expect((path + "/inventory-10-control-a41f0000.sock").utf8.count <= 107, "\(path)")
        }
    }

    @Test func aLinkToAStateFolderIsTheSameFolder() throws {
        let state = try folder("real")
        let link = root.appending(path: "link")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: URL(fileURLWithPath: state.path))
        #expect(
            RuntimeFolder.path(stateFolder: link.path, environment: [:]) == RuntimeFolder.path(stateFolder: state.path, environment: [:]))
        #expect(
            RuntimeFolder.path(stateFolder: link.path + "/later", environment: [:])
                == RuntimeFolder.path(stateFolder: state.path + "/later", environment: [:]))
        #expect(
            RuntimeFolder.path(stateFolder: root.path, environment: [:]) != RuntimeFolder.path(stateFolder: state.path, environment: [:]))
    }

    @Test func aShellWithAnotherRuntimeFolderFindsTheDaemon() throws {
        let state = try folder("state")
        let runtime = root.appending(path: "run")
        try FileManager.default.createDirectory(at: runtime, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let short = "/tmp/r-\(UUID().uuidString.prefix(6))"
        try FileManager.default.createSymbolicLink(atPath: short, withDestinationPath: runtime.path)
        defer { try? FileManager.default.removeItem(atPath: short) }
        let created = try RuntimeFolder.create(for: state, environment: ["XDG_RUNTIME_DIR": short])
        #expect(created.path.hasPrefix(short + "/mesh-"))
        let mode = try FileManager.default.attributesOfItem(atPath: created.path)[.posixPermissions] as? Int
        #expect(mode == 0o700)
        #expect(RuntimeFolder.locate(state, environment: [:]) == created)
        #expect(try RuntimeFolder.create(for: state, environment: ["XDG_RUNTIME_DIR": short]) == created)
    }

    @Test func aFolderThatIsOpenToOthersIsRefused() throws {
        let state = try folder("state")
        let short = "/tmp/r-\(UUID().uuidString.prefix(6))"
        try FileManager.default.createDirectory(atPath: short, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: short) }
        let path = RuntimeFolder.path(stateFolder: state.path, environment: ["XDG_RUNTIME_DIR": short])
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let problem = #expect(throws: Problem.self) { try RuntimeFolder.create(for: state, environment: ["XDG_RUNTIME_DIR": short]) }
        #expect(problem?.hint?.isEmpty == false)
    }
}
