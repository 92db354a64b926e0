/// Reads field lines up to the empty line that ends a section, and remembers where it stopped.
///
/// A line is read in one pass while its bytes are there. Where they end inside a line, the line is read again once its line feed
/// has come; until then only new bytes are looked at, so that a trickled head costs no more than its length.
struct FieldScanner {
    /// Where the line that is being read begins.
    var line = 0
    /// No line feed lies between `line` and here.
    var scanned = 0

    /// Whether it is worth reading the line; false, and remembered, while its line feed is missing.
    @inline(__always)
    mutating func canRead(_ base: UnsafeRawPointer, _ end: Int) -> Bool {
        guard scanned > line else { return true }
        guard scanned >= end || ASCII.lineFeed(base, scanned, end) == nil else { return true }
        scanned = max(scanned, end)
        return false
    }

    /// The offset behind the empty line; nil while it has not come.
    @inline(__always)
    mutating func read(
        _ base: UnsafeRawPointer, _ end: Int, into fields: inout FieldList, limit: Int
    ) throws(MessageError) -> Int? {
        guard canRead(base, end) else { return nil }
        var line = line
        while line < end {
            let start = line
            var index = ASCII.skipLettersAndHyphens(base, start, end)
            guard index < end else { break }
            let known: KnownField
            if _fastPath(ASCII.byte(base, index) == ASCII.colon && index > start) {
                known = KnownField.recognize(base, start, index &- start)
            } else {
                if index == start, ASCII.byte(base, index) == ASCII.carriageReturn {
                    guard index &+ 1 < end else { break }
                    guard ASCII.byte(base, index &+ 1) == ASCII.lineFeed else { throw MessageError(.bareCarriageReturn) }
                    return index &+ 2
                }
                guard let colon = try FieldScanner.uncommonName(base, start, index, end) else { break }
                index = colon
                known = KnownField.recognizeUncommon(UnsafeRawBufferPointer(start: base + start, count: colon &- start))
            }
            let nameEnd = index
            guard nameEnd &- start <= Int(UInt16.max) else { throw MessageError(.headTooLarge) }
            index &+= 1
            while index < end, ASCII.isBlank(ASCII.byte(base, index)) { index &+= 1 }
            let valueStart = index
            index = ASCII.skipText(base, index, end)
            guard index &+ 1 < end, ASCII.isLineEnd(base, index) else {
                try FieldScanner.requireLineEnd(base, index, end)
                break
            }
            var valueEnd = index
            while valueEnd > valueStart, ASCII.isBlank(ASCII.byte(base, valueEnd &- 1)) { valueEnd &-= 1 }
            guard fields.count < limit else { throw MessageError(.tooManyFields) }
            fields.append(Field(nameStart: start, nameEnd: nameEnd, valueStart: valueStart, valueEnd: valueEnd, known: known))
            line = index &+ 2
        }
        self.line = line
        scanned = end
        return nil
    }

    /// Throws where the byte at `index`, which is no text, cannot begin a line end; returns where the bytes end too early to tell.
    @inline(never)
    static func requireLineEnd(_ base: UnsafeRawPointer, _ index: Int, _ end: Int) throws(MessageError) {
        guard index < end else { return }
        switch ASCII.byte(base, index) {
        case ASCII.carriageReturn: if index &+ 1 < end { throw MessageError(.bareCarriageReturn) }
        case ASCII.lineFeed: throw MessageError(.bareLineFeed)
        default: throw MessageError(.fieldValue)
        }
    }

    /// The colon behind a name that is not of letters and hyphens alone; nil where the bytes end first.
    @inline(never)
    private static func uncommonName(
        _ base: UnsafeRawPointer, _ start: Int, _ from: Int, _ end: Int
    ) throws(MessageError) -> Int? {
        var index = from
        while index < end {
            let byte = ASCII.byte(base, index)
            if byte == ASCII.colon {
                guard index > start else { throw MessageError(.emptyFieldName) }
                return index
            }
            guard ASCII.isToken(byte) else {
                switch byte {
                case ASCII.space, ASCII.tab: throw MessageError(index == start ? .foldedLine : .spaceBeforeColon)
                case ASCII.lineFeed: throw MessageError(.bareLineFeed)
                case ASCII.carriageReturn: throw MessageError(.missingColon)
                default: throw MessageError(.fieldName)
                }
            }
            index &+= 1
        }
        return nil
    }
}
