/// Writing a head onward: the parsed bytes are copied in runs, as long as nothing is dropped between two fields.
///
/// Each `write` leaves out the fields that are dropped and those that `Connection` named, and does not write the empty line, so that
/// fields can be added; `HeadWriter.end` closes the head.
@frozen
@usableFromInline
package enum HeadWriter {
    @inlinable @inline(__always)
    package static func field<Sink: ByteSink>(_ name: StaticString, _ value: UnsafeRawBufferPointer, into sink: inout Sink) {
        sink.append(name)
        sink.append(": ")
        sink.append(value)
        sink.append("\r\n")
    }

    @inlinable @inline(__always)
    package static func field<Sink: ByteSink>(_ name: StaticString, _ value: StaticString, into sink: inout Sink) {
        sink.append(name)
        sink.append(": ")
        sink.append(value)
        sink.append("\r\n")
    }

    @inlinable package static func field<Sink: ByteSink>(_ name: StaticString, _ value: UInt64, into sink: inout Sink) {
        sink.append(name)
        sink.append(": ")
        sink.append(decimal: value)
        sink.append("\r\n")
    }

    @inlinable package static func end<Sink: ByteSink>(into sink: inout Sink) { sink.append("\r\n") }

    /// Whether a value may be written as it is: no control byte, above all no line end, can get into a head by it.
    package static func isSafeValue(_ value: UnsafeRawBufferPointer) -> Bool {
        guard let base = value.baseAddress else { return true }
        return ASCII.skipText(base, 0, value.count) == value.count
    }
}

extension FieldList {
    /// Copies the fields that are kept, and what lies before the first field from `start` on; `sectionEnd` is behind the last line.
    @inlinable package func write<Sink: ByteSink>(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to sectionEnd: Int, dropping: FieldSet, into sink: inout Sink
    ) {
        var run = start
        for index in 0..<count {
            let field = storage.unsafelyUnwrapped[index]
            guard field.isNominated || dropping.contains(field.known) else { continue }
            let line = Int(field.nameStart)
            if line > run { sink.append(bytes.slice(run, line)) }
            run = index &+ 1 < count ? Int(storage.unsafelyUnwrapped[index &+ 1].nameStart) : sectionEnd
        }
        if sectionEnd > run { sink.append(bytes.slice(run, sectionEnd)) }
    }

    /// Copies the fields of a trailer section of `length` bytes, without the empty line behind them.
    @inlinable package func writeTrailers<Sink: ByteSink>(
        _ bytes: UnsafeRawBufferPointer, length: Int, dropping: FieldSet, into sink: inout Sink
    ) {
        write(bytes, from: 0, to: length &- 2, dropping: dropping, into: &sink)
    }
}

extension RequestHead {
    /// Writes the start line, with `target` in place of its own where one is given, and the fields that are kept, as HTTP/1.1.
    ///
    /// A target in absolute form becomes one in origin form, and its authority, as that of CONNECT, the Host (RFC 9112 3.2.2).
    @inlinable package func write<Sink: ByteSink>(
        _ bytes: UnsafeRawBufferPointer, target replacement: UnsafeRawBufferPointer? = nil, dropping: FieldSet, into sink: inout Sink
    ) {
        let sectionEnd = length &- 2
        if replacement == nil, minorVersion == 1, form != .absolute {
            fields.write(bytes, from: method.lowerBound, to: sectionEnd, dropping: dropping, into: &sink)
            return
        }
        sink.append(bytes[method])
        sink.append(" ")
        if let replacement {
            sink.append(replacement)
        } else if form == .absolute {
            if path.isEmpty { sink.append("/") }
            sink.append(bytes.slice(path.lowerBound, target.upperBound))
        } else {
            sink.append(bytes[target])
        }
        sink.append(" HTTP/1.1\r\n")
        var dropping = dropping
        // An old client waits for no 100, and nobody has looked at what else it expects (RFC 9110 10.1.1).
        if minorVersion == 0 { dropping.insert(.expect) }
        if form == .absolute || form == .authority, !dropping.contains(.host), let authority {
            HeadWriter.field("host", bytes[authority], into: &sink)
            dropping.insert(.host)
        }
        fields.write(bytes, from: firstLine, to: sectionEnd, dropping: dropping, into: &sink)
    }

    /// Where the line behind the start line begins.
    @inlinable var firstLine: Int { fields.isEmpty ? length &- 2 : fields[0].name.lowerBound }
}

extension ResponseHead {
    /// Writes the status line and the fields that are kept, as HTTP/1.1.
    @inlinable package func write<Sink: ByteSink>(_ bytes: UnsafeRawBufferPointer, dropping: FieldSet, into sink: inout Sink) {
        let sectionEnd = length &- 2
        if minorVersion == 1 {
            fields.write(bytes, from: 0, to: sectionEnd, dropping: dropping, into: &sink)
            return
        }
        sink.append("HTTP/1.1 ")
        sink.append(decimal: UInt64(status))
        sink.append(" ")
        sink.append(bytes[reason])
        sink.append("\r\n")
        fields.write(bytes, from: fields.isEmpty ? sectionEnd : fields[0].name.lowerBound, to: sectionEnd, dropping: dropping, into: &sink)
    }
}
