/// The head of a request, as offsets into the bytes it was parsed from; one value is used for many requests.
@frozen
@usableFromInline
package struct RequestHead: ~Copyable {
    /// The bytes of the head with its last line end; where the body begins.
    @usableFromInline package internal(set) var length: Int = 0
    @usableFromInline package internal(set) var methodKind: HTTPMethodKind = .other
    @usableFromInline package internal(set) var method: ByteRange = .empty
    @usableFromInline package internal(set) var target: ByteRange = .empty
    @usableFromInline package internal(set) var form: TargetForm = .origin
    /// The target without scheme, authority and query; empty in an absolute form without a path, which means `/`.
    @usableFromInline package internal(set) var path: ByteRange = .empty
    /// What follows the first question mark; nil where there is none.
    @usableFromInline package internal(set) var query: ByteRange?
    /// Host and port that the request is for: the target's where it has them, else the value of Host (RFC 9112 3.2.2);
    /// nil in HTTP/1.0 without either. It is a valid host.
    @usableFromInline package internal(set) var authority: ByteRange?
    @usableFromInline package internal(set) var minorVersion: UInt8 = 1
    @usableFromInline package internal(set) var framing: BodyFraming = .none
    /// Whether the client will send another request on this connection.
    @usableFromInline package internal(set) var keepsAlive = true
    @usableFromInline package internal(set) var expectsContinue = false
    /// The value of Upgrade where `Connection` names it; nil where no upgrade is asked for.
    @usableFromInline package internal(set) var upgrade: ByteRange?
    /// Whether `TE` says that the client reads trailers.
    @usableFromInline package internal(set) var acceptsTrailers = false
    @usableFromInline package internal(set) var fields = FieldList()

    package init() {}

    /// The four forms of RFC 9112 3.2.
    @frozen @usableFromInline
    package enum TargetForm: UInt8, Sendable { case origin, absolute, authority, asterisk }

    /// Makes the fields of a name, given in lower case, end here.
    package mutating func dropField(named name: UnsafeRawBufferPointer, in bytes: UnsafeRawBufferPointer) {
        fields.drop(named: name, in: bytes)
    }

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
