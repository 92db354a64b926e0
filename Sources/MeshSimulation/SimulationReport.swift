package import MeshExchange
package import MeshModel

/// What came of a simulation.
package struct SimulationReport: Sendable {
    package struct Arrival: Sendable {
        package var at: Timespan
        package var upstream: Int
        package var isRetry: Bool
        /// Sent beside another one.
        package var isHedge: Bool
    }

    package struct Finished: Sendable {
        package var began: Timespan
        package var took: Timespan
        /// 0 for a response that was cut off.
        package var status: Int
        package var attempts: Int
    }

    package var calls = 0
    package var succeeded = 0
    package var failed = 0
    package var left = 0
    package var flags: [ResponseFlag: Int] = [:]
    package var arrivals: [Arrival] = []
    package var finished: [Finished] = []
    package var violations: [ExchangeInvariants.Violation] = []
    /// Of all ends and their times: equal for equal runs.
    package var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    package var edge: DestinationStatistics?

    /// An upstream's share of the attempts that began in a span of the run.
    package func share(of upstream: Int, from start: Timespan, to end: Timespan) -> Double {
        let all = arrivals.filter { $0.at >= start && $0.at < end }
        return all.isEmpty ? 0 : Double(all.count { $0.upstream == upstream }) / Double(all.count)
    }

    package var retries: Int { arrivals.count(where: \.isRetry) }
    package var hedges: Int { arrivals.count(where: \.isHedge) }

    /// The time that this share of the calls took at most; of those that ended with an answer.
    package func latency(_ share: Double) -> Timespan {
        let sorted = finished.map(\.took).sorted()
        return sorted.isEmpty ? .zero : sorted[min(Int(Double(sorted.count) * share), sorted.count - 1)]
    }
}
