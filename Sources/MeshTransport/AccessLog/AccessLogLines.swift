internal import MeshExchange
internal import MeshHTTP
internal import MeshModel
internal import MeshTelemetry
internal import NIOCore

/// Requests as the access log tells them, a line each, in either form.
///
/// Invariant: a value can't end the line, nor the word that it stands in: quotation marks, backslashes and everything that is no visible
/// ASCII are escaped.
struct AccessLogLines {
    private(set) var bytes: [UInt8] = []
    private(set) var count = 0
    private let format: AccessLogConfiguration.Format

    init(_ format: AccessLogConfiguration.Format) { self.format = format }

    /// What it has of memory stays.
    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        count = 0
    }

    /// Instead of lines that were dropped.
    static func lost(_ count: Int, format: AccessLogConfiguration.Format) -> String {
        let time = HostClock.wall().timestamp
        return switch format {
        case .text: "\(time) lost=\(count)\n"
        case .json: "{\"time\":\"\(time)\",\"lost\":\(count)}\n"
        }
    }

    mutating func append(_ call: ForwardedCall, status: Int?, flag: ResponseFlag?, end: Instant) {
        // The wall clock at the request's first byte, by how long ago that was.
        let received = UnixTime(nanoseconds: HostClock.wall().nanoseconds - (end - call.identity.received).nanoseconds)
        switch format {
        case .text: writeText(call, received, status, flag, end)
        case .json: writeJSON(call, received, status, flag, end)
        }
        bytes.append(ASCII.lineFeed)
        count += 1
    }

    private static func version(_ call: ForwardedCall) -> String {
        call.bodyIsData ? "HTTP/2" : call.request.minorVersion == 0 ? "HTTP/1.0" : "HTTP/1.1"
    }

    /// Milliseconds with three places.
    private static func milliseconds(_ span: Timespan) -> String {
        let microseconds = max(0, span.nanoseconds / 1000)
        let rest = String(microseconds % 1000)
        return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }

    // MARK: - Text

    private mutating func writeText(_ call: ForwardedCall, _ received: UnixTime, _ status: Int?, _ flag: ResponseFlag?, _ end: Instant) {
        write("\(received.timestamp) ")
        writeEscaped(call.clientAddress)
        write(" \"")
        call.requestBytes.withUnsafeReadableBytes { bytes in
            guard call.request.length <= bytes.count else { return }
            writeEscaped(bytes[call.request.method])
            write(" ")
            writeEscaped(bytes[call.request.target])
        }
        write(" \(Self.version(call))\" \(status.map { "\($0)" } ?? "-") \(flag?.code ?? "-")")
        write(" bytes=\(call.receivedBytes)/\(call.deliveredBytes) ms=\(Self.milliseconds(end - call.identity.received))")
        if let route = call.identity.route {
            write(" route=\"")
            writeEscaped(route.utf8)
            write("\"")
        }
        if let destination = call.destination, let attempts = call.attempts {
            write(" to=\(destination.service)")
            for attempt in attempts {
                write(" attempt=\(attempt.instance):\(attempt.status.map { "\($0)" } ?? "-"):\(attempt.flag?.code ?? "-")")
                write(":\(Self.milliseconds((attempt.ended ?? end) - attempt.started))")
            }
        }
        write(" trace=\(call.identity.traceID)")
    }

    // MARK: - JSON

    private mutating func writeJSON(_ call: ForwardedCall, _ received: UnixTime, _ status: Int?, _ flag: ResponseFlag?, _ end: Instant) {
        write("{\"time\":\"\(received.timestamp)\",\"client\":\"")
        writeEscaped(call.clientAddress)
        call.requestBytes.withUnsafeReadableBytes { bytes in
            guard call.request.length <= bytes.count else { return }
            write("\",\"method\":\"")
            writeEscaped(bytes[call.request.method])
            write("\",\"target\":\"")
            writeEscaped(bytes[call.request.target])
        }
        write("\",\"protocol\":\"\(Self.version(call))\"")
        if let status { write(",\"status\":\(status)") }
        if let flag { write(",\"flag\":\"\(flag.code)\"") }
        write(",\"bytes_in\":\(call.receivedBytes),\"bytes_out\":\(call.deliveredBytes)")
        write(",\"ms\":\(Self.milliseconds(end - call.identity.received))")
        if let route = call.identity.route {
            write(",\"route\":\"")
            writeEscaped(route.utf8)
            write("\"")
        }
        if let destination = call.destination, let attempts = call.attempts {
            write(",\"to\":\"\(destination.service)\",\"attempts\":[")
            var isFirst = true
            for attempt in attempts {
                write(isFirst ? "{" : ",{")
                isFirst = false
                writeJSON(attempt, end)
            }
            write("]")
        }
        write(",\"trace_id\":\"\(call.identity.traceID)\"}")
    }

    private mutating func writeJSON(_ attempt: AttemptRecord, _ end: Instant) {
        write("\"instance\":\"\(attempt.instance)\"")
        if let version = attempt.version { write(",\"version\":\"\(version)\"") }
        if let status = attempt.status { write(",\"status\":\(status)") }
        if let flag = attempt.flag { write(",\"flag\":\"\(flag.code)\"") }
        if attempt.backoff > .zero { write(",\"backoff_ms\":\(Self.milliseconds(attempt.backoff))") }
        if let connected = attempt.connected { write(",\"connect_ms\":\(Self.milliseconds(connected - attempt.started))") }
        if let head = attempt.head { write(",\"first_byte_ms\":\(Self.milliseconds(head - attempt.started))") }
        write(",\"ms\":\(Self.milliseconds((attempt.ended ?? end) - attempt.started))}")
    }

    // MARK: - Bytes

    private mutating func write(_ text: String) { bytes += text.utf8 }

    private mutating func writeEscaped(_ text: some Sequence<UInt8>) {
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x20...0x7e: bytes.append(byte)
            default:
                // A byte that JSON may hold as a character only, and text not at all.
                bytes += format == .json ? "\\u00".utf8 : "\\x".utf8
                for digit in [byte >> 4, byte & 15] { bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
            }
        }
    }
}
