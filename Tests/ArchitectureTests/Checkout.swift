import Foundation

/// The files of this checkout, as the tests read them.
enum Checkout {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func swiftFiles(below folder: String) throws -> [URL] {
        guard let walk = FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil) else {
            throw CocoaError(.fileReadNoSuchFile)
        }
        let files = walk.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
        guard folder == "Sources/CMeshSystem" || !files.isEmpty else { throw CocoaError(.fileReadNoSuchFile) }
        return files
    }

    /// Paths, relative to the root, of the folders that lie `depth` levels below `folder`.
    static func folders(below folder: String, depth: Int = 1) throws -> [String] {
        let children = try FileManager.default.contentsOfDirectory(
            at: root.appending(path: folder), includingPropertiesForKeys: [.isDirectoryKey], options: .skipsHiddenFiles
        ).filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true }.map { "\(folder)/\($0.lastPathComponent)" }
        return depth == 1 ? children : try children.flatMap { try folders(below: $0, depth: depth - 1) }
    }

    /// The modules that a source text imports.
    static func imports(in source: String) -> [String] {
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        return source.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let at = words.firstIndex(of: "import"), at + 1 < words.count,
                words[..<at].allSatisfy({ $0.hasPrefix("@") || ["public", "package", "internal", "private", "fileprivate"].contains($0) })
            else { return nil }
            let name = kinds.contains(words[at + 1]) && at + 2 < words.count ? words[at + 2] : words[at + 1]
            return String(name.prefix { $0 != "." })
        }
    }
}
