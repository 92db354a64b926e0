package import MeshModel

/// Draws two of the candidates, so that the cheaper one can be taken: close to the best of all, and no herd runs to it.
///
/// Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001).
package enum PowerOfTwoChoices {
    /// Two different numbers in `0..<count`, each pair as likely as any other.
    @inlinable
    package static func draw(of count: Int, random: inout RandomSource) -> (first: Int, second: Int) {
        let first = random.next(below: count)
        var second = random.next(below: count - 1)
        if second >= first { second += 1 }
        return (first, second)
    }
}
