internal import NIOCore
internal import NIOHTTP2

/// What one HTTP/2 connection may cost, and where it is ended for costing more.
///
/// Above the limits stand NIOHTTP2's own: five CONTINUATION frames in a row, one empty DATA frame, 200 stream errors in 30 s.
enum HTTP2Limits {
    /// Streams at once, in each direction.
    static let streams = 100
    /// Bytes of a stream that its reader has not taken yet; the connection's own window too.
    static let window = (64 << 10) - 1
    /// Bytes of answers that wait for the peer's window, per stream.
    static let pending = 64 << 10
    static let headerList = 32 << 10
    /// RST_STREAM frames in `period`: a client may give up calls, but not begin them only for that (CVE-2023-44487).
    static let resets = 1000
    /// PING, SETTINGS and PRIORITY frames in `period`; gRPC measures its path by pings, some per second.
    static let controlFrames = 1000
    static let periodSeconds: Int64 = 30

    static func connection(mode: NIOHTTP2Handler.ParserMode, streams: Int, headerList: Int) -> NIOHTTP2Handler.ConnectionConfiguration {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxHeaderListSize, value: headerList),
            HTTP2Setting(parameter: .initialWindowSize, value: window),
        ]
        switch mode {
        case .server: connection.initialSettings.append(HTTP2Setting(parameter: .maxConcurrentStreams, value: streams))
        case .client: connection.initialSettings.append(HTTP2Setting(parameter: .enablePush, value: 0))
        }
        connection.controlFrameRateLimit.maximumCount = controlFrames
        connection.controlFrameRateLimit.windowLength = .seconds(periodSeconds)
        return connection
    }

    static var stream: NIOHTTP2Handler.StreamConfiguration {
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.streamResetFrameRateLimit.maximumCount = resets
        stream.streamResetFrameRateLimit.windowLength = .seconds(periodSeconds)
        return stream
    }
}
