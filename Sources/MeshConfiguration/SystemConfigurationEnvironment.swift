import Glibc

/// The files and folders of this machine, with the variables of this process or of another one.
package struct SystemConfigurationEnvironment: ConfigurationEnvironment {
    /// nil: those of this process.
    private let variables: [String: String]?
    package let workingFolder: String

    /// - Parameter variables: of the process on whose behalf the file is read; nil for this one.
    package init(variables: [String: String]? = nil, workingFolder: String? = nil) {
        self.variables = variables
        self.workingFolder = workingFolder ?? Self.currentFolder()
    }

    package func variable(_ name: String) -> String? {
        if let variables { return variables[name] }
        return getenv(name).map { String(cString: $0) }
    }

    package func contents(ofFile path: String) throws(FileReadError) -> [UInt8] { try read(path).bytes }

    package func privateFile(_ path: String) throws(FileReadError) -> PrivateFile? {
        let (bytes, status) = try read(path)
        return PrivateFile(bytes: bytes, permissions: status.st_mode & 0o777)
    }

    private func read(_ path: String) throws(FileReadError) -> (bytes: [UInt8], status: stat) {
        // One that nobody writes to, such as a FIFO, must not hold up who reads.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.lastError() }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.lastError() }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw FileReadError(reason: "it is a folder") }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.lastError()
            }
            if count == 0 { return (bytes, status) }
            bytes.append(contentsOf: chunk[..<count])
            // Far above what a reader could follow; /dev/zero must not fill the memory.
            if bytes.count > YAMLReader.maximumBytes { return (bytes, status) }
        }
    }

    package func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    package func isExecutable(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    private static func currentFolder() -> String {
        guard let folder = getcwd(nil, 0) else { return "/" }
        defer { free(folder) }
        return String(cString: folder)
    }

    private static func lastError() -> FileReadError {
        switch errno {
        case ENOENT: FileReadError(reason: "no such file")
        case let number: FileReadError(reason: String(cString: strerror(number)).lowercased())
        }
    }
}
