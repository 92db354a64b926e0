import Glibc
import MeshModel
import MeshTelemetry

/// Writes whole lines to a descriptor without ever making the writer wait for a slow reader.
///
/// The standard output of a service is a pipe that may have no reader for a while, and what writes a line may be an event loop.
/// So a line that a full pipe does not take is dropped, and the next one that it takes is preceded by the number of those lost.
final class LineWriter: Sendable {
    static let standardOutput = LineWriter(descriptor: STDOUT_FILENO)
    static let standardError = LineWriter(descriptor: STDERR_FILENO)

    /// POSIX's PIPE_BUF on Linux: a pipe that is writable at all takes so much at once and unmixed with other writers' bytes.
    static let longestLine = 4096

    private let descriptor: Int32
    private let isPipe: Bool
    private let lost = Guarded<UInt64>(0)

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var status = stat()
        isPipe = fstat(descriptor, &status) == 0 && (status.st_mode & S_IFMT == S_IFIFO || status.st_mode & S_IFMT == S_IFSOCK)
    }

    /// Lines dropped and not yet told of.
    var dropped: UInt64 { lost.withLock { $0 } }

    /// `line` is without its line feed.
    func write(_ line: String) {
        let line = line + "\n"
        lost.withLock { lost in
            guard isReady else {
                lost += 1
                return
            }
            if lost > 0 {
                let notice = "\(lost) log line\(lost == 1 ? "" : "s") lost: nobody read them\n"
                guard put(notice), isReady else {
                    lost += 1
                    return
                }
                lost = 0
            }
            if !put(line) { lost += 1 }
        }
    }

    private var isReady: Bool {
        guard isPipe else { return true }
        var question = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&question, 1, 0) == 1 && question.revents & Int16(POLLOUT) != 0
    }

    private func put(_ line: String) -> Bool {
        var text = line
        return text.withUTF8 { bytes in
            let isLong = isPipe && bytes.count > Self.longestLine
            guard isLong else { return WholeWrite.write(UnsafeRawBufferPointer(bytes), to: descriptor) }
            var cut = Self.longestLine - 4
            while cut > 0, bytes[cut] & 0xc0 == 0x80 { cut -= 1 }
            return WholeWrite.write(Array(bytes[..<cut]) + [UInt8]("...\n".utf8), to: descriptor)
        }
    }
}
