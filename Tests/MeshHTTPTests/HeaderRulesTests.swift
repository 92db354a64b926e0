import MeshHTTP
import Testing

@Suite struct HeaderRulesTests {
    @Test func theSetsAreThoseOfTheStandardAndOfTheMesh() {
        #expect(HeaderRules.hopByHop == [.connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade])
        #expect(!HeaderRules.hopByHopKeepingChunks.contains(.transferEncoding))
        for known in KnownField.allCases {
            let isOurs = "\(known.name)".hasPrefix("mesh-") || known == .otherMesh
            #expect(HeaderRules.mesh.contains(known) == isOurs)
            if isOurs {
                #expect(HeaderRules.strippedAtEdge.contains(known) && HeaderRules.strippedTowardsOutside.contains(known))
            }
        }
        #expect(HeaderRules.strippedTowardsOutside.contains(.baggage) && !HeaderRules.strippedAtEdge.contains(.baggage))
        #expect(KnownField.allCases.count <= 64)
    }

    @Test func strangersCannotSetWhatTheEdgeSets() throws {
        let message = """
            GET / HTTP/1.1\r\nHost: Shop:80\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
            X-Forwarded-Host: evil\r\nmesh-caller: root\r\nMesh_Caller: root\r\ntraceparent: x\r\nA: b\r\n\r\n
            """
        let written = try forwardRequest(message, dropping: HeaderRules.strippedAtEdge) { head, source, sink in
            bytes("192.0.2.7").withUnsafeBytes { client in
                ForwardingFields(client: client, isSecure: false, isTrusted: false).write(head, source, into: &sink)
            }
        }
        #expect(
            written == """
                GET / HTTP/1.1\r\nHost: Shop:80\r\nA: b\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: Shop:80\r\n\
                forwarded: for=192.0.2.7;host="Shop:80";proto=http\r\n\r\n
                """)
    }

    @Test func trustedClientsAreContinued() throws {
        let message = """
            GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-Proto: https\r\n\
            X-Forwarded-Host: outer\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\n\r\n
            """
        let written = try forwardRequest(message, dropping: HeaderRules.strippedAtEdge) { head, source, sink in
            bytes("2001:db8::1").withUnsafeBytes { client in
                ForwardingFields(client: client, isSecure: true, isTrusted: true).write(head, source, into: &sink)
            }
            #expect(sink.count <= ForwardingFields.mostBytes(headLength: head.length) + head.length)
        }
        #expect(
            written == """
                GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3, 2001:db8::1\r\nx-forwarded-proto: https\r\n\
                x-forwarded-host: outer\r\nforwarded: for=1.1.1.1, for="[2001:db8::1]";host="a";proto=https\r\n\r\n
                """)
    }

    @Test func aClientWithoutAnAddressIsUnknown() throws {
        let written = try forwardRequest("GET / HTTP/1.0\r\n\r\n", dropping: []) { head, source, sink in
            ForwardingFields(client: UnsafeRawBufferPointer(start: nil, count: 0), isSecure: false, isTrusted: false)
                .write(head, source, into: &sink)
        }
        #expect(
            written == "GET / HTTP/1.1\r\nx-forwarded-for: unknown\r\nx-forwarded-proto: http\r\nforwarded: for=unknown;proto=http\r\n\r\n")
    }

    @Test func baggageIsCapped() throws {
        func allows(_ lines: String) throws -> Bool {
            var parser = RequestHeadParser()
            var head = RequestHead()
            return try bytes("GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n").withUnsafeBytes { bytes in
                _ = try parser.parse(bytes, into: &head)
                return HeaderRules.allowsBaggage(head.fields, bytes)
            }
        }
        #expect(try allows(""))
        #expect(try allows("baggage: a=1,b=2\r\n"))
        #expect(try allows("baggage: " + String(repeating: "a=1,", count: 64) + "\r\n"))
        #expect(try !allows("baggage: " + String(repeating: "a=1,", count: 65) + "\r\n"))
        #expect(try !allows("baggage: a=" + String(repeating: "x", count: 8192) + "\r\n"))
        #expect(
            try !allows(
                "baggage: " + String(repeating: "a=1,", count: 40) + "\r\nbaggage: " + String(repeating: "a=1,", count: 40) + "\r\n"))
    }

    @Test func requestIdsAreCapped() {
        for (value, isAllowed) in [
            ("abc-1", true), ("", false), ("a b", false), ("\u{e9}", false), (String(repeating: "a", count: 129), false),
        ] {
            #expect(bytes(value).withUnsafeBytes { HeaderRules.allowsRequestID($0) } == isAllowed)
        }
    }
}
