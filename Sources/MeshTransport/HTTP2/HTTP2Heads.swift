internal import MeshHTTP
internal import NIOCore
internal import NIOHPACK

// The one written form of a head is HTTP/1.1's: routes, header rules, retries and traces know no other. HTTP/2 is translated at its
// border, in both directions.

/// Header blocks of HTTP/2 (RFC 9113 8.2 and 8.3) as heads of HTTP/1.1.
///
/// Names, values and pseudo-header fields were checked by NIOHTTP2: no value holds a line end. What comes out is parsed like any other
/// head, and a head that goes on behind its end is refused by that.
enum HTTP2Heads {
    /// A request's head. `isEnd`: no body follows.
    static func writeRequest(_ headers: HPACKHeaders, isEnd: Bool, into output: inout ByteBuffer) {
        var method = ""
        var path = ""
        var authority: String?
        for (name, value, _) in headers {
            guard name.utf8.first == ASCII.colon else { break }
            switch name {
            case ":method": method = value
            case ":path": path = value
            case ":authority": authority = value
            default: break
            }
        }
        output.reserveCapacity(512)
        output.writeString(method)
        output.writeStaticString(" ")
        output.writeString(method == "CONNECT" ? authority ?? "" : path)
        output.writeStaticString(" HTTP/1.1\r\n")
        if let authority { output.writeField("host", authority) }
        var hasLength = false
        var cookies = ""
        for (name, value, _) in headers {
            switch name {
            // The target's authority is the one that counts (RFC 9113 8.3.1).
            case "host" where authority != nil: continue
            // Split for the sake of compression (RFC 9113 8.2.3).
            case "cookie":
                if !cookies.isEmpty { cookies += "; " }
                cookies += value
                continue
            case "content-length": hasLength = true
            default: if name.utf8.first == ASCII.colon { continue }
            }
            output.writeField(name, value)
        }
        if !cookies.isEmpty { output.writeField("cookie", cookies) }
        if !hasLength, !isEnd {
            output.writeStaticString("transfer-encoding: chunked\r\n")
        } else if !hasLength, method == "POST" || method == "PUT" || method == "PATCH" {
            output.writeStaticString("content-length: 0\r\n")
        }
        output.writeStaticString("\r\n")
    }

    /// A response's head. `isEnd`: no body follows, so that its length can be said where it would be missed.
    static func writeResponse(_ headers: HPACKHeaders, isEnd: Bool, into output: inout ByteBuffer) {
        var status = ""
        var hasLength = false
        for (name, value, _) in headers {
            if name == ":status" { status = value }
            if name == "content-length" { hasLength = true }
        }
        output.reserveCapacity(512)
        output.writeStaticString("HTTP/1.1 ")
        output.writeString(status)
        output.writeStaticString(" \r\n")
        for (name, value, _) in headers where name.utf8.first != ASCII.colon { output.writeField(name, value) }
        if isEnd, !hasLength, status.utf8.first != UInt8(ascii: "1"), status != "204", status != "304" {
            output.writeStaticString("content-length: 0\r\n")
        }
        output.writeStaticString("\r\n")
    }

    /// A trailer section as field lines, without the empty line; what rules framing is left out, as is what the mesh says to itself
    /// where the section crosses its border.
    static func trailerLines(_ headers: HPACKHeaders, crossesBorder: Bool) -> ByteBuffer? {
        var lines = ByteBuffer()
        for (name, value, _) in headers where name.utf8.first != ASCII.colon {
            if forbiddenInTrailers.contains(name) || crossesBorder && name.utf8.starts(with: "mesh-".utf8) { continue }
            lines.writeField(name, value)
        }
        return lines.readableBytes == 0 ? nil : lines
    }

    private static let forbiddenInTrailers: Set<String> = [
        "content-length", "transfer-encoding", "host", "connection", "te", "trailer", "upgrade", "keep-alive", "proxy-connection", "expect",
    ]

    // MARK: - gRPC

    /// An answer of the mesh's own as gRPC reads it: a head that is its trailers, too. What else the answer says in fields, it keeps.
    static func trailersOnly(_ answer: HPACKHeaders, _ status: GRPCStatus, _ message: String) -> HPACKHeaders {
        var headers: HPACKHeaders = [":status": "200", "content-type": "application/grpc"]
        headers.add(contentsOf: trailers(status, message))
        for (name, value, _) in answer where name != ":status" && name != "content-type" && name != "content-length" {
            headers.add(name: name, value: value)
        }
        return headers
    }

    /// Trailers of a call that the mesh ended.
    static func trailers(_ status: GRPCStatus, _ message: String) -> HPACKHeaders {
        ["grpc-status": String(status.rawValue), "grpc-message": GRPCStatus.percentEncoded(message)]
    }

    // MARK: - From HTTP/1.1

    /// What stands behind the head of a message that was written as HTTP/1.1.
    static func body(behind message: ByteBuffer) -> ByteBuffer {
        let length = message.withUnsafeReadableBytes { bytes in
            var lines = FieldLines(bytes)
            while lines.nextLine() != nil {}
            return bytes.count - lines.left + 2
        }
        return message.getSlice(at: message.readerIndex + length, length: message.readableBytes - length) ?? ByteBuffer()
    }

    /// The header block of a request whose head was written as HTTP/1.1.
    static func request(_ head: ByteBuffer, isSecure: Bool) -> HPACKHeaders {
        head.withUnsafeReadableBytes { bytes in
            var headers = HPACKHeaders()
            var lines = FieldLines(bytes)
            guard let start = lines.nextLine(), let space = start.firstIndex(of: ASCII.space),
                let version = start.lastIndex(of: ASCII.space), space < version
            else { preconditionFailure("a written head begins with a request line") }
            headers.reserveCapacity(20)
            headers.add(name: ":method", value: text(start[..<space]))
            headers.add(name: ":scheme", value: isSecure ? "https" : "http")
            // Pseudo-header fields come first, and Host stands anywhere.
            var hosts = lines
            while let line = hosts.next() {
                guard line.name.equalsIgnoringCase("host") else { continue }
                headers.add(name: ":authority", value: text(line.value[...]))
                break
            }
            headers.add(name: ":path", value: text(start[(space + 1)..<version]))
            add(&lines, to: &headers)
            return headers
        }
    }

    /// The header block of a response whose head was written as HTTP/1.1.
    static func response(_ head: ByteBuffer) -> HPACKHeaders {
        head.withUnsafeReadableBytes { bytes in
            var headers = HPACKHeaders()
            var lines = FieldLines(bytes)
            guard let start = lines.nextLine(), start.count >= 12 else { preconditionFailure("a written head begins with a status line") }
            headers.reserveCapacity(16)
            headers.add(name: ":status", value: text(start[9..<12]))
            add(&lines, to: &headers)
            return headers
        }
    }

    /// Field lines as a trailer block.
    static func trailers(_ lines: ByteBuffer) -> HPACKHeaders {
        lines.withUnsafeReadableBytes { bytes in
            var headers = HPACKHeaders()
            var lines = FieldLines(bytes)
            add(&lines, to: &headers)
            return headers
        }
    }

    /// Names are written in lower case; what belongs to a connection of HTTP/1.1 ends here (RFC 9113 8.2.2).
    private static func add(_ lines: inout FieldLines, to headers: inout HPACKHeaders) {
        while let line = lines.next() {
            let name = lowercase(line.name)
            switch name {
            case "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings": continue
            case "te" where !line.value.equalsIgnoringCase("trailers"): continue
            default: headers.add(name: name, value: text(line.value[...]), indexing: isSecret(name) ? .neverIndexed : .indexable)
            }
        }
    }

    /// Compressed with what an attacker chose, they could be guessed (RFC 7541 7.1).
    private static func isSecret(_ name: String) -> Bool { name == "authorization" || name == "proxy-authorization" }

    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func lowercase(_ bytes: UnsafeRawBufferPointer) -> String {
        String(unsafeUninitializedCapacity: bytes.count) { region in
            for index in 0..<bytes.count { region[index] = ASCII.lowercase(bytes[index]) }
            return bytes.count
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func writeField(_ name: StaticString, _ value: String) {
        writeStaticString(name)
        writeStaticString(": ")
        writeString(value)
        writeStaticString("\r\n")
    }

    fileprivate mutating func writeField(_ name: String, _ value: String) {
        writeString(name)
        writeStaticString(": ")
        writeString(value)
        writeStaticString("\r\n")
    }
}
