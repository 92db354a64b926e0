import MeshConfiguration
import Testing

/// Files and variables that are only said to be there, so that no decision about a configuration needs a disk.
struct FixedEnvironment: ConfigurationEnvironment {
    var files: [String: String] = [:]
    var bytes: [String: [UInt8]] = [:]
    var variables: [String: String] = [:]
    /// Of files that may hold secrets.
    var permissions: [String: UInt32] = [:]
    /// nil: everything can be executed.
    var executables: Set<String>?
    var workingFolder = "/mesh"

    func variable(_ name: String) -> String? { variables[name] }

    func contents(ofFile path: String) throws(FileReadError) -> [UInt8] {
        if let bytes = bytes[path] { return bytes }
        guard let text = files[path] else { throw FileReadError(reason: "no such file") }
        return Array(text.utf8)
    }

    func privateFile(_ path: String) throws(FileReadError) -> PrivateFile? {
        PrivateFile(bytes: try contents(ofFile: path), permissions: permissions[path] ?? 0o600)
    }

    func fileExists(_ path: String) -> Bool { files[path] != nil || executables.map { $0.contains(path) } ?? true }
    func isExecutable(_ path: String) -> Bool { executables?.contains(path) ?? true }
}

/// A document and its findings, of a text that stands in `/mesh/mesh.yaml`.
func judge(
    _ text: String, profile: String? = nil, variables: [String: String] = [:], executables: Set<String>? = nil,
    files: [String: String] = [:]
) -> (document: MeshDocument?, findings: [Finding]) {
    var environment = FixedEnvironment(files: files, variables: variables, executables: executables)
    environment.files["/mesh/mesh.yaml"] = text
    return MeshDocument.load(path: "mesh.yaml", profile: profile, environment: environment)
}

/// `M012 4:7` for each, in their order.
func places(_ findings: [Finding]) -> [String] { findings.map { "\($0.code.rawValue) \($0.line):\($0.column)" } }

/// The folder of the package.
let packageFolder = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

/// A file of the package as text.
func packageFile(_ path: String) throws -> String {
    let bytes = try SystemConfigurationEnvironment().contents(ofFile: packageFolder + "/" + path)
    return try #require(String(validating: bytes, as: UTF8.self))
}
