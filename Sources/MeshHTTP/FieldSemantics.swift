/// What the fields that rule framing and connection say (RFC 9110 7.6.1, RFC 9112 6 and 9).
enum FieldSemantics {
    /// A Content-Length: digits alone, at most `Int64.max`.
    static func contentLength(_ value: UnsafeRawBufferPointer) throws(MessageError) -> UInt64 {
        guard let length = FieldValue.decimal(value), length <= UInt64(Int64.max) else { throw MessageError(.contentLength) }
        return length
    }

    /// Demands that the codings of all Transfer-Encoding lines together are `chunked` and nothing else.
    static func requireChunked(_ fields: borrowing FieldList, _ bytes: UnsafeRawBufferPointer) throws(MessageError) {
        var codings = 0
        var chunked = 0
        var lastIsChunked = false
        for index in fields.indices where fields[index].known == .transferEncoding {
            var list = ListElements(bytes[fields[index].value])
            while let coding = list.next() {
                codings &+= 1
                lastIsChunked = coding.equalsIgnoringCase("chunked")
                if lastIsChunked { chunked &+= 1 }
            }
        }
        guard lastIsChunked, chunked == 1 else { throw MessageError(.transferEncoding) }
        guard codings == 1 else { throw MessageError(.unknownTransferCoding) }
        // An empty element beside it is legal in a list, but no sender writes one for a good reason.
        guard !fields.repeated.contains(.transferEncoding), let field = fields.first(.transferEncoding),
            bytes[field.value].equalsIgnoringCase("chunked")
        else { throw MessageError(.transferEncoding) }
    }

    /// What Connection asks for; the fields that it names are marked.
    struct ConnectionOptions {
        var close = false
        var keepAlive = false
        var upgrade = false
    }

    /// More options than this are an attack: each is compared with each field.
    static let mostOptions = 32

    /// Asked only where there is a Connection field.
    static func connection(_ fields: inout FieldList, _ bytes: UnsafeRawBufferPointer) throws(MessageError) -> ConnectionOptions {
        var options = ConnectionOptions()
        // What nearly every message says that says anything. Text has no byte that 0x20 would turn into one of these.
        if !fields.repeated.contains(.connection) {
            let value = bytes[fields[fields.index(of: .connection)].value]
            if let base = value.baseAddress, value.count == 10,
                ASCII.word(base, 0) | 0x2020_2020_2020_2020 == ASCII.word("keep-ali"),
                ASCII.word(base, 2) | 0x2020_2020_2020_2020 == ASCII.word("ep-alive")
            {
                options.keepAlive = true
                return options
            }
        }
        var count = 0
        for index in fields.indices where fields[index].known == .connection {
            var list = ListElements(bytes[fields[index].value])
            while let option = list.next() {
                count &+= 1
                guard count <= mostOptions else { throw MessageError(.connectionOptions) }
                if option.equalsIgnoringCase("close") {
                    options.close = true
                } else if option.equalsIgnoringCase("keep-alive") {
                    options.keepAlive = true
                } else if option.equalsIgnoringCase("upgrade") {
                    options.upgrade = true
                } else {
                    try nominate(option, &fields, bytes)
                }
            }
        }
        return options
    }

    /// Marks the fields of a name. Those that say where the message ends and whom it is for are never given up:
    /// Transfer-Encoding is rewritten at each hop anyway; naming Host or Content-Length would change the message.
    private static func nominate(
        _ option: UnsafeRawBufferPointer, _ fields: inout FieldList, _ bytes: UnsafeRawBufferPointer
    ) throws(MessageError) {
        for index in 0..<option.count where !ASCII.isToken(option[index]) { throw MessageError(.connectionOptions) }
        for index in fields.indices where bytes[fields[index].name].equalsIgnoringCase(option) {
            switch fields[index].known {
            case .host, .contentLength: throw MessageError(.connectionOptions)
            case .transferEncoding: break
            default: fields.nominate(at: index)
            }
        }
    }
}

/// The elements of a comma-separated list, empty ones left out (RFC 9110 5.6.1).
///
/// Not for lists whose elements may hold quoted commas.
@frozen
@usableFromInline
package struct ListElements {
    @usableFromInline var rest: UnsafeRawBufferPointer
    @usableFromInline var index = 0

    @inlinable package init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    @inlinable package mutating func next() -> UnsafeRawBufferPointer? {
        while index < rest.count {
            let start = index
            while index < rest.count, rest[index] != 0x2c { index &+= 1 }
            let element = rest.slice(start, index).trimmed
            index &+= 1
            if !element.isEmpty { return element }
        }
        return nil
    }
}
