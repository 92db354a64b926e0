/// One field line of a head or trailer section, by offsets.
@frozen
@usableFromInline
package struct Field: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline var nameStart: UInt32
    @usableFromInline var valueStart: UInt32
    @usableFromInline var valueCount: UInt32
    @usableFromInline var nameCount: UInt16
    @usableFromInline package let known: KnownField
    /// Whether this field ends here: `Connection` names it (RFC 9110 7.6.1), or a route takes it out.
    @usableFromInline package internal(set) var isNominated: Bool

    @inline(__always)
    init(nameStart: Int, nameEnd: Int, valueStart: Int, valueEnd: Int, known: KnownField) {
        self.nameStart = UInt32(truncatingIfNeeded: nameStart)
        self.valueStart = UInt32(truncatingIfNeeded: valueStart)
        self.valueCount = UInt32(truncatingIfNeeded: valueEnd &- valueStart)
        self.nameCount = UInt16(truncatingIfNeeded: nameEnd &- nameStart)
        self.known = known
        self.isNominated = false
    }

    @inlinable package var name: ByteRange { ByteRange(start: nameStart, count: UInt32(nameCount)) }
    /// Without the white space around it.
    @inlinable package var value: ByteRange { ByteRange(start: valueStart, count: valueCount) }
}

/// The fields of one head, in their order; storage is kept from message to message.
///
/// Not copyable and without reference counts: it is read several times per request by code that must not pay for either.
@frozen
@usableFromInline
package struct FieldList: ~Copyable, @unchecked Sendable {
    @usableFromInline var storage: UnsafeMutablePointer<Field>?
    @usableFromInline var capacity: Int
    @usableFromInline package internal(set) var count: Int
    /// Which known fields are here at all.
    @usableFromInline package internal(set) var present: FieldSet
    /// Which of them are here more than once.
    @usableFromInline package internal(set) var repeated: FieldSet

    @inlinable package init() {
        storage = nil
        capacity = 0
        count = 0
        present = FieldSet()
        repeated = FieldSet()
    }

    @inlinable deinit { storage?.deallocate() }

    @inlinable package var indices: Range<Int> { 0..<count }
    @inlinable package var isEmpty: Bool { count == 0 }

    @inlinable package subscript(index: Int) -> Field {
        precondition(index >= 0 && index < count, "no such field")
        return storage.unsafelyUnwrapped[index]
    }

    /// Where the first field of a kind is; it must be there.
    @inline(__always)
    func index(of known: KnownField) -> Int {
        var index = 0
        while index < count, storage.unsafelyUnwrapped[index].known != known { index &+= 1 }
        return index
    }

    /// The first field of a kind; nil, at the cost of one bit test, where there is none.
    @inlinable package func first(_ known: KnownField) -> Field? {
        guard present.contains(known) else { return nil }
        for index in 0..<count where storage.unsafelyUnwrapped[index].known == known { return storage.unsafelyUnwrapped[index] }
        return nil
    }

    /// The only field of a kind; nil where there is none or more than one.
    @inlinable package func only(_ known: KnownField) -> Field? { repeated.contains(known) ? nil : first(known) }

    /// The first field of a name given in lower case, for names that are not known ones.
    package func first(named name: StaticString, in bytes: UnsafeRawBufferPointer) -> Field? {
        for index in 0..<count where bytes[self[index].name].equalsIgnoringCase(name) { return self[index] }
        return nil
    }

    /// The first field of a name given in lower case, from `start` on.
    package func index(named name: UnsafeRawBufferPointer, from start: Int = 0, in bytes: UnsafeRawBufferPointer) -> Int? {
        for index in start..<max(start, count) where bytes[self[index].name].equalsIgnoringCase(name) { return index }
        return nil
    }

    /// Makes the fields of a name, given in lower case, end here.
    mutating func drop(named name: UnsafeRawBufferPointer, in bytes: UnsafeRawBufferPointer) {
        var start = 0
        while let index = index(named: name, from: start, in: bytes) {
            nominate(at: index)
            start = index &+ 1
        }
    }

    @inline(__always)
    mutating func removeAll() {
        count = 0
        present = FieldSet()
        repeated = FieldSet()
    }

    @inline(__always)
    mutating func append(_ field: Field) {
        if count == capacity { grow() }
        (storage.unsafelyUnwrapped + count).initialize(to: field)
        count &+= 1
        let bit = FieldSet(field.known).bits
        repeated.bits |= present.bits & bit
        present.bits |= bit
    }

    @inline(__always)
    mutating func nominate(at index: Int) {
        precondition(index >= 0 && index < count, "no such field")
        storage.unsafelyUnwrapped[index].isNominated = true
    }

    @inline(never)
    private mutating func grow() {
        let enlarged = UnsafeMutablePointer<Field>.allocate(capacity: max(16, capacity * 2))
        if let storage {
            enlarged.moveInitialize(from: storage, count: count)
            storage.deallocate()
        }
        storage = enlarged
        capacity = max(16, capacity * 2)
    }
}
