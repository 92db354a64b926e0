/// One endpoint after the other; a heavier one more often, and spread evenly instead of in a row.
///
/// At each turn everyone's credit grows by his weight; the richest is chosen and pays the sum of all weights. Where all weights are
/// equal, this is a plain rotation, and done as one.
/// Source: nginx, "upstream: smooth weighted round-robin balancing" (2012).
package struct SmoothRoundRobin: Sendable {
    private var credit: [Double]
    private let weights: [Double]
    private let isPlain: Bool
    private var next = 0

    /// - Parameter weights: relative; those of 0 or less get no turn while another one is usable.
    package init(weights: [Double]) {
        self.weights = weights
        credit = [Double](repeating: 0, count: weights.count)
        isPlain = weights.allSatisfy { $0 == weights.first && $0 > 0 }
    }

    /// Whose turn it is among those that are usable; nil where none is.
    package mutating func turn(isUsable: (Int) -> Bool) -> Int? {
        isPlain ? rotate(isUsable) : smooth(isUsable) ?? weights.indices.first(where: isUsable)
    }

    private mutating func rotate(_ isUsable: (Int) -> Bool) -> Int? {
        for step in weights.indices {
            var index = next + step
            if index >= weights.count { index -= weights.count }
            guard isUsable(index) else { continue }
            next = index + 1 == weights.count ? 0 : index + 1
            return index
        }
        return nil
    }

    private mutating func smooth(_ isUsable: (Int) -> Bool) -> Int? {
        var total = 0.0
        var richest: Int?
        for index in weights.indices where weights[index] > 0 && isUsable(index) {
            credit[index] += weights[index]
            total += weights[index]
            if richest.map({ credit[index] > credit[$0] }) ?? true { richest = index }
        }
        if let richest { credit[richest] -= total }
        return richest
    }
}
