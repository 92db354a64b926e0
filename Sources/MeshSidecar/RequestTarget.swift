/// The path and query of a call, written as a string in which values are safe: what is interpolated is percent-encoded, so that
/// no value can become another path, another parameter or another request.
///
///     mesh.call(.crm, .get, "/customers/\(id)")            // an id of "1/../2" is asked for as 1%2F..%2F2
///     mesh.call(.catalog, .get, "/search?q=\(words)")
///     mesh.call(.catalog, .get, RequestTarget(request.target))   // taken as it is
public struct RequestTarget: Hashable, Sendable, ExpressibleByStringInterpolation, CustomStringConvertible {
    public let description: String

    /// A target that is encoded already; what could not stand in a request line is encoded even so.
    public init(_ encoded: String) {
        let text = PercentEncoding.encode(encoded) { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }
        description = text.hasPrefix("/") || text == "*" ? text : "/" + text
    }

    public init(stringLiteral text: String) { self.init(text) }

    public init(stringInterpolation interpolation: StringInterpolation) { self.init(interpolation.text) }

    public struct StringInterpolation: StringInterpolationProtocol {
        var text = ""

        public init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity + interpolationCount * 8) }

        public mutating func appendLiteral(_ literal: String) { text += literal }

        /// A value: all but RFC 3986's unreserved characters is encoded.
        public mutating func appendInterpolation(_ value: some CustomStringConvertible) {
            text += PercentEncoding.encode(value.description, keeping: PercentEncoding.isUnreserved)
        }

        /// A part of a target, as it is.
        public mutating func appendInterpolation(encoded part: String) { text += part }
    }
}
