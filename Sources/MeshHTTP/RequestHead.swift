/// The head of a request, as offsets into the bytes it was parsed from; one value is used for many requests.
package struct RequestHead: ~Copyable {
    /// The bytes of the head with its last line end; where the body begins.
    package internal(set) var length: Int = 0
    package internal(set) var methodKind: HTTPMethodKind = .other
    package internal(set) var method: ByteRange = .empty
    package internal(set) var target: ByteRange = .empty
    package internal(set) var form: TargetForm = .origin
    /// The target without scheme, authority and query; empty in an absolute form without a path, which means `/`.
    package internal(set) var path: ByteRange = .empty
    /// What follows the first question mark; nil where there is none.
    package internal(set) var query: ByteRange?
    /// Host and port that the request is for: the target's where it has them, else the value of Host (RFC 9112 3.2.2);
    /// nil in HTTP/1.0 without either. It is a valid host.
    package internal(set) var authority: ByteRange?
    package internal(set) var minorVersion: UInt8 = 1
    package internal(set) var framing: BodyFraming = .none
    /// Whether the client will send another request on this connection.
    package internal(set) var keepsAlive = true
    package internal(set) var expectsContinue = false
    /// The value of Upgrade where `Connection` names it; nil where no upgrade is asked for.
    package internal(set) var upgrade: ByteRange?
    /// Whether `TE` says that the client reads trailers.
    package internal(set) var acceptsTrailers = false
    package internal(set) var fields = FieldList()

    package init() {}

    /// The four forms of RFC 9112 3.2.
    package enum TargetForm: UInt8, Sendable { case origin, absolute, authority, asterisk }

    mutating func reset() {
        length = 0
        query = nil
        authority = nil
        framing = .none
        keepsAlive = true
        expectsContinue = false
        upgrade = nil
        acceptsTrailers = false
        fields.removeAll()
    }
}
