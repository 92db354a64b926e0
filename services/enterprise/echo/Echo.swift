import MeshSidecar

/// What `echo` says about a request.
struct Echo: Encodable {
    var method: String
    var path: String
    var headers: [String: String]
    var bodyBytes: Int
    var caller: String
    /// nil for a request without a deadline.
    var remainingMilliseconds: Int64?

    enum CodingKeys: String, CodingKey {
        case method, path, headers, caller
        case bodyBytes = "body_bytes"
        case remainingMilliseconds = "remaining_ms"
    }

    init(of request: MeshRequest) async throws {
        method = request.method.rawValue
        path = request.target
        headers = Dictionary(request.headerFields.map { ($0.name.canonicalName, $0.value) }) { "\($0), \($1)" }
        caller = "\(request.caller)"
        var count = 0
        for try await piece in request.body { count += piece.count }
        bodyBytes = count
        // Read last, so that it says what is left when the answer goes out.
        remainingMilliseconds = request.remaining.map { $0.components.seconds * 1_000 + $0.components.attoseconds / 1_000_000_000_000_000 }
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(method, forKey: .method)
        try fields.encode(path, forKey: .path)
        try fields.encode(headers, forKey: .headers)
        try fields.encode(bodyBytes, forKey: .bodyBytes)
        try fields.encode(caller, forKey: .caller)
        // Present even where it is null, so that a script can rely on it.
        try fields.encode(remainingMilliseconds, forKey: .remainingMilliseconds)
    }

    /// 128 bytes of text, the answer that benchmarks ask for.
    static let greeting = MeshResponse.text(String(repeating: "0123456789abcdef", count: 7) + "0123456789abcde\n")

    static let longestSleep = 60.0
    static let mostBytes = 64 << 20

    static func status(_ text: String) throws -> MeshResponse {
        guard let code = Int(text), (200...599).contains(code) else {
            throw problem("status", "'\(text)' is not a status from 200 to 599")
        }
        let status = HTTPResponse.Status(code: code)
        return [204, 205, 304].contains(code) ? MeshResponse(status: status) : .text("\(code)\n", status: status)
    }

    static func slow(_ request: MeshRequest) async throws -> MeshResponse {
        let seconds = try request.query("s", as: Double.self) ?? 1
        guard seconds >= 0, seconds <= longestSleep else {
            throw problem("s", "must be a number of seconds from 0 to \(Int(longestSleep))")
        }
        try await Task.sleep(for: .seconds(seconds))
        return .text("slept \(seconds) s\n")
    }

    static func bytes(_ text: String) throws -> MeshResponse {
        guard let count = Int(text), (0...mostBytes).contains(count) else {
            throw problem("bytes", "'\(text)' is not a number from 0 to \(mostBytes)")
        }
        let block = [UInt8](repeating: UInt8(ascii: "x"), count: 64 << 10)
        guard count > block.count else { return .bytes(Array(block[..<count])) }
        return MeshResponse(
            headerFields: [.contentType: "application/octet-stream"],
            body: .stream(length: count) { writer in
                var left = count
                while left > 0 {
                    let next = min(left, block.count)
                    try await writer.write(next == block.count ? block : Array(block[..<next]))
                    left -= next
                }
            })
    }

    private static func problem(_ field: String, _ message: String) -> Problem {
        Problem(.badRequest, detail: "a part of the request can't be used", errors: [.init(field: field, message: message)])
    }
}
