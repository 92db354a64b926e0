import Foundation
import MeshTerminal
import Testing

/// Compares what is drawn with a file of this folder, so that a change of what a person sees is seen in a review.
///
/// `MESH_GOLDEN=write swift test` writes the files anew, and fails, so that nobody takes that for a test.
enum Golden {
    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/Golden"

    static func expect(_ name: String, _ lines: [StyledText], sourceLocation: SourceLocation = #_sourceLocation) {
        let path = "\(folder)/\(name).txt"
        let text = TerminalTraits().render(lines)
        if ProcessInfo.processInfo.environment["MESH_GOLDEN"] == "write" {
            try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try? text.write(toFile: path, atomically: true, encoding: .utf8)
            Issue.record("wrote \(name).txt: read the difference, then test without MESH_GOLDEN", sourceLocation: sourceLocation)
            return
        }
        guard let wanted = try? String(contentsOfFile: path, encoding: .utf8) else {
            Issue.record("there is no \(path): MESH_GOLDEN=write swift test --filter MeshTerminalTests", sourceLocation: sourceLocation)
            return
        }
        #expect(text == wanted, "differs from \(name).txt", sourceLocation: sourceLocation)
    }
}
