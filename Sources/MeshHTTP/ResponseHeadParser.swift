/// Reads response heads out of bytes as they come (RFC 9112 4 to 6); any fault makes the response a 502 for the caller.
///
/// Until a head is complete, each call is given the same bytes again with more behind them, the head's first byte first.
/// A parser serves one connection; after an error it must not be asked again.
package struct ResponseHeadParser: Sendable {
    package let limits: HeadLimits
    private var scanner = FieldScanner()
    private var hasStartLine = false

    package init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits
    }

    /// Whether a head has begun, so that its sender owes the rest.
    package var isInsideHead: Bool { scanner.line > 0 || scanner.scanned > 0 }

    /// The head's length once it is complete, nil while bytes are missing.
    package mutating func parse(
        _ bytes: UnsafeRawBufferPointer, answering request: AnsweredRequest, into head: inout ResponseHead
    ) throws(MessageError) -> Int? {
        do throws(MessageError) {
            return try parseHead(bytes, request, &head)
        } catch {
            throw MessageError(inResponse: error.reason)
        }
    }

    @inline(__always)
    private mutating func parseHead(
        _ bytes: UnsafeRawBufferPointer, _ request: AnsweredRequest, _ head: inout ResponseHead
    ) throws(MessageError) -> Int? {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return nil }
        let end = min(bytes.count, limits.bytes)
        if !hasStartLine {
            if scanner.scanned == 0 { head.reset() }
            guard scanner.canRead(base, end) else { return try needMore(bytes.count) }
            guard let next = try Self.statusLine(base, end, &head) else {
                scanner.scanned = end
                return try needMore(bytes.count)
            }
            hasStartLine = true
            scanner.line = next
            scanner.scanned = 0
        }
        guard let length = try scanner.read(base, end, into: &head.fields, limit: limits.fields) else { return try needMore(bytes.count) }
        head.length = length
        try Self.finish(&head, request, UnsafeRawBufferPointer(start: base, count: length))
        scanner = FieldScanner()
        hasStartLine = false
        return length
    }

    private func needMore(_ count: Int) throws(MessageError) -> Int? {
        if count >= limits.bytes { throw MessageError(.headTooLarge) }
        return nil
    }

    /// The offset of the line behind the status line; nil where the bytes end first.
    ///
    /// The space before an empty reason may be missing: many servers leave it out, and nothing can be hidden there.
    @inline(__always)
    private static func statusLine(_ base: UnsafeRawPointer, _ end: Int, _ head: inout ResponseHead) throws(MessageError) -> Int? {
        guard let minor = try VersionReader.read(base, 0, end, last: ASCII.space) else { return nil }
        head.minorVersion = minor
        var status: UInt16 = 0
        for index in 9..<12 {
            guard index < end else { return nil }
            let byte = ASCII.byte(base, index)
            guard ASCII.isDigit(byte) else { throw MessageError(byte == ASCII.lineFeed ? .bareLineFeed : .statusLine) }
            status = status &* 10 &+ UInt16(byte &- 0x30)
        }
        guard status >= 100, status < 600 else { throw MessageError(.statusCode) }
        head.status = status
        guard end > 12 else { return nil }
        var index = 12
        if ASCII.byte(base, 12) == ASCII.space {
            index = ASCII.skipText(base, 13, end)
            head.reason = ByteRange(from: 13, to: index)
        } else if ASCII.byte(base, 12) != ASCII.carriageReturn {
            throw MessageError(ASCII.byte(base, 12) == ASCII.lineFeed ? .bareLineFeed : .statusLine)
        }
        guard index &+ 1 < end, ASCII.isLineEnd(base, index) else {
            try FieldScanner.requireLineEnd(base, index, end)
            return nil
        }
        return index &+ 2
    }

    private static func finish(
        _ head: inout ResponseHead, _ request: AnsweredRequest, _ bytes: UnsafeRawBufferPointer
    ) throws(MessageError) {
        let present = head.fields.present
        head.keepsAlive = head.minorVersion > 0
        var upgrades = false
        if present.contains(.connection) {
            let options = try FieldSemantics.connection(&head.fields, bytes)
            if head.minorVersion == 0 { head.keepsAlive = options.keepAlive }
            if options.close { head.keepsAlive = false }
            upgrades = options.upgrade
        }
        var length: UInt64?
        if present.contains(.contentLength) {
            let field = head.fields[head.fields.index(of: .contentLength)]
            guard !head.fields.repeated.contains(.contentLength) else { throw MessageError(.repeatedContentLength) }
            length = try FieldSemantics.contentLength(bytes[field.value])
        }
        let isChunked = present.contains(.transferEncoding)
        if isChunked {
            guard head.minorVersion > 0 else { throw MessageError(.transferEncodingInVersion10) }
            guard length == nil else { throw MessageError(.contentLengthAndTransferEncoding) }
            try FieldSemantics.requireChunked(head.fields, bytes)
        }
        switch head.status {
        case 101:
            guard request.offersUpgrade, head.minorVersion > 0, upgrades, let field = head.fields.first(.upgrade) else {
                throw MessageError(.unaskedUpgrade)
            }
            guard !isChunked, length ?? 0 == 0 else { throw MessageError(.bodyNotAllowed) }
            head.upgrade = field.value
            head.framing = .tunnel
            head.keepsAlive = false
        case 100..<200, 204:
            guard !isChunked, length ?? 0 == 0 else { throw MessageError(.bodyNotAllowed) }
        case 304:
            break
        case 200..<300 where request.method == .connect:
            head.framing = .tunnel
            head.keepsAlive = false
        default:
            if request.method == .head {
                break
            } else if isChunked {
                head.framing = .chunked
            } else if let length {
                head.framing = .length(length)
            } else {
                head.framing = .untilClose
                head.keepsAlive = false
            }
        }
    }
}
