/// The pattern of a route, cut into segments.
///
/// `/exact`; `/prefix/**`, which also matches `/prefix` itself; `/a/*/b`, where `*` stands for one segment that is not empty.
package struct RoutePattern: Hashable, Sendable {
    package enum Segment: Hashable, Sendable {
        case literal([UInt8])
        case any
    }

    package struct Invalid: Error, CustomStringConvertible {
        package let description: String
    }

    package let segments: [Segment]
    /// It ends in `**`.
    package let isPrefix: Bool

    package init(_ text: String) throws(Invalid) {
        guard text.utf8.first == UInt8(ascii: "/") else { throw Invalid(description: "a pattern starts with '/': write '/\(text)'") }
        var segments: [Segment] = []
        var isPrefix = false
        for part in text.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard !isPrefix else { throw Invalid(description: "'**' stands at the end of a pattern only: \(text)") }
            switch part {
            case "**": isPrefix = true
            case "*": segments.append(.any)
            default:
                guard !part.contains("*") else { throw Invalid(description: "'*' stands for a whole segment: \(text)") }
                segments.append(.literal(Array(part.utf8)))
            }
        }
        self.segments = segments
        self.isPrefix = isPrefix
    }
}
