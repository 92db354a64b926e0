import MeshHTTP
import MeshModel
import Testing

/// A request parsed and written onward by `body`.
func forwardRequest(
    _ message: String, target: String? = nil, dropping: FieldSet,
    _ add: (borrowing RequestHead, UnsafeRawBufferPointer, inout [UInt8]) -> Void = { _, _, _ in }
) throws -> String {
    var parser = RequestHeadParser()
    var head = RequestHead()
    var sink: [UInt8] = []
    let source = bytes(message)
    try source.withUnsafeBytes { bytes in
        _ = try #require(try parser.parse(bytes, into: &head))
        if let target {
            MeshHTTPTests.bytes(target).withUnsafeBytes { head.write(bytes, target: $0, dropping: dropping, into: &sink) }
        } else {
            head.write(bytes, dropping: dropping, into: &sink)
        }
        add(head, bytes, &sink)
        HeadWriter.end(into: &sink)
    }
    return text(sink)
}

@Suite struct HeadWriterTests {
    @Test func aHeadIsCopiedAsItIs() throws {
        let message = "GET /a?b HTTP/1.1\r\nHost:  a \r\nX:\r\naccept: b\r\n\r\n"
        #expect(try forwardRequest(message, dropping: []) == message)
    }

    @Test func droppedAndNominatedFieldsAreLeftOut() throws {
        let message = """
            GET / HTTP/1.1\r\nKeep-Alive: 1\r\nHost: a\r\nX-Hop: 1\r\nTE: trailers\r\nA: 1\r\nB: 2\r\nConnection: x-hop\r\nC: 3\r\nUpgrade: h2c\r\n\r\n
            """
        let expected = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"
        #expect(try forwardRequest(message, dropping: HeaderRules.hopByHop) == expected)
    }

    @Test func allFieldsMayBeLeftOut() throws {
        #expect(try forwardRequest("GET / HTTP/1.1\r\nHost: a\r\nVia: b\r\n\r\n", dropping: [.host, .via]) == "GET / HTTP/1.1\r\n\r\n")
    }

    @Test func fieldsAreAdded() throws {
        let written = try forwardRequest("GET / HTTP/1.1\r\nHost: a\r\n\r\n", dropping: []) { _, _, sink in
            HeadWriter.field("via", "1.1 mesh", into: &sink)
            HeadWriter.field("mesh-timeout-ms", 998, into: &sink)
            bytes("x").withUnsafeBytes { HeadWriter.field("x-id", $0, into: &sink) }
        }
        #expect(written == "GET / HTTP/1.1\r\nHost: a\r\nvia: 1.1 mesh\r\nmesh-timeout-ms: 998\r\nx-id: x\r\n\r\n")
    }

    @Test func theTargetIsReplaced() throws {
        let written = try forwardRequest("GET /a//b HTTP/1.1\r\nHost: a\r\n\r\n", target: "/a/b", dropping: [])
        #expect(written == "GET /a/b HTTP/1.1\r\nHost: a\r\n\r\n")
    }

    @Test func anAbsoluteTargetBecomesPathAndHost() throws {
        #expect(
            try forwardRequest("GET http://shop:81/a?b HTTP/1.1\r\nA: b\r\nHost: other\r\n\r\n", dropping: [])
                == "GET /a?b HTTP/1.1\r\nhost: shop:81\r\nA: b\r\n\r\n")
        #expect(
            try forwardRequest("GET http://shop HTTP/1.1\r\nHost: other\r\n\r\n", dropping: []) == "GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
        #expect(
            try forwardRequest("GET http://shop?q HTTP/1.1\r\nHost: other\r\n\r\n", dropping: [])
                == "GET /?q HTTP/1.1\r\nhost: shop\r\n\r\n")
        #expect(
            try forwardRequest("GET http://shop?q HTTP/1.1\r\nHost: other\r\n\r\n", target: "/x", dropping: [.host])
                == "GET /x HTTP/1.1\r\n\r\n")
    }

    @Test func version10GoesOnAsVersion11() throws {
        #expect(try forwardRequest("GET /a HTTP/1.0\r\nA: b\r\n\r\n", dropping: []) == "GET /a HTTP/1.1\r\nA: b\r\n\r\n")
        #expect(try forwardRequest("GET /a HTTP/1.0\r\n\r\n", dropping: []) == "GET /a HTTP/1.1\r\n\r\n")
    }

    @Test func anEmptyLineBeforeTheRequestIsNotPassedOn() throws {
        #expect(try forwardRequest("\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", dropping: []) == "GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    }

    func forwardResponse(_ message: String, dropping: FieldSet) throws -> String {
        var parser = ResponseHeadParser()
        var head = ResponseHead()
        var sink: [UInt8] = []
        try bytes(message).withUnsafeBytes { bytes in
            _ = try #require(try parser.parse(bytes, answering: AnsweredRequest(method: .get), into: &head))
            head.write(bytes, dropping: dropping, into: &sink)
            HeadWriter.end(into: &sink)
        }
        return text(sink)
    }

    @Test func responsesAreWrittenLikewise() throws {
        #expect(
            try forwardResponse(
                "HTTP/1.1 200 OK\r\nmesh-retry: no\r\nA: b\r\nConnection: close\r\n\r\n",
                dropping: HeaderRules.mesh.union(HeaderRules.hopByHop))
                == "HTTP/1.1 200 OK\r\nA: b\r\n\r\n")
        #expect(try forwardResponse("HTTP/1.0 404 Not here\r\nA: b\r\n\r\n", dropping: []) == "HTTP/1.1 404 Not here\r\nA: b\r\n\r\n")
        #expect(try forwardResponse("HTTP/1.0 404\r\n\r\n", dropping: []) == "HTTP/1.1 404 \r\n\r\n")
    }

    @Test func trailersAreWrittenLikewise() throws {
        var decoder = BodyDecoder(.chunked)
        var fields = FieldList()
        var sink: [UInt8] = []
        try bytes("0\r\nA: b\r\nmesh-credit-spent: 1\r\nC: d\r\n\r\n").withUnsafeBytes { bytes in
            let advance = try decoder.advance(bytes)
            #expect(advance.following == .trailers)
            let rest = bytes.slice(advance.consumed, bytes.count)
            let length = try #require(try decoder.readTrailers(rest, into: &fields))
            fields.writeTrailers(rest, length: length, dropping: HeaderRules.mesh, into: &sink)
            ChunkWriter.end(into: &sink)
        }
        #expect(text(sink) == "A: b\r\nC: d\r\n\r\n")
    }

    @Test func noLineEndGetsIntoAValue() {
        for (value, isSafe) in [("a b\t\u{e9}", true), ("", true), ("a\r\nb", false), ("a\n", false), ("\u{0}", false), ("\u{7f}", false)] {
            #expect(bytes(value).withUnsafeBytes { HeadWriter.isSafeValue($0) } == isSafe)
        }
    }

    @Test func aRegionHoldsWhatIsWritten() {
        let region = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 1)
        defer { region.deallocate() }
        var sink = RegionSink(region)
        HeadWriter.field("a", 18_446_744_073_709_551_615, into: &sink)
        sink.append(hexadecimal: 0xdead_beef)
        sink.append(hexadecimal: 0)
        sink.append(decimal: 0)
        #expect(text(region[..<sink.count]) == "a: 18446744073709551615\r\ndeadbeef00")
    }

    @Test(arguments: [UInt64(0), 1, 9, 10, 15, 16, 255, 256, 65535, 1 << 32, .max])
    func numbersAreWrittenAsTheLibraryWritesThem(_ value: UInt64) {
        var decimal: [UInt8] = []
        var hexadecimal: [UInt8] = []
        decimal.append(decimal: value)
        hexadecimal.append(hexadecimal: value)
        #expect(text(decimal) == String(value))
        #expect(text(hexadecimal) == String(value, radix: 16))
    }
}
