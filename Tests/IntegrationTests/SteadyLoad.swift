import Curl
import Foundation
import MeshModel
import Synchronization

/// Load at a fixed rate from threads of its own, so that nothing that a test waits for holds it up.
final class SteadyLoad: Sendable {
    struct Result: Sendable {
        var answered = 0
        var failures: [String] = []
        /// In seconds, from the time at which the request was due.
        var latencies: [Double] = []
        /// The longest time, in seconds, that a thread slept beyond the end of its sleep: as long stood the machine still.
        var longestOversleep = 0.0

        /// 0.999 is the latency that one request in a thousand exceeds.
        func latency(atQuantile quantile: Double) -> Double {
            guard !latencies.isEmpty else { return 0 }
            return latencies.sorted()[min(latencies.count - 1, Int(Double(latencies.count) * quantile))]
        }
    }

    private let isBounded: Bool
    private let accepted: Set<Int>?
    private let result = Guarded(Result())
    private let workers = DispatchGroup()
    private let isOver = Atomic(false)
    private let next = Atomic(0)

    convenience init(_ request: CurlRequest, rate: Int, seconds: Double) { self.init([request], rate: rate, seconds: seconds) }

    /// - Parameters:
    ///   - requests: sent in turn, each on its time whatever becomes of the others.
    ///   - seconds: for how long; nil until `finish`.
    ///   - accepts: which statuses are well; nil for those of success.
    init(_ requests: [CurlRequest], rate: Int, seconds: Double? = nil, threads: Int = 16, accepts accepted: Set<Int>? = nil) {
        self.accepted = accepted
        isBounded = seconds != nil
        let total = seconds.map { Int(Double(rate) * $0) } ?? .max
        let start = ContinuousClock.now
        for _ in 0..<min(total, threads) {
            workers.enter()
            Thread.detachNewThread {
                defer { self.workers.leave() }
                while !self.isOver.load(ordering: .relaxed) {
                    let number = self.next.wrappingAdd(1, ordering: .relaxed).oldValue
                    guard number < total else { return }
                    let due = start + .seconds(Double(number) / Double(rate))
                    self.sleep(until: due)
                    self.send(requests[number % requests.count], due)
                }
            }
        }
    }

    private func send(_ request: CurlRequest, _ due: ContinuousClock.Instant) {
        do {
            let answer = try TestMesh.client.send(request)
            let latency = ContinuousClock.now - due
            result.withLock {
                if accepted.map({ $0.contains(answer.status) }) ?? (200...299).contains(answer.status) {
                    $0.answered += 1
                    $0.latencies.append(latency / .seconds(1))
                } else {
                    let cause = answer.headers["proxy-status"] ?? ""
                    $0.failures.append("\(request.method) \(request.url): \(answer.status) \(cause) \(answer.text.prefix(300))")
                }
            }
        } catch {
            result.withLock { $0.failures.append("\(request.method) \(request.url): \(error)") }
        }
    }

    private func sleep(until time: ContinuousClock.Instant) {
        let rest = time - .now
        guard rest > .zero else { return }
        Thread.sleep(forTimeInterval: rest / .seconds(1))
        let over = (ContinuousClock.now - time) / .seconds(1)
        result.withLock { $0.longestOversleep = max($0.longestOversleep, over) }
    }

    /// Waits for the last answer; a load without an end gets it here.
    func finish() -> Result {
        if !isBounded { isOver.store(true, ordering: .relaxed) }
        workers.wait()
        return result.withLock { $0 }
    }

    /// Measures, and again where the machine stood still meanwhile, as a machine shared with others does: then timeouts and queues say
    /// nothing of the mesh. The fifth time counts in any case.
    static func undisturbed<Measured>(_ measure: () throws -> (Measured, loads: [Result])) rethrows -> Measured {
        for _ in 1..<5 {
            let (measured, loads) = try measure()
            guard loads.contains(where: { $0.longestOversleep > longestPardon }) else { return measured }
        }
        return try measure().0
    }

    private static let longestPardon = 0.1
}
