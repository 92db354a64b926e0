import MeshModel
import MeshSupervision
import MeshTransport

/// What the replicas of one service answered since its old and its new ones are compared.
///
/// Instances tell totals once a second, as long as there is anything new: what counts is the difference to what they had told before.
/// The times of a new replica count from its first report on, since its first answers pay for empty caches and new connections.
struct RolloutTraffic: Sendable {
    struct Told: Sendable {
        var at: Instant
        var traffic: InboundTraffic
    }

    private var began: Instant?
    private var before: [InstanceID: Told] = [:]
    private var warmedUp: [InstanceID: InboundTraffic] = [:]

    /// Later calls change nothing.
    mutating func begin(at now: Instant) { began = began ?? now }

    /// Within which an instance tells what is new: what is not told by then has not happened.
    static let longestSilence = Timespan.milliseconds(1500)

    /// - Parameters:
    ///   - told: its latest report; nil where there is none yet.
    ///   - tells: it is one that reports.
    mutating func of(_ instance: InstanceID, isNew: Bool, told: Told?, tells: Bool, now: Instant) -> Traffic? {
        guard tells, let began else { return nil }
        func covered(since start: Instant) -> Timespan {
            max(.zero, max(told?.at ?? began, now + (.zero - Self.longestSilence)) - max(began, start))
        }
        guard let told else { return Traffic(covers: covered(since: began)) }
        // One that is new answered nothing before; of any other, what it had answered before its first report is not known.
        if told.at <= began || before[instance] == nil && !isNew { before[instance] = told }
        let before = before[instance] ?? Told(at: began, traffic: InboundTraffic())
        let covers = covered(since: before.at)
        guard told.at > max(began, before.at) else { return Traffic(covers: covers) }
        if isNew, warmedUp[instance] == nil { warmedUp[instance] = told.traffic }
        let total = told.traffic.since(before.traffic)
        let times = told.traffic.since(warmedUp[instance] ?? before.traffic)
        return Traffic(
            requests: Int(total.requests + total.abandoned), failures: Int(total.failures + total.abandoned),
            latencies: LatencyCounts(
                zip(InboundTraffic.bounds, times.within).map { .init(below: .milliseconds($0), count: Int($1)) },
                total: Int(times.requests - min(times.requests, times.failures))),
            covers: covers)
    }
}
