/// What a configuration is judged against and cannot know by itself; a value in tests, the system in programs.
package protocol ConfigurationEnvironment: Sendable {
    /// An environment variable; nil where it isn't set.
    func variable(_ name: String) -> String?
    /// Absolute.
    var workingFolder: String { get }
    func contents(ofFile path: String) throws(FileReadError) -> [UInt8]
    /// What lies in a file that may hold secrets: nobody keeps it. Nil where it is taken for granted that all is well with it.
    func privateFile(_ path: String) throws(FileReadError) -> PrivateFile?
    func fileExists(_ path: String) -> Bool
    func isExecutable(_ path: String) -> Bool
}

/// A file that may hold secrets, and who may read it.
package struct PrivateFile: Sendable {
    package var bytes: [UInt8]
    /// The permission bits of its mode.
    package var permissions: UInt32

    package init(bytes: [UInt8], permissions: UInt32) {
        self.bytes = bytes
        self.permissions = permissions
    }
}

/// Why a file could not be read, as one says it: "no such file".
package struct FileReadError: Error, Hashable, Sendable {
    package var reason: String

    package init(reason: String) { self.reason = reason }
}

/// File names without a file system.
enum FilePath {
    static func isAbsolute(_ path: String) -> Bool { path.hasPrefix("/") }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// `path` as seen from `folder`, with `.` and `..` worked off by name.
    static func join(_ folder: String, _ path: String) -> String {
        normalized(isAbsolute(path) || folder.isEmpty ? path : folder + "/" + path)
    }

    static func normalized(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." {
                parts.removeLast()
            } else if part != ".." || !isAbsolute(path) {
                parts.append(part)
            }
        }
        let joined = parts.joined(separator: "/")
        return isAbsolute(path) ? "/" + joined : (joined.isEmpty ? "." : joined)
    }
}
