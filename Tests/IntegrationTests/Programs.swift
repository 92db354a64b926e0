import Foundation

/// The executables under test, as this build made them.
enum Programs {
    /// The folder of the test binary: SwiftPM puts executables beside it.
    static let folder: URL = {
        let own = URL(filePath: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0])
        return own.deletingLastPathComponent()
    }()

    static let checkout = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func path(_ name: String) -> String { folder.appending(path: name).path(percentEncoded: false) }
}
