package import MeshModel

/// Draws one of several by weight: versions of a service, targets of a route.
package enum WeightedChoice {
    /// The index drawn among those that `isUsable`; one of weight 0 only where no other is; nil where none is at all.
    @inlinable
    package static func draw(
        of count: Int, random: inout RandomSource, weight: (Int) -> Double, isUsable: (Int) -> Bool
    ) -> Int? {
        var total = 0.0
        var last: Int?
        for index in 0..<count where isUsable(index) {
            total += max(weight(index), 0)
            last = index
        }
        guard total > 0 else { return last }
        var left = random.nextUnit() * total
        var drawn = last
        for index in 0..<count where weight(index) > 0 && isUsable(index) {
            drawn = index
            left -= weight(index)
            if left < 0 { break }
        }
        return drawn
    }
}
