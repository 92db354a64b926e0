import Foundation
import MeshAdminAPI
import MeshModel
import MeshTelemetry

/// Whose log it is.
struct LogSource: Sendable {
    var service: String
    var replica: String
    var path: String
    /// Lines of this incarnation only.
    var incarnation: String?
}

/// Reads the logs of several replicas as one, in the order of time.
struct LogReader: Sendable {
    /// Asked again while logs are followed: replicas come and go.
    var sources: @Sendable () async -> [LogSource]

    /// How often a followed log is looked at.
    private static let lookEvery = Duration.milliseconds(100)
    /// A line is told so long after it was written, so that an older one of another replica comes before it.
    private static let settlesAfter: Int64 = 50_000_000

    /// - Parameter last: what is told in the end.
    func lines(_ query: LogQuery, then last: [LogLine] = []) -> AsyncStream<LogLine> {
        let (stream, continuation) = AsyncStream.makeStream(of: LogLine.self)
        let task = Task {
            let since = query.since.map { Timestamp(nanoseconds: HostClock.wall().nanoseconds - Int64($0) * 1_000_000_000) }
            var positions: [String: LogFile.Position] = [:]
            var first: [LogLine] = []
            for source in await sources() {
                let (lines, end) = LogFile(path: source.path).last(query.lines, since: since) { source.wants($0) }
                positions[source.path] = end
                first += lines.map(source.line)
            }
            for line in Self.merged(first).suffix(query.lines) { continuation.yield(line) }
            if query.follow { await follow(query, from: positions, continuation) }
            for line in last { continuation.yield(line) }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    private func follow(
        _ query: LogQuery, from positions: [String: LogFile.Position], _ continuation: AsyncStream<LogLine>.Continuation
    ) async {
        var positions: [String: LogFile.Position] = positions
        var waiting: [LogLine] = []
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.lookEvery)
            let settled = Timestamp(nanoseconds: HostClock.wall().nanoseconds - Self.settlesAfter)
            for source in await sources() {
                var position = positions[source.path]
                let (lines, isTorn) = LogFile(path: source.path).readOn(from: &position)
                positions[source.path] = position
                if isTorn {
                    waiting.append(
                        LogLine(
                            time: lines.first?.time ?? settled, service: source.service, instance: source.replica, stream: .mesh,
                            text: "lines are missing here: they were written faster than they could be read"))
                }
                waiting += lines.filter { source.wants($0) }.map(source.line)
            }
            waiting = Self.merged(waiting)
            let count = waiting.firstIndex { $0.time > settled } ?? waiting.count
            for line in waiting.prefix(count) { continuation.yield(line) }
            waiting.removeFirst(count)
        }
    }

    /// Lines of one replica stay in their order, whatever their times say.
    static func merged(_ lines: [LogLine]) -> [LogLine] {
        lines.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    }
}

extension LogSource {
    fileprivate func wants(_ line: LogFile.Line) -> Bool { incarnation.map { $0 == line.instance } ?? true }

    func line(_ line: LogFile.Line) -> LogLine {
        LogLine(time: line.time, service: service, instance: replica, stream: line.stream, text: line.text, fields: fields(line.text))
    }

    private func fields(_ text: String) -> [String: JSONField]? {
        guard text.hasPrefix("{"), text.hasSuffix("}") else { return nil }
        return try? JSONDecoder().decode([String: JSONField].self, from: Data(text.utf8))
    }
}
