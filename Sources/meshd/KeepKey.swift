import Foundation
import MeshModel

/// The mesh's own word for "keep this trace": random, made once, and readable by the mesh's owner only.
enum KeepKey {
    /// Reads it, or makes it; nil where the state folder can't be written, so that nobody can ask.
    static func load(from path: String) -> String? {
        if let text = try? String(contentsOfFile: path, encoding: .utf8), text.utf8.count == 32 { return text }
        var random = SystemRandomNumberGenerator()
        let key = Hexadecimal.string(random.next(), random.next())
        let made = FileManager.default.createFile(atPath: path, contents: Data(key.utf8), attributes: [.posixPermissions: 0o600])
        return made ? key : nil
    }
}
