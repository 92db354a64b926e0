import Foundation
import MeshAdminAPI
import MeshSupervision

/// The log of one replica, as its shim writes it: `TIME INCARNATION out|err|shim TEXT`, a line each.
///
/// Where the file at `path` has become too large, its older part lies in `path.1`, and so on. A line never lies in two files.
struct LogFile: Sendable {
    var path: String

    struct Line: Hashable, Sendable {
        var time: Timestamp
        /// The incarnation that wrote it.
        var instance: String
        var stream: LogLine.Stream
        var text: String

        /// Reads a line; nil for one that is torn.
        init?(_ line: Substring) {
            let fields = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
            guard fields.count == 4, let time = Timestamp(fields[0]) else { return nil }
            self.time = time
            instance = String(fields[1])
            stream = fields[2] == "out" ? .out : fields[2] == "err" ? .error : .mesh
            text = String(fields[3])
        }
    }

    /// How far somebody has read.
    struct Position: Hashable, Sendable {
        /// Of the file, whatever it is called by now.
        fileprivate var inode: UInt64
        /// How the file begins: the number of one that was dropped may be another's.
        fileprivate var head: [UInt8]
        fileprivate var offset: UInt64
    }

    /// How much is read at once.
    private static let block = 1 << 20

    /// The last of the last `count` lines that an incarnation wrote, oldest first; none if there is no log.
    func lastLines(_ count: Int, of instance: String) -> [Line] {
        last(count).lines.filter { $0.instance == instance }
    }

    /// The last `count` lines that are wanted and not older than `since`, oldest first, and where the log goes on behind them.
    func last(
        _ count: Int, since: Timestamp? = nil, where isWanted: (Line) -> Bool = { _ in true }
    ) -> (lines: [Line], end: Position?) {
        let files = Generation.all(of: path)
        let end = files.first.map { Position(inode: $0.inode, head: $0.head, offset: $0.endOfLines) }
        var found: [Line] = []
        for file in files where count > 0 {
            let goesOn = file.readBackwards(block: Self.block) { text in
                guard let line = Line(text) else { return true }
                if let since, line.time < since { return false }
                if isWanted(line) { found.append(line) }
                return found.count < count
            }
            if !goesOn { break }
        }
        return (found.reversed(), end)
    }

    /// What was written since `position`, in whole lines, at most about a block of it; `position` moves behind them.
    ///
    /// - Returns: also whether something in between is gone, since files were dropped meanwhile.
    func readOn(from position: inout Position?) -> (lines: [Line], isTorn: Bool) {
        let files = Generation.all(of: path)
        guard let oldest = files.last else { return ([], false) }
        let known = position.flatMap { position in files.firstIndex { $0.inode == position.inode && $0.head.starts(with: position.head) } }
        let isTorn = position != nil && known == nil
        var lines: [Line] = []
        var at = position.flatMap { known == nil ? nil : $0 } ?? Position(inode: oldest.inode, head: oldest.head, offset: 0)
        for index in stride(from: known ?? files.count - 1, through: 0, by: -1) {
            let file = files[index]
            if at.inode != file.inode { at = Position(inode: file.inode, head: [], offset: 0) }
            at.head = file.head
            // Shorter than before: it was begun anew.
            if at.offset > file.size { at.offset = 0 }
            let (text, isAll) = file.read(from: at.offset, atMost: Self.block)
            lines += text.split(separator: "\n").compactMap { Line($0) }
            at.offset += UInt64(text.utf8.count)
            if !isAll { break }
        }
        position = at
        return (lines, isTorn)
    }
}

/// One file of a log, opened, so that it stays the same one while it is given another name.
private final class Generation {
    let inode: UInt64
    let size: UInt64
    private let descriptor: Int32

    private init?(_ path: String) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            close(descriptor)
            return nil
        }
        inode = UInt64(status.st_ino)
        size = UInt64(status.st_size)
    }

    deinit { close(descriptor) }

    /// The newest first. One that gets its next name meanwhile is met once.
    static func all(of path: String) -> [Generation] {
        var files: [Generation] = []
        var number = 0
        while true {
            let file = Generation(number == 0 ? path : "\(path).\(number)")
            // Between two names there may be none for a moment.
            if file == nil, number > 0 { return files }
            if let file, !files.contains(where: { $0.inode == file.inode }) { files.append(file) }
            number += 1
        }
    }

    /// Its first line as far as the time and the incarnation: no other file begins so.
    var head: [UInt8] { read(0..<min(size, 64)) }

    /// Where its last whole line ends.
    var endOfLines: UInt64 {
        var end = size
        while end > 0 {
            let from = end > 4096 ? end - 4096 : 0
            let bytes = read(from..<end)
            if let newline = bytes.lastIndex(of: UInt8(ascii: "\n")) { return from + UInt64(newline) + 1 }
            end = from
        }
        return 0
    }

    /// Whole lines from `offset` on, and whether they are all that are there.
    func read(from offset: UInt64, atMost limit: Int) -> (text: String, isAll: Bool) {
        guard offset < size else { return ("", true) }
        let end = min(size, offset + UInt64(limit))
        let bytes = read(offset..<end)
        guard let last = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return ("", true) }
        return (String(decoding: bytes[...last], as: UTF8.self), end == size)
    }

    /// Calls `each` with every whole line, the last first, for as long as that says so.
    func readBackwards(block: Int, each: (Substring) -> Bool) -> Bool {
        var end = size
        // The end of a line that begins before what was read.
        var rest: [UInt8] = []
        var isLast = true
        while end > 0 {
            let from = end > UInt64(block) ? end - UInt64(block) : 0
            var bytes = read(from..<end) + rest
            if isLast {
                guard let newline = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return true }
                bytes.removeSubrange((newline + 1)...)
                isLast = false
            }
            rest = []
            if from > 0 {
                guard let newline = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
                    (rest, end) = (bytes, from)
                    continue
                }
                rest = Array(bytes[...newline])
                bytes.removeSubrange(...newline)
            }
            for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").reversed() where !each(line) { return false }
            end = from
        }
        return true
    }

    private func read(_ range: Range<UInt64>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            while count < buffer.count {
                let length = pread(descriptor, buffer.baseAddress! + count, buffer.count - count, off_t(range.lowerBound) + off_t(count))
                if length < 0, errno == EINTR { continue }
                if length <= 0 { break }
                count += length
            }
        }
    }
}
