import Foundation
import MeshAdminAPI

/// The log of one replica, as its shim writes it: `TIME INCARNATION out|err|shim TEXT`, a line each.
struct LogFile: Sendable {
    var path: String

    struct Line: Hashable, Sendable {
        var time: Timestamp
        /// The incarnation that wrote it.
        var instance: String
        /// Whether the instance wrote it to its standard error.
        var isError: Bool
        var text: String

        /// Reads a line; nil for one that is torn.
        init?(_ line: Substring) {
            let fields = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
            guard fields.count == 4, let time = Timestamp(fields[0]) else { return nil }
            self.time = time
            instance = String(fields[1])
            isError = fields[2] != "out"
            text = String(fields[3])
        }
    }

    /// How much of the end of a file is looked at for its last lines.
    private static let longestLook = 8 << 20

    /// The last of the last `count` lines that an incarnation wrote, oldest first; none if there is no log.
    func lastLines(_ count: Int, of instance: String) -> [Line] { read(last: count).lines.filter { $0.instance == instance } }

    /// The last `count` lines, and where the file goes on.
    func read(last count: Int) -> (lines: [Line], end: UInt64) {
        guard let file = FileHandle(forReadingAtPath: path), let end = try? file.seekToEnd() else { return ([], 0) }
        defer { try? file.close() }
        guard count > 0 else { return ([], end) }
        var look = UInt64(min(count * 256, Self.longestLook))
        while true {
            let from = end > look ? end - look : 0
            guard (try? file.seek(toOffset: from)) != nil, let data = try? file.read(upToCount: Int(end - from)) else { return ([], end) }
            var lines = Self.lines(of: data)
            // The first of a look that begins inside the file is torn.
            if from > 0, !lines.isEmpty { lines.removeFirst() }
            if from == 0 || lines.count >= count || look >= Self.longestLook {
                return (lines.suffix(count).compactMap(Line.init), end)
            }
            look *= 4
        }
    }

    /// What was written since `offset`, in whole lines; `offset` moves behind them.
    func readOn(from offset: inout UInt64) -> [Line] {
        guard let file = FileHandle(forReadingAtPath: path), let end = try? file.seekToEnd() else { return [] }
        defer { try? file.close() }
        // Shorter than before: it was begun anew.
        if end < offset { offset = 0 }
        guard end > offset, (try? file.seek(toOffset: offset)) != nil,
            let data = try? file.read(upToCount: Int(min(end - offset, UInt64(Self.longestLook)))),
            let last = data.lastIndex(of: UInt8(ascii: "\n"))
        else { return [] }
        let whole = data[data.startIndex...last]
        offset += UInt64(whole.count)
        return Self.lines(of: whole).compactMap(Line.init)
    }

    private static func lines(of data: Data) -> [Substring] {
        String(decoding: data, as: UTF8.self).split(separator: "\n")
    }
}
