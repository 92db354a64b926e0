internal import MeshHTTP

/// The lines of a head or trailer section that this process wrote or has checked, one by one.
struct FieldLines {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// Bytes not read yet.
    var left: Int { rest.count }

    /// The next line up to its end, which is dropped; nil at an empty line, or where the bytes end.
    mutating func nextLine() -> UnsafeRawBufferPointer? {
        guard let end = rest.firstIndex(of: UInt8(ascii: "\r")), end > 0 else { return nil }
        defer { rest = UnsafeRawBufferPointer(rebasing: rest[min(end + 2, rest.count)...]) }
        return UnsafeRawBufferPointer(rebasing: rest[..<end])
    }

    mutating func next() -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        guard let line = nextLine(), let colon = line.firstIndex(of: ASCII.colon) else { return nil }
        return (
            UnsafeRawBufferPointer(rebasing: line[..<colon]), UnsafeRawBufferPointer(rebasing: line[(colon + 1)...]).trimmed
        )
    }
}
