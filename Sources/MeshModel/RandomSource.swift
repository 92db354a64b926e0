/// The randomness that deciding code is given: xoshiro256**, seeded, so that a simulation replays from its seed.
///
/// Not for secrets. Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021);
/// seeded by SplitMix64 as its authors recommend.
@frozen
@usableFromInline
package struct RandomSource: RandomNumberGenerator, Sendable, BitwiseCopyable {
    @usableFromInline var s0: UInt64
    @usableFromInline var s1: UInt64
    @usableFromInline var s2: UInt64
    @usableFromInline var s3: UInt64

    package init(seed: UInt64) {
        var state = seed
        func split() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        s0 = split()
        s1 = split()
        s2 = split()
        s3 = split()
    }

    /// Seeded from the operating system; for hosts, never for deciding code.
    package static func fromSystem() -> RandomSource {
        var system = SystemRandomNumberGenerator()
        return RandomSource(seed: system.next())
    }

    @inlinable package mutating func next() -> UInt64 {
        let product = s1 &* 5
        let result = (product << 7 | product >> 57) &* 9
        let shifted = s1 << 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = s3 << 45 | s3 >> 19
        return result
    }

    /// A number in `0..<bound`, by multiplication (Lemire); the bias of at most bound/2^64 does not matter here.
    @inlinable package mutating func next(below bound: Int) -> Int {
        Int(truncatingIfNeeded: UInt64(bound).multipliedFullWidth(by: next()).high)
    }

    /// A number in `0..<1` with 53 random bits.
    @inlinable package mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
