import Foundation
import MeshModel
import MeshSimulation
import Synchronization

// Runs the engine over many seeds on every core, and holds every invariant:
//
//   swift run -c release simulation-seeds                    100,000 seeds; status 1 where one breaks an invariant
//   swift run -c release simulation-seeds 5000 --within 60s  so many, and status 1 where they take longer
//   swift run -c release simulation-seeds --seed 4711        one again, with all that it has to say
//
// Each seed is one edge (every kind of failure, cancellation, upload and reload) and one mesh of one to five tiers.

/// What one seed broke; empty where all invariants hold.
func violations(_ seed: UInt64) -> [String] {
    let edge = Simulation.run(.random(seed: seed), seed: seed)
    var found = edge.violations.map(\.description)
    if edge.calls != edge.succeeded + edge.failed + edge.left { found.append("of \(edge.calls) calls not every one has ended") }
    do {
        found += try TopologySimulation.run(.random(seed: seed), seed: seed).violations
    } catch {
        found.append("a process could not follow its snapshot: \(error)")
    }
    return found
}

func fail(_ message: String) -> Never {
    FileHandle.standardError.write(Data("simulation-seeds: \(message)\n".utf8))
    exit(2)
}

var count: UInt64 = 100_000
var bound: Double?
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
    switch argument {
    case "--seed":
        guard let seed = arguments.popFirst().flatMap({ UInt64($0) }) else { fail("--seed takes a number") }
        let found = violations(seed)
        for violation in found { print(violation) }
        print("seed \(seed): \(found.isEmpty ? "no invariant is broken" : "\(found.count) broken")")
        exit(found.isEmpty ? 0 : 1)
    case "--within":
        guard let seconds = arguments.popFirst().flatMap({ Double($0.replacing("s", with: "")) }) else { fail("--within takes seconds") }
        bound = seconds
    default:
        guard let number = UInt64(argument), number > 0 else { fail("'\(argument)' is no number of seeds; see Benchmarks/simulation") }
        count = number
    }
}

let last = count
let next = Atomic<UInt64>(1)
let broken = Guarded<[(seed: UInt64, first: String)]>([])
let began = ContinuousClock.now
DispatchQueue.concurrentPerform(iterations: ProcessInfo.processInfo.activeProcessorCount) { _ in
    while true {
        let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard seed <= last else { return }
        if let first = violations(seed).first { broken.withLock { $0.append((seed, first)) } }
    }
}
let span = began.duration(to: .now)
let seconds = Double(span.components.seconds) + Double(span.components.attoseconds) / 1e18
let found = broken.withLock { $0.sorted { $0.seed < $1.seed } }
for entry in found.prefix(20) {
    print("\(entry.first)\n  replay: swift run -c release simulation-seeds --seed \(entry.seed)")
}
print("\(count) seeds in \((seconds * 10).rounded() / 10) s: \(found.isEmpty ? "no invariant is broken" : "\(found.count) broke one")")
if let bound, seconds > bound {
    print("that is longer than \(bound) s")
    exit(1)
}
exit(found.isEmpty ? 0 : 1)
