import Foundation
import MeshModel

/// A set of names in one text column, `|orders|ledger|`, so that one of them is found by `instr`.
enum ListColumn {
    static func element(_ name: String) -> String { "|" + name.filter { $0 != "|" } + "|" }

    static func encode(_ names: [String]) -> String {
        names.isEmpty ? "" : "|" + names.map { $0.filter { $0 != "|" } }.joined(separator: "|") + "|"
    }

    static func decode(_ text: String) -> [String] { text.split(separator: "|").map(String.init) }
}

/// Trace ids as 16 big-endian bytes, so that the order of blobs is the order of the digits that a person types.
extension TraceID {
    var identity: Data {
        var data = Data(capacity: 16)
        for value in [high, low] { withUnsafeBytes(of: value.bigEndian) { data.append(contentsOf: $0) } }
        return data
    }

    init?(identity: Data) {
        guard identity.count == 16 else { return nil }
        var values = (UInt64(0), UInt64(0))
        for byte in identity.prefix(8) { values.0 = values.0 << 8 | UInt64(byte) }
        for byte in identity.suffix(8) { values.1 = values.1 << 8 | UInt64(byte) }
        self.init(high: values.0, low: values.1)
    }
}

/// All trace ids that begin with some digits.
struct IdentityRange {
    var lower: Data
    var upper: Data

    /// `prefix` has at most 32 digits, all of them hexadecimal.
    init(prefix: String) {
        func bytes(filling digit: UInt8) -> Data {
            var digits = prefix.utf8.map { Hexadecimal.value($0, anyCase: true) ?? 0 }
            digits += [UInt8](repeating: digit, count: max(0, 32 - digits.count))
            return Data(stride(from: 0, to: 32, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
        }
        lower = bytes(filling: 0)
        upper = bytes(filling: 0xf)
    }
}
