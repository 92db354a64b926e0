import Foundation
import MeshAdminAPI
import Testing

@testable import mesh

@Suite final class MeshLocationTests {
    private let root: URL

    init() throws {
        root = FileManager.default.temporaryDirectory.appending(path: "location-\(UUID().uuidString.prefix(8))").standardizedFileURL
        try FileManager.default.createDirectory(at: root.appending(path: "a/b"), withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: root) }

    @discardableResult private func write(_ text: String, to name: String) throws -> String {
        let url = root.appending(path: name)
        try text.write(to: url, atomically: true, encoding: .utf8)
        return url.path
    }

    private func find(_ file: String? = nil, in folder: String = "", _ environment: [String: String] = [:]) throws -> MeshLocation {
        try MeshLocation.find(file: file, environment: environment, workingFolder: root.appending(path: folder).path)
    }

    @Test func theNearestFileAboveIsTaken() throws {
        try write("mesh: far\n", to: "mesh.yaml")
        let near = try write("mesh: near\n", to: "a/mesh.yaml")
        let location = try find(in: "a/b")
        #expect(location.file == near)
        #expect(location.name == "near")
        #expect(location.stateFolder.path == root.path + "/a/.mesh/near")
        #expect(location.selector == "")
    }

    @Test func theNamedFileComesFirst() throws {
        try write("mesh: near\n", to: "mesh.yaml")
        let named = try write("mesh: named\n", to: "a/other one.yaml")
        let location = try find("a/other one.yaml", ["MESH_STATE_DIR": root.path + "/state"])
        #expect(location.file == named)
        #expect(location.stateFolder.path == root.path + "/state")
        #expect(location.selector == " -f 'a/other one.yaml'")
    }

    @Test func aStateFolderIsEnough() throws {
        let location = try find(in: "a", ["MESH_STATE_DIR": root.path + "/state"])
        #expect(location.file == nil)
        #expect(location.stateFolder.path == root.path + "/state")
    }

    @Test func withoutAnyTheNextStepIsSaid() throws {
        let missing = #expect(throws: CommandFailure.self) { try find("nothing.yaml") }
        #expect(missing?.hint.contains("-f FILE") == true)
        #expect(missing?.exitCode == 1)
    }

    /// It is being edited while the mesh runs: `down` must work all the same.
    @Test func aBrokenFileStillNamesItsMesh() throws {
        try write("# a mesh\nmesh: \"shop\"   # its name\nservices: [ }\n", to: "mesh.yaml")
        #expect(try find().stateFolder.path == root.path + "/.mesh/shop")
    }

    @Test func aNameNeverLeadsOutOfTheFolder() throws {
        try write("mesh: ../../etc\nservices: [ }\n", to: "mesh.yaml")
        #expect(try find().stateFolder.path == root.path + "/.mesh/mesh")
    }

    @Test func theFileIsNamedAsAPersonWould() throws {
        let path = try write("mesh: shop\n", to: "mesh.yaml")
        #expect(MeshLocation.file(named: nil, workingFolder: root.path) == "mesh.yaml")
        #expect(MeshLocation.file(named: nil, workingFolder: root.path + "/a") == path)
        #expect(MeshLocation.file(named: "x.yaml", workingFolder: root.path) == "x.yaml")
    }
}
