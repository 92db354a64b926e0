internal import MeshExchange
internal import MeshHTTP

/// The one form of a request's path that the route and the upstream both see.
///
/// Where the client's own form is the normal one, which it nearly always is, nothing is copied.
struct RequestPath {
    /// The normal path where it differs from the client's.
    private var replaced: [UInt8] = []
    private(set) var replacesTarget = false

    /// No less than the bytes that it adds to a head.
    var count: Int { replaced.count }

    mutating func reset() {
        guard replacesTarget else { return }
        replaced.removeAll(keepingCapacity: true)
        replacesTarget = false
    }

    /// Puts the path of a request into its normal form; the other forms of a target have no path.
    mutating func normalize(
        _ request: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, by normalizer: inout PathNormalizer
    ) throws(MessageError) {
        guard request.form == .origin || request.form == .absolute else { return }
        let normal = try normalizer.normalize(path: bytes[request.path], query: request.query.map { bytes[$0] })
        guard normal.isChanged else { return }
        replacesTarget = true
        replaced.append(contentsOf: normal.path)
    }

    func withPath<Result>(
        of request: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        replacesTarget ? replaced.withUnsafeBytes(body) : body(bytes[request.path])
    }

    /// Path and query, with the base path of a `url:` service in front.
    func withTarget<Result>(
        of request: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer, basePath: String?, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        if !replacesTarget, basePath == nil, request.form != .absolute { return body(bytes[request.target]) }
        var target: [UInt8] = []
        if var basePath, !basePath.isEmpty, basePath != "/" {
            if basePath.hasSuffix("/") { basePath.removeLast() }
            target.append(contentsOf: basePath.utf8)
        }
        withPath(of: request, bytes) { path in
            if path.isEmpty { target.append(ASCII.slash) } else { target.append(contentsOf: path) }
        }
        if let query = request.query {
            target.append(ASCII.question)
            target.append(contentsOf: bytes[query])
        }
        return target.withUnsafeBytes(body)
    }

    mutating func apply(_ rewrite: PathRewrite, to request: borrowing RequestHead, _ bytes: UnsafeRawBufferPointer) {
        var result: [UInt8] = []
        withPath(of: request, bytes) { path in
            rewrite.rewrite(path) { result.append(contentsOf: $0) }
        }
        replaced = result
        replacesTarget = true
    }
}
