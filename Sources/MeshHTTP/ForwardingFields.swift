/// What the edge says about who asked: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239).
///
/// From a trusted client, the fields it sent are continued; from any other they are replaced, since anybody can write them. The host
/// must drop `HeaderRules.forwarding` from the head that it copies.
package struct ForwardingFields {
    /// The client's address, without brackets and port; empty where it has none, as on a Unix socket.
    package var client: UnsafeRawBufferPointer
    package var isSecure: Bool
    package var isTrusted: Bool

    package init(client: UnsafeRawBufferPointer, isSecure: Bool, isTrusted: Bool) {
        self.client = client
        self.isSecure = isSecure
        self.isTrusted = isTrusted
    }

    /// The most bytes that `write` adds for a head of this length.
    @inlinable package static func mostBytes(headLength: Int) -> Int { headLength &* 3 &+ 512 }

    package func write<Sink: ByteSink>(_ head: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, into sink: inout Sink) {
        sink.append("x-forwarded-for: ")
        continued(.xForwardedFor, head, bytes, &sink)
        appendClient(&sink)
        sink.append("\r\nx-forwarded-proto: ")
        if !kept(.xForwardedProto, head, bytes, &sink) { appendScheme(&sink) }
        sink.append("\r\n")
        let authority = head.authority.map { bytes[$0] }
        if isTrusted && head.fields.present.contains(.xForwardedHost) || authority != nil {
            sink.append("x-forwarded-host: ")
            if !kept(.xForwardedHost, head, bytes, &sink), let authority { sink.append(authority) }
            sink.append("\r\n")
        }
        sink.append("forwarded: ")
        continued(.forwarded, head, bytes, &sink)
        sink.append("for=")
        appendNode(&sink)
        if let authority {
            // A port makes it no token; a valid authority needs no escape.
            sink.append(";host=\"")
            sink.append(authority)
            sink.append("\"")
        }
        sink.append(";proto=")
        appendScheme(&sink)
        sink.append("\r\n")
    }

    private func appendScheme<Sink: ByteSink>(_ sink: inout Sink) { sink.append(isSecure ? "https" : "http") }

    private func appendClient<Sink: ByteSink>(_ sink: inout Sink) {
        if client.isEmpty { sink.append("unknown") } else { sink.append(client) }
    }

    /// A `node` of RFC 7239 6: an IPv6 address in brackets and quotes.
    private func appendNode<Sink: ByteSink>(_ sink: inout Sink) {
        guard client.contains(ASCII.colon) else { return appendClient(&sink) }
        sink.append("\"[")
        sink.append(client)
        sink.append("]\"")
    }

    /// Writes what a trusted client sent in a list field, all lines of it, with the comma before what is added.
    private func continued<Sink: ByteSink>(
        _ known: KnownField, _ head: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, _ sink: inout Sink
    ) {
        guard isTrusted, head.fields.present.contains(known) else { return }
        for index in head.fields.indices where head.fields[index].known == known {
            let value = head.fields[index].value
            guard !value.isEmpty else { continue }
            sink.append(bytes[value])
            sink.append(", ")
        }
    }

    /// Writes the only value that a trusted client sent; whether there was one.
    private func kept<Sink: ByteSink>(
        _ known: KnownField, _ head: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, _ sink: inout Sink
    ) -> Bool {
        guard isTrusted, let field = head.fields.only(known), !field.value.isEmpty else { return false }
        sink.append(bytes[field.value])
        return true
    }
}
