import Foundation
import MeshAdminAPI
import MeshConfiguration

/// Which mesh a command is about: where its state lies, and the file that describes it.
struct MeshLocation {
    var stateFolder: StateFolder
    /// Absolute; nil where only `MESH_STATE_DIR` leads to the mesh.
    var file: String?
    /// How to name the mesh to a person.
    var name: String
    /// What to add to a command so that it means the same mesh: `-f shop/mesh.yaml`, or nothing.
    var selector: String

    /// Finds the mesh: by `-f`, else by `MESH_STATE_DIR`, else by the mesh.yaml of this folder or the nearest above it.
    static func find(
        file: String?, environment: [String: String] = ProcessInfo.processInfo.environment,
        workingFolder: String = FileManager.default.currentDirectoryPath
    ) throws -> MeshLocation {
        if let file {
            let absolute = absolutePath(file, in: workingFolder)
            guard FileManager.default.fileExists(atPath: absolute) else {
                throw CommandFailure("there is no file \(file)", hint: "name the mesh.yaml of the mesh: mesh … -f FILE")
            }
            return describe(absolute, selector: " -f \(quoted(file))", environment: environment)
        }
        if let folder = StateFolder.named(by: environment) {
            let near = nearestFile(from: workingFolder)
            let name = near.flatMap { Self.name(in: $0, environment: environment) } ?? (folder.path as NSString).lastPathComponent
            return MeshLocation(stateFolder: folder, file: nil, name: name, selector: "")
        }
        guard let near = nearestFile(from: workingFolder) else {
            throw CommandFailure(
                "there is no mesh.yaml in this folder or in one above it", hint: "cd to the folder of a mesh, or name its file: -f FILE")
        }
        return describe(near, selector: "", environment: environment)
    }

    /// The file that `up` and `check` read, as a person would name it.
    static func file(named file: String?, workingFolder: String = FileManager.default.currentDirectoryPath) -> String {
        if let file { return file }
        guard let near = nearestFile(from: workingFolder) else { return "mesh.yaml" }
        return near == absolutePath("mesh.yaml", in: workingFolder) ? "mesh.yaml" : near
    }

    static func absolutePath(_ path: String, in workingFolder: String = FileManager.default.currentDirectoryPath) -> String {
        URL(fileURLWithPath: path, relativeTo: URL(fileURLWithPath: workingFolder, isDirectory: true)).standardizedFileURL.path
    }

    private static func describe(_ file: String, selector: String, environment: [String: String]) -> MeshLocation {
        let name = Self.name(in: file, environment: environment) ?? "mesh"
        return MeshLocation(
            stateFolder: StateFolder(mesh: name, file: file, environment: environment), file: file, name: name, selector: selector)
    }

    private static func nearestFile(from folder: String) -> String? {
        var folder = URL(fileURLWithPath: folder, isDirectory: true).standardizedFileURL
        while true {
            let candidate = folder.appendingPathComponent("mesh.yaml").path
            if FileManager.default.fileExists(atPath: candidate) { return candidate }
            if folder.path == "/" { return nil }
            folder.deleteLastPathComponent()
        }
    }

    /// The name of the mesh; of a file that has errors (it is being edited while the mesh runs) the line that says it is enough.
    static func name(in file: String, environment: [String: String]) -> String? {
        let loaded = MeshDocument.load(path: file, environment: SystemConfigurationEnvironment(variables: environment))
        if let document = loaded.document { return document.name }
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("mesh:") {
            let value = line.dropFirst(5).prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces.union(CharacterSet(charactersIn: "\"'")))
            return value.isEmpty || value.contains("/") ? nil : value
        }
        return nil
    }

    static func quoted(_ text: String) -> String {
        text.allSatisfy { $0.isLetter || $0.isNumber || "/._-+".contains($0) } ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
