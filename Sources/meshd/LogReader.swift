import Foundation
import MeshAdminAPI

/// Whose log it is.
struct LogSource: Sendable {
    var service: String
    var replica: String
    var path: String
}

/// Reads the logs of several replicas as one, in the order of time.
struct LogReader: Sendable {
    var sources: [LogSource]

    /// How often a followed log is looked at.
    private static let lookEvery = Duration.milliseconds(100)

    func lines(_ query: LogQuery) -> AsyncStream<LogLine> {
        let (stream, continuation) = AsyncStream.makeStream(of: LogLine.self)
        let task = Task {
            var offsets: [UInt64] = []
            var first: [LogLine] = []
            for source in sources {
                let (lines, end) = LogFile(path: source.path).read(last: query.lines)
                first += lines.map { source.line($0) }
                offsets.append(end)
            }
            for line in Self.merged(first).suffix(query.lines) { continuation.yield(line) }
            while query.follow, !Task.isCancelled {
                try? await Task.sleep(for: Self.lookEvery)
                var news: [LogLine] = []
                for (index, source) in sources.enumerated() {
                    news += LogFile(path: source.path).readOn(from: &offsets[index]).map { source.line($0) }
                }
                for line in Self.merged(news) { continuation.yield(line) }
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    /// Lines of one replica stay in their order, whatever their times say.
    private static func merged(_ lines: [LogLine]) -> [LogLine] {
        lines.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    }
}

extension LogSource {
    func line(_ line: LogFile.Line) -> LogLine {
        LogLine(time: line.time, service: service, instance: replica, stream: line.isError ? .error : .out, text: line.text)
    }
}
