/// How long the body of a message is (RFC 9112 6.3).
@frozen
@usableFromInline
package enum BodyFraming: Hashable, Sendable, BitwiseCopyable {
    case none
    case length(UInt64)
    case chunked
    /// Responses only: the body ends with the connection.
    case untilClose
    /// After a 101, or a 2xx to CONNECT: the bytes that follow are no HTTP.
    case tunnel

    /// Whether a body follows; a length of zero is none.
    @inlinable package var hasBody: Bool {
        switch self {
        case .none, .tunnel: false
        case .length(let length): length > 0
        case .chunked, .untilClose: true
        }
    }
}

/// The methods that change how a message is read or whether it may be sent again.
@frozen
@usableFromInline
package enum HTTPMethodKind: UInt8, Hashable, Sendable, BitwiseCopyable {
    case other, get, head, post, put, delete, connect, options, trace, patch

    /// Idempotent by definition (RFC 9110 9.2.2); TRACE is left out because a proxy has no reason to repeat it.
    @inlinable package var isIdempotent: Bool {
        switch self {
        case .get, .head, .options, .put, .delete: true
        case .other, .post, .connect, .trace, .patch: false
        }
    }

    /// The method that a token names; names are case-sensitive.
    package init(_ token: UnsafeRawBufferPointer) {
        self =
            switch token.count {
            case 3: token.equals("GET") ? .get : token.equals("PUT") ? .put : .other
            case 4: token.equals("POST") ? .post : token.equals("HEAD") ? .head : .other
            case 5: token.equals("PATCH") ? .patch : token.equals("TRACE") ? .trace : .other
            case 6: token.equals("DELETE") ? .delete : .other
            case 7: token.equals("OPTIONS") ? .options : token.equals("CONNECT") ? .connect : .other
            default: .other
            }
    }
}

/// How much head is read before a message is refused.
@frozen
package struct HeadLimits: Hashable, Sendable, BitwiseCopyable {
    /// The whole head with its last line end; 431 above it.
    package var bytes: Int
    /// Field lines; 431 above it.
    package var fields: Int
    /// The request target; 414 above it.
    package var target: Int

    /// Sizes up to 1 GiB, since offsets have 32 bits.
    package init(bytes: Int = 32 << 10, fields: Int = 100, target: Int = 8 << 10) {
        precondition(bytes > 0 && bytes <= 1 << 30 && fields >= 0 && target > 0, "head limits out of range")
        self.bytes = bytes
        self.fields = fields
        self.target = target
    }

    /// For trailer sections, which carry a few fields at most.
    package static let trailers = HeadLimits(bytes: 8 << 10, fields: 32)
}
