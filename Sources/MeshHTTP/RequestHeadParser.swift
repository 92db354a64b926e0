/// Reads request heads out of bytes as they come (RFC 9112 3 and 5).
///
/// Until a head is complete, each call is given the same bytes again with more behind them, the head's first byte first.
/// A parser serves one connection; after an error it must not be asked again.
package struct RequestHeadParser: Sendable {
    package let limits: HeadLimits
    private var scanner = FieldScanner()
    private var hasStartLine = false

    /// A longer token is no method that anybody has (501).
    static let longestMethod = 32

    package init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits
    }

    /// Whether a head has begun, so that its sender owes the rest.
    package var isInsideHead: Bool { scanner.line > 0 || scanner.scanned > 0 }

    /// The head's length once it is complete, nil while bytes are missing.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer, into head: inout RequestHead) throws(MessageError) -> Int? {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return nil }
        let end = min(bytes.count, limits.bytes)
        if !hasStartLine {
            if scanner.line == 0, scanner.scanned == 0 { head.reset() }
            guard scanner.canRead(base, end) else { return try needMore(bytes.count) }
            // One empty line before a request is overlooked (RFC 9112 2.2).
            if scanner.line == 0, ASCII.byte(base, 0) == ASCII.carriageReturn {
                guard end > 1 else { return nil }
                guard ASCII.byte(base, 1) == ASCII.lineFeed else { throw MessageError(.bareCarriageReturn) }
                scanner.line = 2
            }
            guard let next = try requestLine(base, scanner.line, end, &head) else {
                scanner.scanned = end
                return try needMore(bytes.count)
            }
            hasStartLine = true
            scanner.line = next
            scanner.scanned = 0
        }
        guard let length = try scanner.read(base, end, into: &head.fields, limit: limits.fields) else { return try needMore(bytes.count) }
        head.length = length
        try Self.finish(&head, UnsafeRawBufferPointer(start: base, count: length))
        scanner = FieldScanner()
        hasStartLine = false
        return length
    }

    private func needMore(_ count: Int) throws(MessageError) -> Int? {
        if !hasStartLine, count &- scanner.line > limits.target &+ Self.longestMethod &+ 12 { throw MessageError(.targetTooLong) }
        if count >= limits.bytes { throw MessageError(.headTooLarge) }
        return nil
    }

    // MARK: - The request line

    /// The offset of the line behind the request line; nil where the bytes end first.
    @inline(__always)
    private func requestLine(
        _ base: UnsafeRawPointer, _ start: Int, _ end: Int, _ head: inout RequestHead
    ) throws(MessageError) -> Int? {
        var index = start
        if start &+ 4 <= end, UInt32(littleEndian: base.loadUnaligned(fromByteOffset: start, as: UInt32.self)) == 0x2054_4547 {
            index = start &+ 3
            head.methodKind = .get
        } else {
            guard let space = try Self.method(base, start, end) else { return nil }
            index = space
            head.methodKind = HTTPMethodKind(UnsafeRawBufferPointer(start: base + start, count: index &- start))
        }
        head.method = ByteRange(from: start, to: index)
        let targetStart = index &+ 1
        var question = -1
        index = Self.skipTarget(base, targetStart, end, stopsAtQuestion: true)
        if index < end, ASCII.byte(base, index) == ASCII.question {
            question = index
            index = Self.skipTarget(base, index &+ 1, end, stopsAtQuestion: false)
        }
        guard index &- targetStart <= limits.target else { throw MessageError(.targetTooLong) }
        guard index < end else { return nil }
        guard ASCII.byte(base, index) == ASCII.space else { throw Self.badTarget(ASCII.byte(base, index)) }
        guard index > targetStart else { throw MessageError(.requestLine) }
        head.target = ByteRange(from: targetStart, to: index)
        guard let minor = try VersionReader.read(base, index &+ 1, end, last: ASCII.carriageReturn) else { return nil }
        guard index &+ 10 < end else { return nil }
        guard ASCII.byte(base, index &+ 10) == ASCII.lineFeed else { throw MessageError(.bareCarriageReturn) }
        head.minorVersion = minor
        try Self.splitTarget(base, targetStart, index, question, &head)
        return index &+ 11
    }

    /// The space behind the method; nil where the bytes end first.
    @inline(never)
    private static func method(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) throws(MessageError) -> Int? {
        var index = start
        while index < end {
            let byte = ASCII.byte(base, index)
            if byte == ASCII.space, index > start { return index }
            guard ASCII.isToken(byte) else {
                switch byte {
                case ASCII.lineFeed: throw MessageError(.bareLineFeed)
                case ASCII.carriageReturn, ASCII.space, ASCII.tab: throw MessageError(.requestLine)
                default: throw MessageError(.method)
                }
            }
            index &+= 1
            guard index &- start <= longestMethod else { throw MessageError(.method) }
        }
        return nil
    }

    /// The first byte that cannot be in a target (controls, space, DEL, beyond ASCII, `#`), or the first question mark.
    @inline(__always)
    private static func skipTarget(_ base: UnsafeRawPointer, _ start: Int, _ end: Int, stopsAtQuestion: Bool) -> Int {
        var index = start
        while index &+ 8 <= end {
            let bytes = ASCII.word(base, index)
            let hash = bytes ^ 0x2323_2323_2323_2323
            let question = bytes ^ 0x3f3f_3f3f_3f3f_3f3f
            var stops = (bytes &- 0x2121_2121_2121_2121) | bytes | (bytes &+ 0x0101_0101_0101_0101)
            stops |= (hash &- 0x0101_0101_0101_0101) & ~hash
            if stopsAtQuestion { stops |= (question &- 0x0101_0101_0101_0101) & ~question }
            stops &= 0x8080_8080_8080_8080
            if stops != 0 {
                index &+= stops.trailingZeroBitCount >> 3
                break
            }
            index &+= 8
        }
        // The word test is exact in its lowest hit: what lies below it neither borrows nor carries.
        while index < end {
            let byte = ASCII.byte(base, index)
            if byte <= 0x20 || byte >= 0x7f || byte == ASCII.hash || stopsAtQuestion && byte == ASCII.question { return index }
            index &+= 1
        }
        return index
    }

    @inline(never)
    private static func badTarget(_ byte: UInt8) -> MessageError {
        switch byte {
        case ASCII.lineFeed: MessageError(.bareLineFeed)
        case ASCII.carriageReturn: MessageError(.requestLine)
        default: MessageError(.target)
        }
    }

    /// Tells the form of a target and finds its path, query and authority.
    @inline(__always)
    private static func splitTarget(
        _ base: UnsafeRawPointer, _ start: Int, _ end: Int, _ question: Int, _ head: inout RequestHead
    ) throws(MessageError) {
        let pathEnd = question < 0 ? end : question
        head.path = ByteRange(from: start, to: pathEnd)
        if question >= 0 { head.query = ByteRange(from: question &+ 1, to: end) }
        if _fastPath(ASCII.byte(base, start) == ASCII.slash && head.methodKind != .connect) {
            head.form = .origin
            return
        }
        try splitUncommonTarget(base, start, end, pathEnd, &head)
    }

    @inline(never)
    private static func splitUncommonTarget(
        _ base: UnsafeRawPointer, _ start: Int, _ end: Int, _ pathEnd: Int, _ head: inout RequestHead
    ) throws(MessageError) {
        let target = UnsafeRawBufferPointer(start: base + start, count: end &- start)
        if head.methodKind == .connect {
            guard let authority = Authority(target), authority.port != nil else { throw MessageError(.targetForm) }
            head.form = .authority
            head.authority = head.target
            head.path = .empty
            head.query = nil
            return
        }
        if target.count == 1, target[0] == 0x2a {
            guard head.methodKind == .options else { throw MessageError(.targetForm) }
            head.form = .asterisk
            return
        }
        var scheme = 0
        if target.count > 7, target.slice(0, 7).equalsIgnoringCase("http://") { scheme = 7 }
        if target.count > 8, target.slice(0, 8).equalsIgnoringCase("https://") { scheme = 8 }
        guard scheme > 0 else { throw MessageError(.targetForm) }
        var slash = scheme
        while slash < pathEnd &- start, target[slash] != ASCII.slash { slash &+= 1 }
        guard Authority.isValid(target.slice(scheme, slash)) else { throw MessageError(.invalidHost) }
        head.form = .absolute
        head.authority = ByteRange(from: start &+ scheme, to: start &+ slash)
        head.path = ByteRange(from: start &+ slash, to: pathEnd)
    }

    // MARK: - What the fields mean

    private static func finish(_ head: inout RequestHead, _ bytes: UnsafeRawBufferPointer) throws(MessageError) {
        let present = head.fields.present
        if _fastPath(present.contains(.host)) {
            guard !head.fields.repeated.contains(.host) else { throw MessageError(.repeatedHost) }
            let host = head.fields[head.fields.index(of: .host)].value
            guard Authority.isValid(bytes[host]) else { throw MessageError(.invalidHost) }
            if head.authority == nil { head.authority = host }
        } else if head.minorVersion > 0 {
            throw MessageError(.missingHost)
        }
        if present.contains(.transferEncoding) {
            guard head.minorVersion > 0 else { throw MessageError(.transferEncodingInVersion10) }
            guard !present.contains(.contentLength) else { throw MessageError(.contentLengthAndTransferEncoding) }
            try FieldSemantics.requireChunked(head.fields, bytes)
            head.framing = .chunked
        } else if present.contains(.contentLength) {
            guard !head.fields.repeated.contains(.contentLength) else { throw MessageError(.repeatedContentLength) }
            let field = head.fields[head.fields.index(of: .contentLength)]
            head.framing = .length(try FieldSemantics.contentLength(bytes[field.value]))
        }
        head.keepsAlive = head.minorVersion > 0
        if present.contains(.connection) {
            let options = try FieldSemantics.connection(&head.fields, bytes)
            if head.minorVersion == 0 { head.keepsAlive = options.keepAlive }
            if options.close { head.keepsAlive = false }
            if options.upgrade, head.minorVersion > 0, let field = head.fields.first(.upgrade) { head.upgrade = field.value }
        }
        if present.contains(.expect), head.minorVersion > 0 {
            for index in head.fields.indices where head.fields[index].known == .expect {
                guard bytes[head.fields[index].value].equalsIgnoringCase("100-continue") else { throw MessageError(.expectation) }
            }
            head.expectsContinue = true
        }
        if present.contains(.te) {
            for index in head.fields.indices where head.fields[index].known == .te {
                var list = ListElements(bytes[head.fields[index].value])
                while let coding = list.next() {
                    if coding.equalsIgnoringCase("trailers") { head.acceptsTrailers = true }
                }
            }
        }
    }
}

/// Reads `HTTP/1.1` and `HTTP/1.0`.
enum VersionReader {
    /// The minor version where eight bytes from `start` are a version that is spoken here, and `last` follows; nil where bytes are missing.
    @inline(__always)
    static func read(_ base: UnsafeRawPointer, _ start: Int, _ end: Int, last: UInt8) throws(MessageError) -> UInt8? {
        if start &+ 9 <= end, ASCII.byte(base, start &+ 8) == last {
            let word = ASCII.word(base, start)
            if word == 0x312e_312f_5054_5448 { return 1 }
            if word == 0x302e_312f_5054_5448 { return 0 }
        }
        return try readUncommon(base, start, end, last: last)
    }

    @inline(never)
    private static func readUncommon(_ base: UnsafeRawPointer, _ start: Int, _ end: Int, last: UInt8) throws(MessageError) -> UInt8? {
        let pattern: StaticString = "HTTP/1.1"
        var isSupported = true
        for index in 0..<9 {
            guard start &+ index < end else { return nil }
            let byte = ASCII.byte(base, start &+ index)
            switch index {
            case 5, 7:
                guard ASCII.isDigit(byte) else { throw MessageError(.version) }
                if index == 5 && byte != 0x31 || index == 7 && byte > 0x31 { isSupported = false }
            case 8:
                guard byte == last else { throw MessageError(byte == ASCII.lineFeed ? .bareLineFeed : .version) }
            default:
                guard byte == pattern.utf8Start[index] else { throw MessageError(byte == ASCII.lineFeed ? .bareLineFeed : .version) }
            }
        }
        guard isSupported else { throw MessageError(.versionUnsupported) }
        return ASCII.byte(base, start &+ 7) &- 0x30
    }
}
