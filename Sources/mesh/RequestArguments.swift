import ArgumentParser
import Curl
import Foundation
import MeshAdminAPI

/// A request as `mesh call` and `mesh load` are told it.
enum RequestArguments {
    /// - Parameter data: as given, not read yet; its presence makes a POST.
    static func request(_ target: [String], data: String?, headers: [String], to base: String) throws -> CurlRequest {
        var words = target
        // `mesh call "POST /orders"` is how routes are written elsewhere.
        if words.count == 1 { words = words[0].split(separator: " ", maxSplits: 1).map(String.init) }
        if words.count == 1 { words.insert(data == nil ? "GET" : "POST", at: 0) }
        guard words.count == 2 else { throw ValidationError("A method and a path are wanted, such as: GET /catalog") }
        guard words[1].hasPrefix("/") else { throw ValidationError("The path must begin with a slash: '\(words[1])'") }
        let isToken =
            !words[0].isEmpty && words[0].allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "!#$%&'*+-.^_`|~".contains($0)) }
        guard isToken else { throw ValidationError("'\(words[0])' is no method.") }
        guard !words[1].unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7f }) else {
            throw ValidationError("The path must not have blanks: write %20.")
        }
        var fields = try headers.map { text in
            guard let colon = text.firstIndex(of: ":"), colon != text.startIndex, !text.contains(where: \.isNewline) else {
                throw ValidationError("'\(text)' is no field: write 'Name: value'.")
            }
            return CurlHeader(String(text[..<colon]), text[text.index(after: colon)...].trimmingCharacters(in: .whitespaces))
        }
        if fields["User-Agent"] == nil { fields.append(CurlHeader("User-Agent", "mesh/\(AdminAPI.releaseVersion)")) }
        if data != nil, fields["Content-Type"] == nil { fields.append(CurlHeader("Content-Type", "application/json")) }
        // The gateway is this host's own, as its daemon says; its certificate is for the name that others know it by.
        return CurlRequest(
            words[0].uppercased(), base + words[1], headers: fields, timeout: .seconds(120), tls: .init(verifiesPeer: false))
    }

    /// What listens on every address is reached on the loopback.
    static func reachable(_ url: String) -> String {
        url.replacing("//0.0.0.0:", with: "//127.0.0.1:").replacing("//[::]:", with: "//[::1]:")
    }

    static func body(_ data: String) throws -> [UInt8] {
        guard data.hasPrefix("@") else { return Array(data.utf8) }
        let path = String(data.dropFirst())
        if path == "-" { return Array(FileHandle.standardInput.readDataToEndOfFile()) }
        guard let contents = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(
                "the body cannot be read from \(path)", hint: "name a file that exists: -d @FILE, or -d @- for standard input")
        }
        return Array(contents)
    }
}

extension DaemonClient {
    /// Where the gateway takes requests.
    func gatewayURL(_ location: MeshLocation) throws -> String {
        guard let base = try status()?.urls.first else {
            if try status() == nil { throw DaemonAbsent() }
            throw CommandFailure("the gateway of mesh \(location.name) does not listen", hint: "mesh ps\(location.selector)")
        }
        return RequestArguments.reachable(base)
    }
}
