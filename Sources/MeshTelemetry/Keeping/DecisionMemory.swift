package import MeshModel

/// What was decided on which trace, for a while: between one and two turns of its clock, or less where very many traces end.
///
/// A trace is known by 63 of its bits, mixed, so that one entry takes a word: two traces that share them share a decision, which
/// happens once in some billion traces.
package struct DecisionMemory: Sendable {
    private let turnEvery: Timespan
    private let limit: Int
    private var current = DecisionTable()
    private var previous = DecisionTable()
    private var turnAt: Instant?

    /// - Parameters:
    ///   - turnEvery: nothing is forgotten sooner, unless more than `limit` traces are decided on meanwhile.
    package init(turnEvery: Timespan = .seconds(60), limit: Int = 1 << 19) {
        self.turnEvery = turnEvery
        self.limit = limit
    }

    package subscript(_ trace: TraceID) -> Bool? {
        let key = Self.key(trace)
        return current[key] ?? previous[key]
    }

    /// Once kept, a trace stays kept: it may have several roots.
    package mutating func decided(_ trace: TraceID, isKept: Bool) {
        let key = Self.key(trace)
        if !isKept, previous[key] == true { return }
        current.insert(key, isKept: isKept)
    }

    package mutating func elapsed(_ now: Instant) {
        if turnAt == nil { turnAt = now + turnEvery }
        guard now >= turnAt! || current.count >= limit else { return }
        previous = current
        current = DecisionTable()
        turnAt = now + turnEvery
    }

    /// The finalizer of SplitMix64 over both halves; the lowest bit is left to the decision.
    private static func key(_ trace: TraceID) -> UInt64 {
        var z = trace.low ^ (trace.high &* 0x9e37_79b9_7f4a_7c15)
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return max(2, (z ^ (z >> 31)) & ~1)
    }
}

/// Open addressing, at most half full: one look for nearly every question.
private struct DecisionTable: Sendable {
    private var slots: [UInt64] = Array(repeating: 0, count: 1024)
    private(set) var count = 0

    subscript(_ key: UInt64) -> Bool? {
        let slot = slots[place(of: key)]
        return slot == 0 ? nil : slot & 1 == 1
    }

    mutating func insert(_ key: UInt64, isKept: Bool) {
        let place = place(of: key)
        if slots[place] == 0 { count += 1 }
        slots[place] = slots[place] & 1 | key | (isKept ? 1 : 0)
        if count * 2 > slots.count { grow() }
    }

    /// Where the key lies, or the free slot where it belongs.
    private func place(of key: UInt64) -> Int {
        var place = Int(truncatingIfNeeded: key >> 1) & (slots.count - 1)
        while slots[place] != 0, slots[place] & ~1 != key { place = (place + 1) & (slots.count - 1) }
        return place
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: 0, count: old.count * 2)
        for slot in old where slot != 0 { slots[place(of: slot & ~1)] = slot }
    }
}
