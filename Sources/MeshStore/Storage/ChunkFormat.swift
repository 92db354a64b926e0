import MeshModel

/// How the spans of a chunk lie on disk. A varint is LEB128; a signed one is zigzag before that.
///
///     u8     kind << 4 | truncated << 2 | status
///     u8     the parent: 0 none, 1 eight bytes follow, n the (n - 2)th span of this chunk
///     8      span id, little-endian; then the parent's 8, where they follow
///     signed start, less that of the span before (of the anchor, for the first), ns
///     varint duration, ns
///     varint bytes of items, then the items: a tag (0 custom key, 1 name, 2 event, 3 link, else an `AttributeKey`), its value
///
/// A text that comes again is written as its number in the file's `NameTable`.
enum ChunkFormat {
    static let noParent: UInt8 = 0
    static let parentFollows: UInt8 = 1
    static let firstInChunk = 2
    static let addressable = 253

    enum Tag {
        static let custom: UInt8 = 0
        static let name: UInt8 = 1
        static let event: UInt8 = 2
        static let link: UInt8 = 3
    }

    enum Value {
        static let text: UInt8 = 0
        static let named: UInt8 = 1
        static let integer: UInt8 = 2
        static let double: UInt8 = 3
        static let `false`: UInt8 = 4
        static let `true`: UInt8 = 5
        static let uuid: UInt8 = 6
        static let flag: UInt8 = 7
        static let array: UInt8 = 8
        static let reason: UInt8 = 9
    }

    @inline(__always)
    static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: value << 1 ^ value >> 63) }

    @inline(__always)
    static func unzigzag(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
}

/// An application's attribute as the index of a file knows it: `order_id=42`, in 48 bits.
enum TagFingerprint {
    static func of(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) -> Int64 {
        let prefix = Fingerprint.of(key)
        return Int64(Fingerprint.of(value, after: prefix &* 31) & 0xffff_ffff_ffff)
    }

    static func of(key: String, value: String) -> Int64 {
        var (key, value) = (key, value)
        return key.withUTF8 { key in value.withUTF8 { of(key: UnsafeRawBufferPointer(key), value: UnsafeRawBufferPointer($0)) } }
    }
}
