import Foundation

/// The executables under test, as this build made them.
enum Programs {
    /// The folder of the test binary: SwiftPM puts executables beside it. `MESH_PROGRAMS` names that of another build.
    static let folder: URL = {
        if let other = ProcessInfo.processInfo.environment["MESH_PROGRAMS"] { return URL(filePath: other) }
        let own = URL(filePath: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0])
        return own.deletingLastPathComponent()
    }()

    static let checkout = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Made by scripts/python.
    static let python = checkout.appending(path: ".build/python/bin/python3").path(percentEncoded: false)

    /// One of Tests/Python.
    static func python(_ name: String) -> String { checkout.appending(path: "Tests/Python/\(name)").path(percentEncoded: false) }

    static func path(_ name: String) -> String { folder.appending(path: name).path(percentEncoded: false) }
}
