internal import Glibc

/// Finds who listens on a TCP port, by the kernel's tables: needs no right but that of the same user.
enum PortHolder {
    static func find(_ port: Int) -> String? {
        let sockets = Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap { listeners(in: lines(of: $0), port: port) })
        guard !sockets.isEmpty else { return nil }
        for name in Files.names(in: "/proc") {
            guard let process = Int32(name) else { continue }
            for descriptor in Files.names(in: "/proc/\(process)/fd") where sockets.contains(target("/proc/\(process)/fd/\(descriptor)")) {
                let command = lines(of: "/proc/\(process)/comm").first ?? "a program"
                return "\(command) (pid \(process))"
            }
        }
        return nil
    }

    /// The sockets, as /proc/PID/fd names them, that are in state LISTEN (0A) on that local port.
    private static func listeners(in lines: [Substring], port: Int) -> [String] {
        lines.dropFirst().compactMap { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count > 9, fields[3] == "0A", let local = fields[1].split(separator: ":").last, Int(local, radix: 16) == port
            else { return nil }
            return "socket:[\(fields[9])]"
        }
    }

    /// Files of /proc tell no size.
    private static func lines(of path: String) -> [Substring] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count <= 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    private static func target(_ link: String) -> String {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = buffer.withUnsafeMutableBytes { readlink(link, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count) }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
    }
}
