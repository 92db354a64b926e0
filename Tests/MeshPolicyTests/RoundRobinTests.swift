import MeshModel
import MeshPolicy
import Testing

@Suite("Turns and rings")
struct RoundRobinTests {
    private func turns(_ weights: [Double], _ count: Int, isUsable: (Int) -> Bool = { _ in true }) -> [Int] {
        var robin = SmoothRoundRobin(weights: weights)
        return (0..<count).compactMap { _ in robin.turn(isUsable: isUsable) }
    }

    /// nginx's own example for 5, 1, 1 is a a b a c a a.
    @Test(
        "go by weight, and smoothly",
        arguments: [
            (weights: [5, 1, 1], turns: [0, 0, 1, 0, 2, 0, 0]), ([1, 1, 1], [0, 1, 2, 0, 1, 2]), ([2, 1], [0, 1, 0, 0, 1, 0]),
            ([0, 1], [1, 1]), ([3], [0, 0]),
        ] as [(weights: [Double], turns: [Int])])
    func smooth(row: (weights: [Double], turns: [Int])) {
        #expect(turns(row.weights, row.turns.count) == row.turns)
    }

    @Test("pass by who is not usable, and take one of weight 0 where there is no other")
    func usable() {
        #expect(turns([1, 1, 1], 4) { $0 != 1 } == [0, 2, 0, 2])
        #expect(turns([5, 1, 1], 4) { $0 != 0 } == [1, 2, 1, 2])
        #expect(turns([0, 1], 2) { $0 == 0 } == [0, 0])
        #expect(turns([1, 1], 1) { _ in false } == [] && turns([2, 1], 1) { _ in false } == [] && turns([], 1) == [])
    }

    // MARK: The ring

    private func ring(_ numbers: some Sequence<Int>, weight: (Int) -> Double = { _ in 1 }) -> HashRing {
        HashRing(numbers.map { (place: Int32($0), id: InstanceID(high: 7, low: UInt64($0)), weight: weight($0)) })
    }

    private func owners(_ ring: HashRing, where mayBeTaken: (Int32) -> Bool = { _ in true }) -> [Int32?] {
        (0..<10_000).map { ring.member(for: HashRing.hash("user-\($0)".utf8), where: mayBeTaken) }
    }

    @Test("a value keeps its endpoint, and only the share of one that goes moves")
    func moves() {
        let before = owners(ring(0..<10))
        let after = owners(ring((0..<10).filter { $0 != 3 }))
        #expect(zip(before, after).allSatisfy { $0 == $1 || $0 == 3 })
        #expect(owners(ring(0..<10)) { $0 != 3 } == after, "one that may not be taken is passed over in the same way")
    }

    @Test("shares are even, within a third, and follow weights")
    func shares() {
        let even = owners(ring(0..<10))
        for number in 0..<10 { #expect((670...1330).contains(even.count { $0 == Int32(number) })) }
        let weighted = owners(ring(0..<2) { $0 == 0 ? 1 : 3 })
        #expect((0.65...0.85).contains(Double(weighted.count { $0 == 1 }) / 10_000))
    }

    /// ceil(1.25 * (total + 1) / endpoints).
    @Test(
        "nobody gets more than a quarter above his share", arguments: [(0, 4, 1), (3, 4, 2), (7, 4, 3), (99, 10, 13), (0, 1, 2), (7, 8, 2)])
    func bound(row: (underWay: Int, endpoints: Int, bound: Int)) {
        #expect(HashRing.bound(underWay: row.underWay, endpoints: row.endpoints) == row.bound)
        #expect(ring([]).member(for: 1) { _ in true } == nil && ring(0..<2).member(for: 1) { _ in false } == nil)
    }
}
