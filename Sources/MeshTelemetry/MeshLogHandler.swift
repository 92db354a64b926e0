import Glibc
package import Logging
package import MeshModel

extension Logger.MetadataProvider {
    /// `trace_id` and `span_id` of the span that is open where the line is logged.
    package static let mesh = Logger.MetadataProvider {
        guard let trace = TraceContext.current else { return [:] }
        return ["trace_id": "\(trace.traceID)", "span_id": "\(trace.spanID)"]
    }
}

/// How a log line looks.
package enum LogFormat: String, Sendable, CaseIterable {
    case text
    case json
}

/// The backend of swift-log: one line per event, whatever the event says.
///
/// Invariant: control characters are escaped, so that no message can forge a line or move a terminal's cursor.
package struct MeshLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level
    private let label: String
    private let format: LogFormat
    private let output: LogOutput
    private let isTimed: Bool

    /// - Parameter isTimed: false where who reads the lines times them itself; JSON has its time always.
    package init(
        label: String, level: Logger.Level = .info, format: LogFormat = .text, output: LogOutput = .standardError, isTimed: Bool = true,
        metadataProvider: Logger.MetadataProvider? = .mesh
    ) {
        self.label = label
        self.format = format
        self.output = output
        self.isTimed = isTimed
        self.metadataProvider = metadataProvider
        logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadataProvider?.get() ?? [:]
        all.merge(metadata) { _, own in own }
        if let said = event.metadata { all.merge(said) { _, own in own } }
        if let error = event.error { all["error"] = "\(error)" }
        let fields = all.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
        let line = LogLine(
            time: output.time(), level: event.level.rawValue, label: label, message: event.message.description, fields: fields
        )
        output.write(format == .json ? line.json : isTimed ? line.text : line.untimedText)
    }
}

/// Where log lines go.
package final class LogOutput: Sendable {
    private let lock = Guarded(())
    private let sink: @Sendable (String) -> Void
    fileprivate let time: @Sendable () -> UnixTime

    /// `sink` gets each line without its line feed.
    package init(time: @escaping @Sendable () -> UnixTime = { HostClock.wall() }, sink: @escaping @Sendable (String) -> Void) {
        self.time = time
        self.sink = sink
    }

    package static let standardError = LogOutput(descriptor: STDERR_FILENO)
    package static let standardOutput = LogOutput(descriptor: STDOUT_FILENO)

    private convenience init(descriptor: Int32) {
        self.init { line in
            // Where it fails nobody can be told that the log is gone.
            WholeWrite.write(Array(line.utf8) + [0x0a], to: descriptor)
        }
    }

    fileprivate func write(_ line: String) { lock.withLock { _ in sink(line) } }
}

/// One event, ready to be written.
struct LogLine {
    var time: UnixTime
    var level: String
    var label: String
    var message: String
    var fields: [(String, Logger.Metadata.Value)]

    /// `2026-11-21T08:00:00.123Z info orders: message key=value`.
    var text: String { "\(Self.timestamp(time)) \(untimedText)" }

    var untimedText: String {
        var line = "\(level) \(Self.escaped(label)): \(Self.escaped(message))"
        for (key, value) in fields {
            let shown = Self.escaped(value.description)
            let bare = !shown.isEmpty && !shown.contains { $0 == " " || $0 == "\"" || $0 == "=" }
            line += " \(Self.escaped(key))=\(bare ? shown : Self.quoted(value.description))"
        }
        return line
    }

    var json: String {
        var line =
            "{\"time\":\"\(Self.timestamp(time))\",\"level\":\"\(level)\",\"label\":\(Self.quoted(label)),\"message\":\(Self.quoted(message))"
        for (key, value) in fields where !["time", "level", "label", "message"].contains(key) {
            line += ",\(Self.quoted(key)):\(Self.json(value))"
        }
        return line + "}"
    }

    private static func json(_ value: Logger.Metadata.Value) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .stringConvertible(let value): quoted(value.description)
        case .array(let values): "[" + values.map(json).joined(separator: ",") + "]"
        case .dictionary(let fields):
            "{" + fields.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(json($0.value))" }.joined(separator: ",") + "}"
        }
    }

    /// A JSON string (RFC 8259) that holds no control character, C1 and line separators included.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isControl(scalar): result += "\\u" + hex(scalar.value, digits: 4)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isControl(scalar): result += "\\u{" + hex(scalar.value, digits: 2) + "}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || 0x7f...0x9f ~= scalar.value || scalar.value == 0x2028 || scalar.value == 0x2029
    }

    private static func hex(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// RFC 3339 in UTC with milliseconds.
    static func timestamp(_ time: UnixTime) -> String {
        var seconds = time_t(time.nanoseconds.quotientFloored(1_000_000_000))
        let milliseconds = (time.nanoseconds - Int64(seconds) * 1_000_000_000) / 1_000_000
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ value: Int, _ digits: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        let date = "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(clock).\(padded(Int(milliseconds), 3))Z"
    }
}

extension Int64 {
    fileprivate func quotientFloored(_ divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

extension UnixTime {
    /// `2026-11-21T08:00:00.123Z`.
    package var timestamp: String { LogLine.timestamp(self) }
}
