/// The head of a response, as offsets into the bytes it was parsed from; one value is used for many responses.
@frozen
@usableFromInline
package struct ResponseHead: ~Copyable {
    /// The bytes of the head with its last line end; where the body begins.
    @usableFromInline package internal(set) var length: Int = 0
    @usableFromInline package internal(set) var status: UInt16 = 0
    @usableFromInline package internal(set) var reason: ByteRange = .empty
    @usableFromInline package internal(set) var minorVersion: UInt8 = 1
    @usableFromInline package internal(set) var framing: BodyFraming = .none
    /// Whether the connection can carry another request after this response.
    @usableFromInline package internal(set) var keepsAlive = true
    /// The value of Upgrade in a 101.
    @usableFromInline package internal(set) var upgrade: ByteRange?
    @usableFromInline package internal(set) var fields = FieldList()

    package init() {}

    /// Whether another head follows: 1xx, but for 101, after which no HTTP follows.
    @inlinable package var isInterim: Bool { status < 200 && status != 101 }

    /// Makes the fields of a name, given in lower case, end here.
    package mutating func dropField(named name: UnsafeRawBufferPointer, in bytes: UnsafeRawBufferPointer) {
        fields.drop(named: name, in: bytes)
    }

    mutating func reset() {
        length = 0
        reason = .empty
        framing = .none
        keepsAlive = true
        upgrade = nil
        fields.removeAll()
    }
}

/// What a response's framing depends on in the request that it answers.
@frozen
@usableFromInline
package struct AnsweredRequest: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline package var method: HTTPMethodKind
    /// Whether the request asked for a switch of protocols, so that 101 is an answer to it.
    @usableFromInline package var offersUpgrade: Bool

    @inlinable package init(method: HTTPMethodKind, offersUpgrade: Bool = false) {
        self.method = method
        self.offersUpgrade = offersUpgrade
    }
}
