/// The query of a URL, read as a form's: `name=value` joined by `&`, percent-encoded, `+` for a blank (WHATWG URL 5.1).
struct QueryString {
    private let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Whether the first parameter of a name has a value; both are given as they are, not encoded. Allocates nothing.
    func firstValue(of name: UnsafeRawBufferPointer, is value: UnsafeRawBufferPointer) -> Bool {
        var start = 0
        while start < bytes.count {
            var end = start
            var equals: Int?
            while end < bytes.count, bytes[end] != UInt8(ascii: "&") {
                if equals == nil, bytes[end] == UInt8(ascii: "=") { equals = end }
                end += 1
            }
            if decodes(start, equals ?? end, to: name) {
                return decodes(equals.map { $0 + 1 } ?? end, end, to: value)
            }
            start = end + 1
        }
        return false
    }

    private func decodes(_ start: Int, _ end: Int, to text: UnsafeRawBufferPointer) -> Bool {
        var index = start
        var matched = 0
        while index < end {
            var byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "+") {
                byte = UInt8(ascii: " ")
            } else if byte == UInt8(ascii: "%"), index + 1 < end, let high = digit(bytes[index]), let low = digit(bytes[index + 1]) {
                byte = high << 4 | low
                index += 2
            }
            guard matched < text.count, text[matched] == byte else { return false }
            matched += 1
        }
        return matched == text.count
    }

    private func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
