import Foundation
import MeshAdminAPI

/// Finds what the instances logged for one trace: lines that carry its id, as swift-log writes them in a request.
struct TraceLogs: Sendable {
    var sources: [LogSource]

    /// How much later than its event a line may be timed: the shim times what it reads.
    private static let delay: Int64 = 5_000_000_000
    /// A clock that was set meanwhile may time it before.
    private static let advance: Int64 = 1_000_000_000

    /// The lines that name the trace, merged by time; within the times of the trace. Blocks on the disk.
    func lines(of trace: String, from: Timestamp, to: Timestamp) -> [LogLine] {
        let (first, last) = (Timestamp(nanoseconds: from.nanoseconds - Self.advance), Timestamp(nanoseconds: to.nanoseconds + Self.delay))
        return sources.flatMap { source in
            LogFile(path: source.path).files.flatMap { $0.lines(containing: trace, from: first, to: last) }.map { source.line($0) }
        }
        .sorted { $0.time < $1.time }
    }

    /// Puts what was logged under the spans that it was logged in. Blocks on the disk.
    func join(_ detail: inout TraceDetail) {
        guard let start = detail.spans.map(\.startUnixNano).min(), let end = detail.spans.map({ $0.startUnixNano + $0.durationNS }).max()
        else { return }
        let positions = Dictionary(detail.spans.enumerated().map { ($1.spanID, $0) }, uniquingKeysWith: { first, _ in first })
        for line in lines(of: detail.traceID, from: Timestamp(nanoseconds: start), to: Timestamp(nanoseconds: end)) {
            let entry = TracedLine(line.text, trace: detail.traceID)
            // One whose span is not there (a program's that knows only the trace) goes to its service's first.
            let place = entry.spanID.flatMap { positions[$0] } ?? detail.spans.firstIndex { $0.service == line.service } ?? 0
            detail.spans[place].logs =
                (detail.spans[place].logs ?? []) + [
                    .init(timeUnixNano: line.time.nanoseconds, level: entry.level, text: entry.text)
                ]
        }
    }
}

/// A line of a log without what the trace says already: its ids.
struct TracedLine: Hashable {
    var level: String?
    var spanID: String?
    var text: String

    /// - Parameter line: as `MeshLogHandler` writes it, text or JSON; any other is taken as it is.
    init(_ line: String, trace: String) {
        if line.hasPrefix("{"), let fields = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
            let message = fields["message"] as? String
        {
            level = fields["level"] as? String
            spanID = fields["span_id"] as? String
            let known: Set = ["time", "level", "label", "message", "trace_id", "span_id"]
            let rest = fields.filter { !known.contains($0.key) }.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
            text = ((fields["label"] as? String).map { "\($0): " } ?? "") + message + rest.joined()
            return
        }
        var text = line
        spanID = text.firstMatch(of: #/\bspan_id="?([0-9a-f]{16})\b/#).map { String($0.1) }
        for known in spanID.map({ ["span_id=\($0)", "trace_id=\(trace)"] }) ?? ["trace_id=\(trace)"] {
            if let found = text.range(of: " " + known) { text.removeSubrange(found) }
        }
        if let word = text.firstMatch(of: #/^(trace|debug|info|notice|warning|error|critical) /#) {
            level = String(word.1)
            text.removeSubrange(word.range)
        }
        self.text = text
    }
}

extension LogFile {
    /// More of a log than this is not looked through for one trace.
    private static let mostBytes = 32 << 20
    private static let portion = 1 << 20

    /// This file and those that it went on from, the oldest first.
    fileprivate var files: [LogFile] {
        let older = (1...).lazy.map { LogFile(path: "\(path).\($0)") }.prefix { access($0.path, F_OK) == 0 }
        return older.reversed() + [self]
    }

    /// The lines between two times that hold the text. The file is searched by its times, which rise.
    func lines(containing text: String, from: Timestamp, to: Timestamp) -> [Line] {
        guard let file = FileHandle(forReadingAtPath: path), let end = try? file.seekToEnd() else { return [] }
        defer { try? file.close() }
        let start = firstLine(since: from, in: file, end: end)
        var offset = start
        var torn = Data()
        var found: [Line] = []
        while offset < end, offset - start < UInt64(Self.mostBytes) {
            guard (try? file.seek(toOffset: offset)) != nil, let data = try? file.read(upToCount: Self.portion), !data.isEmpty else {
                break
            }
            offset += UInt64(data.count)
            var whole = torn + data
            guard let last = whole.lastIndex(of: UInt8(ascii: "\n")) else {
                torn = whole
                continue
            }
            torn = Data(whole[(last + 1)...])
            whole = whole[whole.startIndex...last]
            if whole.range(of: Data(text.utf8)) != nil {
                for line in String(decoding: whole, as: UTF8.self).split(separator: "\n") where line.contains(text) {
                    if let line = Line(line), line.time >= from, line.time <= to { found.append(line) }
                }
            }
            if let time = Self.time(ofFirstLineIn: whole), time > to { break }
        }
        return found
    }

    /// Where the first line since then begins, or one not far before it.
    private func firstLine(since time: Timestamp, in file: FileHandle, end: UInt64) -> UInt64 {
        var (low, high) = (UInt64(0), end)
        while high - low > UInt64(Self.portion) {
            let middle = low + (high - low) / 2
            guard (try? file.seek(toOffset: middle)) != nil, let data = try? file.read(upToCount: Self.portion / 4),
                let feed = data.firstIndex(of: UInt8(ascii: "\n")), let met = Self.time(ofFirstLineIn: data[(feed + 1)...])
            else { return low }
            if met < time { low = middle } else { high = middle }
        }
        return low
    }

    private static func time(ofFirstLineIn data: Data) -> Timestamp? {
        guard let space = data.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        return Timestamp(String(decoding: data[data.startIndex..<space], as: UTF8.self))
    }
}
