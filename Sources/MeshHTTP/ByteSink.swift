/// Where written bytes go: a buffer that grows at its end.
///
/// Writers are generic over it, so that each kind of buffer gets its own code without existentials.
@usableFromInline
package protocol ByteSink {
    mutating func append(_ bytes: UnsafeRawBufferPointer)
    /// Makes room for `capacity` bytes, lets `write` fill it from the front, and keeps as many as it says.
    mutating func append(atMost capacity: Int, _ write: (UnsafeMutableRawBufferPointer) -> Int)
}

extension ByteSink {
    @inlinable @inline(__always)
    package mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// The digits of a number.
    @inlinable package mutating func append(decimal value: UInt64) {
        append(atMost: 20) { digits in
            var rest = value
            var start = 20
            repeat {
                start &-= 1
                digits[start] = 0x30 &+ UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            for index in start..<20 { digits[index &- start] = digits[index] }
            return 20 &- start
        }
    }

    /// The lower-case hexadecimal digits of a number, without leading zeros.
    @inlinable package mutating func append(hexadecimal value: UInt64) {
        append(atMost: 16) { digits in
            let count = max(1, (67 &- value.leadingZeroBitCount) / 4)
            for index in 0..<count {
                let nibble = UInt8(truncatingIfNeeded: value >> UInt64(4 &* (count &- 1 &- index))) & 0xf
                digits[index] = nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble
            }
            return count
        }
    }
}

/// A sink over memory that has room for all that will be written: one reservation per message instead of one per run.
///
/// Writing past the end is fatal.
@frozen
@usableFromInline
package struct RegionSink: ByteSink {
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline let capacity: Int
    @usableFromInline package internal(set) var count: Int

    /// `region` must not be empty.
    @inlinable package init(_ region: UnsafeMutableRawBufferPointer) {
        base = region.baseAddress!
        capacity = region.count
        count = 0
    }

    @inlinable @inline(__always)
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count <= capacity &- count, "the region is too small for the message")
        guard let source = bytes.baseAddress else { return }
        (base + count).copyMemory(from: source, byteCount: bytes.count)
        count &+= bytes.count
    }

    @inlinable @inline(__always)
    package mutating func append(atMost room: Int, _ write: (UnsafeMutableRawBufferPointer) -> Int) {
        precondition(room <= capacity &- count, "the region is too small for the message")
        count &+= write(UnsafeMutableRawBufferPointer(start: base + count, count: room))
    }
}

extension [UInt8]: ByteSink {
    @inlinable package mutating func append(_ bytes: UnsafeRawBufferPointer) { append(contentsOf: bytes) }

    @inlinable package mutating func append(atMost capacity: Int, _ write: (UnsafeMutableRawBufferPointer) -> Int) {
        append(
            contentsOf: [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                count = write(UnsafeMutableRawBufferPointer(buffer))
            })
    }
}
