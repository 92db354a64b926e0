import MeshHTTP
import MeshModel
import TestSupport
import Testing

func normalize(_ path: String, query: String? = nil) -> Result<String, MessageError> {
    var normalizer = PathNormalizer()
    return normalize(path, query: query, by: &normalizer)
}

func normalize(_ path: String, query: String?, by normalizer: inout PathNormalizer) -> Result<String, MessageError> {
    let message = bytes(path + (query.map { "?" + $0 } ?? ""))
    let count = bytes(path).count
    return GuardedBytes.with(message) { bytes in
        do throws(MessageError) {
            let normal = try normalizer.normalize(
                path: bytes.slice(0, count), query: query == nil ? nil : bytes.slice(count + 1, bytes.count))
            #expect(normal.isChanged == !normal.target.elementsEqual(bytes))
            #expect(normal.target.starts(with: normal.path))
            #expect(normal.hasParameters == normal.path.contains(UInt8(ascii: ";")))
            return .success(text(normal.target))
        } catch {
            return .failure(error)
        }
    }
}

@Suite(.calculating) struct PathNormalizerTests {
    @Test(arguments: [
        // Already normal.
        ("/", "/"), ("/a", "/a"), ("/a/b/", "/a/b/"), ("/a-b._~!$&'()*+,;=:@", "/a-b._~!$&'()*+,;=:@"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a;v=1/b", "/a;v=1/b"), ("/...", "/..."), ("/a..b", "/a..b"), ("/a/..b", "/a/..b"), ("/%2F", "/%2F"), ("/a%2Fb", "/a%2Fb"),
        ("/%20", "/%20"),
        ("/%C3%A9", "/%C3%A9"), ("/%25", "/%25"), ("/%252e", "/%252e"), ("/%3B", "/%3B"),
        // Encodings.
        ("", "/"), ("/%41%7a%30%2d%2E%5f%7E", "/Az0-._~"), ("/%2f", "/%2F"), ("/%c3%a9", "/%C3%A9"), ("/%3f%23", "/%3F%23"),
        ("/a%2fb", "/a%2Fb"),
        ("/{a}|b^c`\"<>", "/%7Ba%7D%7Cb%5Ec%60%22%3C%3E"), ("/%7ba%7D", "/%7Ba%7D"), ("/a%5cb", "/a%5Cb"),
        // Empty segments.
        ("//", "/"), ("//a", "/a"), ("/a//b", "/a/b"), ("/a///b//", "/a/b/"), ("////", "/"),
        // Dot segments.
        ("/.", "/"), ("/./", "/"), ("/./a", "/a"), ("/a/.", "/a/"), ("/a/./b", "/a/b"), ("/a/..", "/"), ("/a/../", "/"), ("/a/../b", "/b"),
        ("/a/b/../c", "/a/c"), ("/a/b/..", "/a/"), ("/a/b/../..", "/"), ("/a//../b", "/b"), ("/a/%2e%2E/b", "/b"), ("/a/.%2e", "/"),
        ("/%2e", "/"),
        ("/a/b/c/./../../g", "/a/g"), ("/a;x/../b", "/b"), ("/..a/b", "/..a/b"), ("/a/.../b", "/a/.../b"), ("/%2e%2e%2e", "/..."),
        ("/x%2F../y", "!"),
    ])
    func pathsAreBroughtIntoTheirNormalForm(_ path: String, _ expected: String) throws {
        guard expected != "!" else {
            #expect(normalize(path) == .failure(MessageError(.ambiguousPath)))
            return
        }
        #expect(try normalize(path).get() == expected)
        #expect(try normalize(expected).get() == expected)
        #expect(try normalize(path, query: "a=%2e/../b").get() == expected + "?a=%2e/../b")
    }

    @Test(arguments: [
        ("/..", MessageError.Reason.pathEscapesRoot), ("/../a", .pathEscapesRoot), ("/a/../..", .pathEscapesRoot),
        ("/a/../../b", .pathEscapesRoot),
        ("/%2e%2e/a", .pathEscapesRoot), ("//..", .pathEscapesRoot), ("/./..", .pathEscapesRoot),
        ("/%", .path), ("/%4", .path), ("/%4g", .path), ("/%g4", .path), ("/%-1", .path), ("/a%", .path),
        ("/%00", .path), ("/a%0d%0ab", .path), ("/%1f", .path), ("/%7f", .path), ("/a\\b", .path), ("/a b", .path), ("/\u{0}", .path),
        ("/\u{e9}", .path), ("/a#b", .path), ("/a?b", .path), ("a", .path), ("*", .path), ("%2F", .path),
        ("/..;/a", .ambiguousPath), ("/a/..;x/b", .ambiguousPath), ("/.;", .ambiguousPath), ("/%2e%2e;/a", .ambiguousPath),
        ("/..%2fa", .ambiguousPath), ("/a/..%2F..%2Fb", .ambiguousPath), ("/a%2f..", .ambiguousPath), ("/a%2f../b", .ambiguousPath),
        ("/a%5c..%5cb", .ambiguousPath), ("/..%5Ca", .ambiguousPath), ("/a%2f..;x", .ambiguousPath), ("/a;b%2f..%2fc", .ambiguousPath),
    ])
    func pathsThatMayBeReadDifferentlyAreRefused(_ path: String, _ reason: MessageError.Reason) {
        #expect(normalize(path) == .failure(MessageError(reason)))
    }

    @Test func aNormalFormIsItsOwn() throws {
        let parts = ["/", ".", "..", "%2e", "%2F", "a", "%41", ";", "%", "~", "%5c", "//", "b", "%c3", "{", "=", "%3b"]
        var normalizer = PathNormalizer()
        var taken = 0
        for seed in 0..<20_000 as Range<UInt64> {
            var random = RandomSource(seed: seed)
            let path = "/" + (0..<random.next(below: 12)).map { _ in parts[random.next(below: parts.count)] }.joined()
            guard case .success(let normal) = normalize(path, query: nil, by: &normalizer) else { continue }
            taken += 1
            #expect(normalize(normal, query: nil, by: &normalizer) == .success(normal), "\(path)")
            #expect(normal.hasPrefix("/") && !normal.contains("//") && !normal.contains("/./") && !normal.contains("/../"), "\(path)")
        }
        #expect(taken > 2000)
    }
}

@Suite(.calculating) struct AuthorityTests {
    @Test(
        arguments: [
            ("shop", "shop", nil, true), ("Shop.Example:8080", "shop.example:8080", 8080, false), ("shop:", "shop", nil, false),
            ("shop.:80", "shop:80", 80, false),
            ("shop:080", "shop:80", 80, false), ("[2001:DB8::1]:443", "[2001:db8::1]:443", 443, false), ("[::1]", "[::1]", nil, true),
            ("127.0.0.1:8080", "127.0.0.1:8080", 8080, true), ("shop:0", "shop:0", 0, false), ("a.b:65535", "a.b:65535", 65535, true),
        ] as [(String, String, UInt16?, Bool)])
    func hostsAreBroughtIntoTheirNormalForm(_ host: String, _ normal: String, _ port: UInt16?, _ isNormal: Bool) throws {
        try bytes(host).withUnsafeBytes { bytes in
            let authority = try #require(Authority(bytes))
            var sink: [UInt8] = []
            authority.writeNormal(bytes, into: &sink)
            #expect(text(sink) == normal)
            #expect(authority.port == port)
            // A port 0 is written as it is, and counts as one that has leading zeros.
            #expect(authority.isNormal == isNormal)
        }
    }

    @Test func theSchemesOwnPortIsLeftOut() throws {
        try bytes("shop:80").withUnsafeBytes { bytes in
            var sink: [UInt8] = []
            try #require(Authority(bytes)).writeNormal(bytes, defaultPort: 80, into: &sink)
            #expect(text(sink) == "shop")
        }
    }

    @Test func hostsAreComparedWithoutCaseAndPort() throws {
        try bytes("Shop.:80").withUnsafeBytes { host in
            let authority = try #require(Authority(host))
            #expect(bytes("shop").withUnsafeBytes { authority.hostEquals($0, in: host) })
            #expect(!bytes("shops").withUnsafeBytes { authority.hostEquals($0, in: host) })
        }
    }
}
