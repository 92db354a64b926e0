/// Cuts a stream of bytes into lines.
///
/// Invariant: the lines, joined by newlines, are the bytes fed in; where they are cut does not depend on how they came in pieces.
package struct LineSplitter: Sendable {
    private var rest: [UInt8] = []

    package init() {}

    /// Calls `line` for each line that is whole now, without its newline; stops early when it returns false.
    ///
    /// - Returns: false when `line` did.
    package mutating func feed(_ bytes: some Sequence<UInt8>, line: ([UInt8]) -> Bool) -> Bool {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                let whole = rest
                rest.removeAll(keepingCapacity: true)
                if !line(whole) { return false }
            } else {
                rest.append(byte)
            }
        }
        return true
    }

    /// What came after the last newline; nil when nothing did.
    package mutating func finish() -> [UInt8]? {
        defer { rest = [] }
        return rest.isEmpty ? nil : rest
    }
}
