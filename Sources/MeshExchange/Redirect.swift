/// An answer that sends a client elsewhere (RFC 9110 15.4).
///
/// A location that ends in `/**` keeps what the pattern's `**` matched, and the query: `/old/**` redirected to
/// `https://new.example.com/**` sends `/old/a?b=1` to `https://new.example.com/a?b=1`.
package struct Redirect: Hashable, Sendable {
    package let status: Int
    private let location: [UInt8]
    /// How many segments of the request's path the location stands for; nil where nothing of the path is kept.
    private let replacedSegments: Int?

    package init(location: String, status: Int, for pattern: RoutePattern) throws(RoutePattern.Invalid) {
        guard location.hasPrefix("/") || location.hasPrefix("http://") || location.hasPrefix("https://") else {
            throw RoutePattern.Invalid(description: "a redirect leads to a path or to an http(s) URL: \(location)")
        }
        guard location.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x3c && $0 != 0x3e && $0 != 0x5c }) else {
            throw RoutePattern.Invalid(description: "a redirect's location must be percent-encoded: \(location)")
        }
        self.status = status
        guard location.hasSuffix("/**") else {
            self.location = Array(location.utf8)
            replacedSegments = nil
            return
        }
        guard pattern.isPrefix else {
            throw RoutePattern.Invalid(description: "'**' in a redirect needs '**' in the route's pattern: \(location)")
        }
        self.location = Array(location.dropLast(3).utf8)
        replacedSegments = pattern.segments.count
    }

    package func location(for subject: RouteSubject) -> [UInt8] {
        guard let replacedSegments else { return location }
        var result = location
        let rest = PathRewrite.start(ofSegment: replacedSegments, in: subject.path)
        result += subject.path[rest...]
        if result.isEmpty { result.append(UInt8(ascii: "/")) }
        if !subject.query.isEmpty {
            result.append(UInt8(ascii: "?"))
            result += subject.query
        }
        return result
    }
}
