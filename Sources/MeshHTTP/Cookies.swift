/// The value of a `Cookie` field (RFC 6265 4.2.1): pairs of name and value, `; ` between them.
package struct Cookies {
    private let bytes: UnsafeRawBufferPointer

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The value of the first cookie of a name, as it stands there; names are compared byte by byte.
    package func value(of name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var start = 0
        while start < bytes.count {
            while start < bytes.count, ASCII.isBlank(bytes[start]) { start += 1 }
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: ";") { end += 1 }
            let equals = start + name.count
            if equals < end, bytes[equals] == UInt8(ascii: "="), bytes.slice(start, equals).elementsEqual(name) {
                return bytes.slice(equals + 1, end)
            }
            start = end + 1
        }
        return nil
    }
}
