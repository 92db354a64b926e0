/// The one form of a path that routing, authorisation and the upstream share.
package struct NormalizedPath {
    /// The path without its query. It lies in the request's bytes or in the normaliser, and is good until either is used again.
    package let path: UnsafeRawBufferPointer
    /// The path with its query, as the upstream is to see it; lies where `path` does.
    package let target: UnsafeRawBufferPointer
    /// Whether `target` differs from what the client sent, so that the head cannot be copied as it is.
    package let isChanged: Bool
    /// Whether a segment has parameters (`;`): they are left as they are, and rules that match on segments should know.
    package let hasParameters: Bool
}

/// Brings paths into their normal form (RFC 3986 6.2.2), and refuses those that two readers could take for different ones.
///
/// In the normal form, unreserved characters are not percent-encoded, all others that need it are, hexadecimal digits are upper case,
/// there are no empty segments but the last, and no dot segments. An encoded slash stays encoded (`%2F`): it is data, not a separator.
/// Refused are control characters, encoded or not, malformed encodings, backslashes, paths above the root, and dot segments behind an
/// encoded separator or before a parameter (`..%2F`, `..;`), which some applications resolve although they are none.
/// Normalising a normal form changes nothing.
package struct PathNormalizer: ~Copyable {
    private var storage: UnsafeMutableRawBufferPointer

    package init() {
        storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    deinit { storage.deallocate() }

    /// `path` begins with a slash or is empty, which means `/`; `query` is what follows the question mark
    /// behind it in the same bytes, and is not changed.
    package mutating func normalize(
        path: UnsafeRawBufferPointer, query: UnsafeRawBufferPointer?
    ) throws(MessageError) -> NormalizedPath {
        switch Self.look(path) {
        case .normal(let hasParameters):
            // In the message, the query lies right behind the path and its question mark.
            if let query { precondition(query.baseAddress == path.baseAddress.map { $0 + path.count + 1 }, "a query of another target") }
            let target = UnsafeRawBufferPointer(start: path.baseAddress, count: path.count &+ (query.map { $0.count &+ 1 } ?? 0))
            return NormalizedPath(path: path, target: target, isChanged: false, hasParameters: hasParameters)
        case .uncommon:
            return try rewrite(path, query)
        }
    }

    private enum Look {
        case normal(hasParameters: Bool)
        case uncommon
    }

    /// Whether a path needs nothing done: no percent sign, no empty or dot segment, path characters only.
    @inline(__always)
    private static func look(_ path: UnsafeRawBufferPointer) -> Look {
        guard let base = path.baseAddress, path.count > 0, ASCII.byte(base, 0) == ASCII.slash else { return .uncommon }
        var hasParameters = false
        var previous = ASCII.slash
        for index in 1..<path.count {
            let byte = ASCII.byte(base, index)
            guard ASCII.isPath(byte) else { return .uncommon }
            if previous == ASCII.slash, byte == ASCII.slash || byte == ASCII.dot { return .uncommon }
            if byte == ASCII.semicolon { hasParameters = true }
            previous = byte
        }
        return .normal(hasParameters: hasParameters)
    }

    // MARK: - Rewriting

    private mutating func rewrite(
        _ path: UnsafeRawBufferPointer, _ query: UnsafeRawBufferPointer?
    ) throws(MessageError) -> NormalizedPath {
        guard path.isEmpty || path[0] == ASCII.slash else { throw MessageError(.path) }
        // An encoded byte takes three; the slash of an empty path and the question mark one each.
        reserve(path.count &* 3 &+ 2 &+ (query?.count ?? 0))
        var writer = PathWriter(storage)
        var index = 0
        while index < path.count {
            let byte = path[index]
            if byte == ASCII.slash {
                try writer.endSegment()
                index &+= 1
                continue
            }
            if byte == ASCII.percent {
                guard index &+ 2 < path.count, let high = Self.digit(path[index &+ 1]), let low = Self.digit(path[index &+ 2]) else {
                    throw MessageError(.path)
                }
                let decoded = high &<< 4 | low
                guard decoded >= 0x20, decoded != ASCII.delete else { throw MessageError(.path) }
                if ASCII.isUnreserved(decoded) {
                    writer.append(decoded)
                } else {
                    if decoded == ASCII.slash || decoded == 0x5c { try writer.hideSeparator() }
                    writer.appendEncoded(decoded)
                }
                index &+= 3
                continue
            }
            guard byte > 0x20, byte < 0x7f, byte != 0x5c, byte != ASCII.hash, byte != ASCII.question else { throw MessageError(.path) }
            if byte == ASCII.semicolon { try writer.beginParameters() }
            if ASCII.isPath(byte) { writer.append(byte) } else { writer.appendEncoded(byte) }
            index &+= 1
        }
        try writer.endPath()
        let pathEnd = writer.count
        if let query {
            writer.append(ASCII.question)
            writer.append(query)
        }
        let written = UnsafeRawBufferPointer(storage)
        let target = written.slice(0, writer.count)
        let original = path.count &+ (query.map { $0.count &+ 1 } ?? 0)
        let normal = written.slice(0, pathEnd)
        let isSame = target.count == original && normal.elementsEqual(path)
        return NormalizedPath(path: normal, target: target, isChanged: !isSame, hasParameters: normal.contains(ASCII.semicolon))
    }

    private mutating func reserve(_ count: Int) {
        guard storage.count < count else { return }
        storage.deallocate()
        storage = .allocate(byteCount: max(256, count), alignment: 8)
    }

    @inline(__always)
    private static func digit(_ byte: UInt8) -> UInt8? {
        if ASCII.isDigit(byte) { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }
}

/// Writes a path segment by segment into memory that has room for it, resolving dot segments as they end (RFC 3986 5.2.4).
private struct PathWriter {
    private let bytes: UnsafeMutableRawBufferPointer
    private(set) var count = 0
    /// Where the segment that is being written begins, behind its slash; nil before the first slash.
    private var segment: Int?
    /// Where its part behind the last encoded separator begins.
    private var part = 0
    private var isParted = false

    init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    mutating func append(_ byte: UInt8) {
        bytes[count] = byte
        count &+= 1
    }

    mutating func append(_ run: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).copyMemory(from: run)
        count &+= run.count
    }

    mutating func appendEncoded(_ byte: UInt8) {
        append(ASCII.percent)
        append(Self.digit(byte &>> 4))
        append(Self.digit(byte & 0xf))
    }

    /// A slash: the segment before it is complete, another begins.
    mutating func endSegment() throws(MessageError) {
        try closeSegment()
        // After an empty or a resolved segment the slash is there already.
        if count == 0 || bytes[count &- 1] != ASCII.slash { append(ASCII.slash) }
        beginSegment()
    }

    mutating func endPath() throws(MessageError) {
        try closeSegment()
        if count == 0 { append(ASCII.slash) }
    }

    /// An encoded separator inside a segment: what lies before it must not be a dot segment to a reader that decodes it.
    mutating func hideSeparator() throws(MessageError) {
        guard dots == 0 else { throw MessageError(.ambiguousPath) }
        isParted = true
        part = count &+ 3
    }

    /// A parameter: likewise for a reader that drops it.
    func beginParameters() throws(MessageError) {
        guard dots == 0 else { throw MessageError(.ambiguousPath) }
    }

    private static func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 &+ nibble : 0x37 &+ nibble }

    private mutating func beginSegment() {
        segment = count
        part = count
        isParted = false
    }

    /// 1 or 2 where the present part is `.` or `..`, else 0.
    private var dots: Int {
        switch count &- part {
        case 1 where bytes[part] == ASCII.dot: 1
        case 2 where bytes[part] == ASCII.dot && bytes[part &+ 1] == ASCII.dot: 2
        default: 0
        }
    }

    private mutating func closeSegment() throws(MessageError) {
        guard let segment else { return }
        let dots = dots
        guard dots > 0 else { return }
        guard !isParted else { throw MessageError(.ambiguousPath) }
        count = segment
        guard dots == 2 else { return }
        // Back to behind the slash before the parent segment.
        guard count > 1 else { throw MessageError(.pathEscapesRoot) }
        count &-= 1
        while bytes[count &- 1] != ASCII.slash { count &-= 1 }
    }
}
