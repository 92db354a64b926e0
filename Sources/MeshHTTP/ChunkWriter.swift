/// Writes the chunked coding (RFC 9112 7.1): `begin`, the data, `end` for each chunk, then `last`, or `zero`, trailers and an empty line.
@frozen
@usableFromInline
package enum ChunkWriter {
    /// The most bytes that `begin` and `end` write around the data.
    package static let overhead = 20

    /// The line before `count` bytes of data; an empty chunk would end the body, so there is none.
    @inlinable package static func begin<Sink: ByteSink>(_ count: Int, into sink: inout Sink) {
        precondition(count > 0, "an empty chunk ends the body")
        sink.append(hexadecimal: UInt64(count))
        sink.append("\r\n")
    }

    @inlinable package static func end<Sink: ByteSink>(into sink: inout Sink) { sink.append("\r\n") }

    /// The end of a body without trailers.
    @inlinable package static func last<Sink: ByteSink>(into sink: inout Sink) { sink.append("0\r\n\r\n") }

    /// The last chunk where trailer fields follow; after them comes `end`.
    @inlinable package static func zero<Sink: ByteSink>(into sink: inout Sink) { sink.append("0\r\n") }
}
