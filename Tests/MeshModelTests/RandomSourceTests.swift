import MeshModel
import Testing

@Suite("A source of randomness")
struct RandomSourceTests {
    /// SplitMix64 of 0 gives e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f, f88bb8a8724c81ec (its authors' test
    /// vector); the first answer is rotl(s1 * 5, 7) * 9 of these.
    @Test("is xoshiro256** seeded by SplitMix64")
    func knownAnswer() {
        let second: UInt64 = 0x6e78_9e6a_a1b9_65f4
        let product = second &* 5
        var random = RandomSource(seed: 0)
        #expect(random.next() == (product << 7 | product >> 57) &* 9)
    }

    @Test("replays from its seed, and differs between seeds")
    func replay() {
        var first = RandomSource(seed: 42)
        var again = RandomSource(seed: 42)
        var other = RandomSource(seed: 43)
        let drawn = (0..<100).map { _ in first.next() }
        #expect(drawn == (0..<100).map { _ in again.next() })
        #expect(drawn != (0..<100).map { _ in other.next() })
    }

    @Test("draws evenly below a bound", arguments: [1, 2, 3, 7, 100])
    func below(bound: Int) {
        var random = RandomSource(seed: 5)
        var counts = [Int](repeating: 0, count: bound)
        for _ in 0..<20_000 { counts[random.next(below: bound)] += 1 }
        let expected = 20_000 / Double(bound)
        for count in counts { #expect(abs(Double(count) - expected) <= 5 * expected.squareRoot()) }
    }

    @Test("draws units from 0 up to, and never, 1")
    func units() {
        var random = RandomSource(seed: 6)
        let units = (0..<10_000).map { _ in random.nextUnit() }
        #expect(units.min()! >= 0 && units.max()! < 1)
        #expect(abs(units.reduce(0, +) / 10_000 - 0.5) < 0.02)
    }
}
