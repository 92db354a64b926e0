internal import Glibc

/// The few file operations that supervision needs; paths may have any length that the kernel takes.
package enum Files {
    package static func makeFolder(_ path: String) throws(SystemError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else { throw SystemError("making \(path)") }
        try makeFolder(String(path[..<slash]))
        if mkdir(path, 0o700) != 0 && errno != EEXIST { throw SystemError("making \(path)") }
    }

    /// The bytes from `offset` on, at most `limit`; empty if there is no such file.
    package static func read(_ path: String, from offset: Int64 = 0, limit: Int = 64 << 20) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { return [] }
        let size = max(0, min(Int64(status.st_size) - offset, Int64(limit)))
        return [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            while count < buffer.count {
                let length = pread(file, buffer.baseAddress! + count, buffer.count - count, off_t(offset) + off_t(count))
                if length <= 0 { break }
                count += length
            }
        }
    }

    /// All of a file whose size can't be known before it was read, as in /proc; empty if there is none.
    package static func stream(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
        }
    }

    package static func size(_ path: String) -> Int64? {
        var status = stat()
        return stat(path, &status) == 0 ? Int64(status.st_size) : nil
    }

    /// Replaces a file as a whole, readable by its owner only: a reader finds the old or the new one.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(SystemError) {
        let fresh = path + ".new"
        let file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemError("writing \(path)") }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 else {
                let error = SystemError("writing \(path)", code: count < 0 ? errno : ENOSPC)
                close(file)
                unlink(fresh)
                throw error
            }
            written += count
        }
        close(file)
        if rename(fresh, path) != 0 { throw SystemError("writing \(path)") }
    }

    package static func remove(_ path: String) { unlink(path) }
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The names in a folder, sorted; none if there is no such folder.
    package static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
