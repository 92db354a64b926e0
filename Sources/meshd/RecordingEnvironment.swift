import MeshConfiguration
import MeshModel

/// Keeps what was read of a configuration, so that it can be applied again when the files say something else.
final class RecordingEnvironment: ConfigurationEnvironment {
    private let system: any ConfigurationEnvironment
    private let read = Guarded<[String: [UInt8]]>([:])

    init(_ system: any ConfigurationEnvironment) { self.system = system }

    /// By their absolute paths.
    var files: [String: String] { read.withLock { $0.mapValues { String(decoding: $0, as: UTF8.self) } } }

    func variable(_ name: String) -> String? { system.variable(name) }
    var workingFolder: String { system.workingFolder }
    func fileExists(_ path: String) -> Bool { system.fileExists(path) }
    func isExecutable(_ path: String) -> Bool { system.isExecutable(path) }
    func privateFile(_ path: String) throws(FileReadError) -> PrivateFile? { try system.privateFile(path) }

    func contents(ofFile path: String) throws(FileReadError) -> [UInt8] {
        let bytes = try system.contents(ofFile: path)
        read.withLock { $0[path] = bytes }
        return bytes
    }
}

/// Files as they were; everything else as it is.
struct RecordedEnvironment: ConfigurationEnvironment {
    let files: [String: String]
    let system: SystemConfigurationEnvironment

    func variable(_ name: String) -> String? { system.variable(name) }
    var workingFolder: String { system.workingFolder }
    func fileExists(_ path: String) -> Bool { files[path] != nil || system.fileExists(path) }
    func isExecutable(_ path: String) -> Bool { system.isExecutable(path) }
    /// Secrets are never kept: those of today.
    func privateFile(_ path: String) throws(FileReadError) -> PrivateFile? { try system.privateFile(path) }

    func contents(ofFile path: String) throws(FileReadError) -> [UInt8] {
        if let text = files[path] { return Array(text.utf8) }
        return try system.contents(ofFile: path)
    }
}
