import Curl
import Foundation
import MeshAdminAPI
import MeshModel

/// Sends requests at a steady rate whatever the answers do (open loop): the nth at `n / rate` after the start.
///
/// Latency is taken from the time at which a request was meant to be sent, so that a server that stalls is not let off the requests
/// that could not be sent meanwhile. A worker is a thread with a connection of its own; they are as many as are needed, up to a bound.
final class LoadGenerator: Sendable {
    struct Plan: Sendable {
        var request: CurlRequest
        /// Requests per second.
        var rate: Double
        var duration: Double
        var mostConnections: Int
    }

    /// What is this late counts as late.
    private static let lateness: UInt64 = 10_000_000
    private static let slowestKept = 5

    private struct State {
        var next = 0
        var idle = 0
        var workers = 0
        var isStopped = false
        var latencies = HDRHistogram()
        var sent = 0
        var late = 0
        var errors = 0
        var outcomes: [String: Int] = [:]
        var slowest: [LoadResult.Slow] = []
        var lastEnd: UInt64 = 0
    }

    private let plan: Plan
    private let total: Int
    private let state = Guarded(State())
    private let client: CurlClient
    private let done = DispatchSemaphore(value: 0)
    private let start: UInt64

    init(_ plan: Plan) {
        self.plan = plan
        total = max(1, Int((plan.rate * plan.duration).rounded()))
        client = CurlClient(mostIdle: plan.mostConnections)
        start = Self.now() + 20_000_000
    }

    /// Runs to the end, or until `stop`; `progress` is told what there is so far, some times a second.
    func run(progress: (LoadResult) -> Void) -> LoadResult {
        spawn()
        while done.wait(timeout: .now() + 0.25) == .timedOut { progress(result) }
        return result
    }

    /// No further request; what is under way is not waited for, nor counted.
    func stop() {
        state.withLock { $0.isStopped = true }
        done.signal()
    }

    var result: LoadResult {
        state.withLock { state in
            func milliseconds(_ share: Double) -> Double? { state.latencies.value(at: share).map { Double($0) / 1000 } }
            return LoadResult(
                sent: state.sent, late: state.late, errors: state.errors, rate: plan.rate,
                seconds: Double(max(state.lastEnd, start) - start) / 1e9, outcomes: state.outcomes,
                meanMS: state.latencies.mean.map { $0 / 1000 }, p50MS: milliseconds(0.5), p90MS: milliseconds(0.9),
                p99MS: milliseconds(0.99), p999MS: milliseconds(0.999),
                maxMS: state.latencies.count == 0 ? nil : Double(state.latencies.highest) / 1000, slowest: state.slowest,
                connections: state.workers)
        }
    }

    // MARK: Workers

    private func spawn() {
        state.withLock { state in
            state.workers += 1
            state.idle += 1
        }
        let thread = Thread { self.work() }
        thread.stackSize = 512 << 10
        thread.start()
    }

    /// The number of the next request; nil when there is none left.
    private func take() -> Int? {
        let (number, needsAnother) = state.withLock { state -> (Int?, Bool) in
            guard !state.isStopped, state.next < total else { return (nil, false) }
            defer { state.next += 1 }
            state.idle -= 1
            return (state.next, state.idle == 0 && state.workers < plan.mostConnections)
        }
        // Somebody has to wait for the next one while this one is under way.
        if number != nil, needsAnother { spawn() }
        return number
    }

    private func work() {
        while let number = take() {
            let intended = start + UInt64(Double(number) / plan.rate * 1e9)
            Self.sleep(until: intended)
            guard !state.withLock({ $0.isStopped }) else { break }
            let sent = Self.now()
            let outcome = Result { () throws(CurlError) in try client.send(plan.request) }
            let ended = Self.now()
            record(outcome, intended: intended, sent: sent, ended: ended)
        }
        // The last one to find nothing left to do, while none is under way, ends the run.
        let isLast = state.withLock { state in
            state.workers > 0 && state.next >= total && state.sent == total
        }
        if isLast { done.signal() }
    }

    private func record(_ outcome: Result<CurlResponse, CurlError>, intended: UInt64, sent: UInt64, ended: UInt64) {
        state.withLock { state in
            state.idle += 1
            guard !state.isStopped else { return }
            state.sent += 1
            if sent > intended + Self.lateness { state.late += 1 }
            let latency = (ended - min(intended, ended)) / 1000
            state.latencies.record(microseconds: latency)
            state.lastEnd = max(state.lastEnd, ended)
            let slow: LoadResult.Slow
            switch outcome {
            case .success(let response):
                state.outcomes[String(response.status), default: 0] += 1
                if response.status >= 500 { state.errors += 1 }
                slow = LoadResult.Slow(traceID: response.headers["mesh-trace"], ms: Double(latency) / 1000, status: response.status)
            case .failure(let error):
                state.outcomes[Self.word(error), default: 0] += 1
                state.errors += 1
                slow = LoadResult.Slow(traceID: nil, ms: Double(latency) / 1000, status: nil)
            }
            guard state.slowest.count < Self.slowestKept || slow.ms > state.slowest.last?.ms ?? 0 else { return }
            state.slowest.append(slow)
            state.slowest.sort { $0.ms > $1.ms }
            if state.slowest.count > Self.slowestKept { state.slowest.removeLast() }
        }
    }

    private static func word(_ error: CurlError) -> String {
        switch error.kind {
        case .cannotConnect, .cannotResolve: "cannot connect"
        case .timedOut: "timeout"
        case .closed, .bodyIncomplete: "connection closed"
        default: "\(error.message)"
        }
    }

    // MARK: Time

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func sleep(until instant: UInt64) {
        var time = timespec(tv_sec: Int(instant / 1_000_000_000), tv_nsec: Int(instant % 1_000_000_000))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }
}
