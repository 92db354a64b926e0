import Foundation

/// The texts of one file, each stored once and named by a number from 1: routes, services, attribute values that come again.
///
/// Invariant: a number, once committed, always names the same text; what was added by a transaction that failed is forgotten.
/// Memory and file stay bounded, since `NamePolicy` admits only so many.
struct NameTable {
    private var bytes: [UInt8] = []
    /// `ends[n - 1]` is where the text of number n ends in `bytes`.
    private var ends: [Int] = []
    /// Open addressing over numbers; 0 is a free slot.
    private var slots: [Int32]
    private(set) var committed = 0

    init() { slots = [Int32](repeating: 0, count: 1_024) }

    var count: Int { ends.count }

    private func range(of number: Int) -> Range<Int> { (number > 1 ? ends[number - 2] : 0)..<ends[number - 1] }

    /// The text of a number; empty for 0, which stands for none.
    func text(_ number: Int) -> String {
        (1...max(1, count)).contains(number) && count > 0 ? String(decoding: bytes[range(of: number)], as: UTF8.self) : ""
    }

    func number(of text: UnsafeRawBufferPointer) -> Int? {
        let number = slots[slot(of: text)]
        return number == 0 ? nil : Int(number)
    }

    mutating func add(_ text: UnsafeRawBufferPointer) -> Int {
        let slot = slot(of: text)
        if slots[slot] != 0 { return Int(slots[slot]) }
        bytes.append(contentsOf: text)
        ends.append(bytes.count)
        slots[slot] = Int32(count)
        if count * 2 > slots.count { rehash(slots.count * 2) }
        return count
    }

    mutating func add(_ text: String) -> Int {
        var text = text
        return text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// What was added since the last commit, in the order of their numbers.
    var added: Range<Int> { committed + 1..<count + 1 }

    mutating func commit() { committed = count }

    mutating func rollBack() {
        guard committed < count else { return }
        ends.removeSubrange(committed...)
        bytes.removeSubrange((ends.last ?? 0)...)
        rehash(slots.count)
    }

    private mutating func rehash(_ size: Int) {
        slots = [Int32](repeating: 0, count: size)
        for number in 1..<count + 1 {
            let slot = bytes[range(of: number)].withUnsafeBytes { self.slot(of: $0) }
            slots[slot] = Int32(number)
        }
    }

    /// Where the text stands, or the free slot where it belongs.
    private func slot(of text: UnsafeRawBufferPointer) -> Int {
        var slot = Int(truncatingIfNeeded: Fingerprint.of(text)) & (slots.count - 1)
        while slots[slot] != 0, !isEqual(Int(slots[slot]), text) { slot = (slot + 1) & (slots.count - 1) }
        return slot
    }

    private func isEqual(_ number: Int, _ text: UnsafeRawBufferPointer) -> Bool {
        let range = range(of: number)
        guard range.count == text.count, let other = text.baseAddress else { return range.count == text.count }
        return bytes.withUnsafeBytes { memcmp($0.baseAddress! + range.lowerBound, other, text.count) == 0 }
    }
}

/// FNV-1a, 64 bits.
enum Fingerprint {
    static let seed: UInt64 = 0xcbf2_9ce4_8422_2325

    static func of(_ bytes: UnsafeRawBufferPointer, after seed: UInt64 = seed) -> UInt64 {
        var hash = seed
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        // The low bits are used as an index: let the high ones into them.
        return hash ^ hash >> 32
    }
}

/// Which texts get a number: those of keys whose values come again. A key that brought many different ones (paths with ids in
/// them, request ids) is written out from then on.
struct NamePolicy {
    static let mostPerKey = 512
    private static let most = 65_536
    private static let longest = 256

    private var brought: [UInt64: Int] = [:]
    /// The same for the mesh's own keys, without a look-up.
    private var known = [Int](repeating: 0, count: 256)

    mutating func number(of text: UnsafeRawBufferPointer, key: UInt64, in names: inout NameTable) -> Int? {
        guard text.count <= Self.longest else { return nil }
        if let number = names.number(of: text) { return number }
        guard names.count < Self.most else { return nil }
        if key < 256 {
            guard known[Int(key)] < Self.mostPerKey else { return nil }
            known[Int(key)] += 1
        } else {
            guard brought[key, default: 0] < Self.mostPerKey, brought.count < 4_096 || brought[key] != nil else { return nil }
            brought[key, default: 0] += 1
        }
        return names.add(text)
    }
}
