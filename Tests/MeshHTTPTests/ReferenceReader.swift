import MeshHTTP

/// A slow, plain reading of RFC 9112 to compare the parser with: it splits into lines first and looks at each byte alone.
enum ReferenceReader {
    struct Request: Equatable {
        var method: String
        var target: String
        var minorVersion: Int
        var fields: [[String]]
        var framing: BodyFraming
        var length: Int
    }

    /// The request at the front of `bytes`; nil where it must be refused or is not complete. Limits are not looked at.
    static func request(_ bytes: [UInt8]) -> Request? {
        var start = 0
        if bytes.starts(with: [13, 10]) { start = 2 }
        var lines: [[UInt8]] = []
        while true {
            guard let end = (start..<max(start, bytes.count - 1)).first(where: { bytes[$0] == 13 && bytes[$0 + 1] == 10 }) else {
                return nil
            }
            let line = Array(bytes[start..<end])
            start = end + 2
            if line.isEmpty, !lines.isEmpty { break }
            lines.append(line)
        }
        let parts = lines[0].split(separator: 32, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, parts[0].count <= 32, parts[0].allSatisfy(isToken), !parts[1].isEmpty,
            parts[1].allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "#") }),
            let minorVersion = ["HTTP/1.0", "HTTP/1.1"].firstIndex(of: text(parts[2]))
        else { return nil }
        var fields: [[String]] = []
        for line in lines[1...] {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0, line[..<colon].allSatisfy(isToken) else { return nil }
            let value = line[(colon + 1)...]
            guard value.allSatisfy({ $0 == 9 || $0 >= 32 && $0 != 127 }) else { return nil }
            fields.append([text(line[..<colon]), text(value.trimming { $0 == 9 || $0 == 32 })])
        }
        guard let framing = framing(fields, minorVersion), isRouted(text(parts[0]), text(parts[1]), minorVersion, fields) else {
            return nil
        }
        guard values(fields, "expect").allSatisfy({ minorVersion == 0 || $0.lowercased() == "100-continue" }) else { return nil }
        return Request(
            method: text(parts[0]), target: text(parts[1]), minorVersion: minorVersion, fields: fields, framing: framing, length: start)
    }

    private static func values(_ fields: [[String]], _ name: String) -> [String] {
        fields.filter { $0[0].lowercased() == name }.map { $0[1] }
    }

    private static func framing(_ fields: [[String]], _ minorVersion: Int) -> BodyFraming? {
        let lengths = values(fields, "content-length")
        let codings = values(fields, "transfer-encoding")
        if !codings.isEmpty {
            return minorVersion == 1 && lengths.isEmpty && codings.count == 1 && codings[0].lowercased() == "chunked" ? .chunked : nil
        }
        guard let first = lengths.first else { return BodyFraming.none }
        guard lengths.count == 1, !first.isEmpty, first.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let value = Int64(first) else {
            return nil
        }
        return .length(UInt64(value))
    }

    /// Host, target and Connection.
    private static func isRouted(_ method: String, _ target: String, _ minorVersion: Int, _ fields: [[String]]) -> Bool {
        let hosts = values(fields, "host")
        guard hosts.count < 2, minorVersion == 0 || hosts.count == 1, hosts.allSatisfy({ isHost($0, needsPort: false) }) else {
            return false
        }
        let options = values(fields, "connection").flatMap { $0.split(separator: ",") }.map { option in
            text(bytes(String(option))[...].trimming { $0 == 9 || $0 == 32 }).lowercased()
        }.filter { !$0.isEmpty }
        guard options.count <= 32, options.allSatisfy({ bytes($0).allSatisfy(isToken) }) else { return false }
        if options.contains("host"), !hosts.isEmpty { return false }
        if options.contains("content-length"), !values(fields, "content-length").isEmpty { return false }
        if method == "CONNECT" { return isHost(target, needsPort: true) }
        if target.hasPrefix("/") { return true }
        if target == "*" { return method == "OPTIONS" }
        for scheme in ["http://", "https://"] where target.lowercased().hasPrefix(scheme) {
            return isHost(String(target.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }), needsPort: false)
        }
        return false
    }

    private static func isHost(_ host: String, needsPort: Bool) -> Bool {
        guard host.unicodeScalars.count <= 261 else { return false }
        var name = host
        var port: String?
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return false }
            let address = host[host.index(after: host.startIndex)..<end]
            guard address.count <= 45, address.filter({ $0 == ":" }).count >= 2,
                address.utf8.allSatisfy({ "0123456789abcdefABCDEF:.".utf8.contains($0) })
            else { return false }
            let rest = host[host.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return false }
            if !rest.isEmpty { port = String(rest.dropFirst()) }
        } else {
            if let colon = host.firstIndex(of: ":") {
                name = String(host[..<colon])
                port = String(host[host.index(after: colon)...])
            }
            guard !name.isEmpty, name.utf8.allSatisfy({ isToken($0) && !"!#$%&'*+^`|".utf8.contains($0) }) else { return false }
        }
        guard let port, !port.isEmpty else { return !needsPort }
        return port.utf8.count <= 5 && port.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } && Int(port)! <= 65535
    }

    static func isToken(_ byte: UInt8) -> Bool {
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8.contains(byte)
    }
}

extension Collection<UInt8> where Self: BidirectionalCollection, SubSequence == Self {
    func trimming(_ isDropped: (UInt8) -> Bool) -> Self {
        var result = self
        while let first = result.first, isDropped(first) { result = result.dropFirst() }
        while let last = result.last, isDropped(last) { result = result.dropLast() }
        return result
    }
}
