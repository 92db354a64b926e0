/// A run of bytes inside a message's head, as offsets from the head's first byte.
///
/// Invariant: `end` never exceeds the bytes that the parser was given; what it means ends when those bytes are gone.
@frozen
@usableFromInline
package struct ByteRange: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline package var start: UInt32
    @usableFromInline package var count: UInt32

    @inlinable package init(start: UInt32, count: UInt32) {
        self.start = start
        self.count = count
    }

    /// `from` to before `to`; both fit in 32 bits, because heads are limited.
    @inlinable package init(from start: Int, to end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: end &- start)
    }

    @inlinable package static var empty: ByteRange { ByteRange(start: 0, count: 0) }

    @inlinable package var lowerBound: Int { Int(start) }
    @inlinable package var upperBound: Int { Int(start) &+ Int(count) }
    @inlinable package var isEmpty: Bool { count == 0 }
}

extension UnsafeRawBufferPointer {
    /// The bytes of `range`, rebased to zero.
    @inlinable package subscript(range: ByteRange) -> UnsafeRawBufferPointer {
        precondition(range.upperBound <= count, "a range of another message")
        guard let base = baseAddress else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: base + range.lowerBound, count: Int(range.count))
    }

    /// The bytes from `start` to before `end`, rebased to zero.
    @inlinable package func slice(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        precondition(start >= 0 && start <= end && end <= count, "a range outside the bytes")
        guard let base = baseAddress else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: base + start, count: end &- start)
    }

    /// Whether these bytes are `text`, byte for byte.
    @inlinable package func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }

    /// Whether these bytes are `text`, which is in lower case, in any case of ASCII letters.
    @inlinable package func equalsIgnoringCase(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where ASCII.lowercase(self[index]) != text.utf8Start[index] { return false }
        return true
    }

    /// Whether these bytes are those of `other` in any case of ASCII letters.
    @inlinable package func equalsIgnoringCase(_ other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where ASCII.lowercase(self[index]) != ASCII.lowercase(other[index]) { return false }
        return true
    }

    /// These bytes without spaces and tabs at both ends (RFC 9110 5.6.3, OWS).
    @inlinable package var trimmed: UnsafeRawBufferPointer {
        var start = 0
        var end = count
        while start < end, ASCII.isBlank(self[start]) { start &+= 1 }
        while end > start, ASCII.isBlank(self[end &- 1]) { end &-= 1 }
        return slice(start, end)
    }
}
