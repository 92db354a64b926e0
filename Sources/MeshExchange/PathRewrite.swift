/// Another path towards the upstream than the one that the client asked for. The query is not touched.
///
/// On an exact route the path is replaced. On a prefix route what `**` matched is kept and what stands before it is replaced:
/// `/old/**` rewritten as `/new` (or `/new/**`) makes `/new/x` of `/old/x`. A `*` in the rewrite takes what the pattern's `*`
/// in the same place of their order matched.
package struct PathRewrite: Hashable, Sendable {
    private enum Piece: Hashable, Sendable {
        case literal([UInt8])
        /// The segment of the request's path with this number.
        case segment(Int)
    }

    private let pieces: [Piece]
    /// How many segments of the request's path are replaced; nil for all.
    private let replacedSegments: Int?

    package init(_ text: String, for pattern: RoutePattern) throws(RoutePattern.Invalid) {
        let target = try RoutePattern(text)
        guard !target.isPrefix || pattern.isPrefix else {
            throw RoutePattern.Invalid(description: "'**' in a rewrite needs '**' in the route's pattern: \(text)")
        }
        var captures = pattern.segments.indices.filter { pattern.segments[$0] == .any }[...]
        var pieces: [Piece] = []
        for segment in target.segments {
            switch segment {
            case .literal(let bytes):
                pieces.append(.literal(bytes))
            case .any:
                guard let capture = captures.popFirst() else {
                    throw RoutePattern.Invalid(description: "more '*' in the rewrite than in the route's pattern: \(text)")
                }
                pieces.append(.segment(capture))
            }
        }
        // `/` rewrites a prefix to nothing: what is left of the path begins with its own slash.
        if pattern.isPrefix, pieces == [.literal([])] { pieces = [] }
        self.pieces = pieces
        replacedSegments = pattern.isPrefix ? pattern.segments.count : nil
    }

    /// Gives out the new path piece by piece.
    package func rewrite(_ path: UnsafeRawBufferPointer, _ append: (UnsafeRawBufferPointer) -> Void) {
        var isEmpty = true
        func appendSegment(_ bytes: UnsafeRawBufferPointer) {
            Self.slash.withUnsafeBytes(append)
            append(bytes)
            isEmpty = false
        }
        for piece in pieces {
            switch piece {
            case .literal(let bytes): bytes.withUnsafeBytes(appendSegment)
            case .segment(let number): appendSegment(Self.segment(number, of: path))
            }
        }
        if let replacedSegments {
            let rest = UnsafeRawBufferPointer(rebasing: path[Self.start(ofSegment: replacedSegments, in: path)...])
            if !rest.isEmpty {
                append(rest)
                isEmpty = false
            }
        }
        if isEmpty { Self.slash.withUnsafeBytes(append) }
    }

    private static let slash: [UInt8] = [UInt8(ascii: "/")]

    /// Where the slash before a segment stands; the end of the path where it has fewer.
    static func start(ofSegment number: Int, in path: UnsafeRawBufferPointer) -> Int {
        var seen = -1
        for (index, byte) in path.enumerated() where byte == UInt8(ascii: "/") {
            seen += 1
            if seen == number { return index }
        }
        return path.count
    }

    private static func segment(_ number: Int, of path: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let start = min(Self.start(ofSegment: number, in: path) + 1, path.count)
        var end = start
        while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
        return UnsafeRawBufferPointer(rebasing: path[start..<end])
    }
}
