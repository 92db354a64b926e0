import Glibc
import MeshModel

/// Calls `body` with generators of new seeds: a fixed number of them, or until the time is over.
func forSeeds(_ count: Int, _ body: (inout MessageGenerator, UInt64) throws -> Void) rethrows {
    guard let seconds = getenv("MESH_FUZZ_SECONDS").flatMap({ Double(String(cString: $0)) }), seconds > 0 else {
        for seed in 0..<UInt64(count) {
            var generator = MessageGenerator(seed: seed)
            try body(&generator, seed)
        }
        return
    }
    var seeds = RandomSource.fromSystem()
    let start = ContinuousClock.now
    while ContinuousClock.now - start < .seconds(seconds) {
        let seed = seeds.next()
        var generator = MessageGenerator(seed: seed)
        try body(&generator, seed)
    }
}
