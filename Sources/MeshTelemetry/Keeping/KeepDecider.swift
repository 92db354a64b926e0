package import MeshModel

/// Decides at the end of a request whether its trace is kept: the root's part of tail sampling.
///
/// Belongs to one thread. Shares are taken by the trace's own random bits (W3C Trace Context level 2: the last 56), so that two who
/// decide by the same share on the same trace decide alike.
package struct KeepDecider: Sendable {
    /// So many requests of a route are kept before its quantiles mean anything.
    package static let earlyRequests: UInt64 = 100

    package var rule: TraceKeeping
    private var routes: [RouteLatency] = []

    package init(_ rule: TraceKeeping = .all) { self.rule = rule }

    /// Forgets what is known of routes: their numbers mean others from now on.
    package mutating func routesChanged() { routes = [] }

    /// A root has ended.
    ///
    /// - Parameter route: a small number that stands for requests that are alike; 0 where none is known.
    package mutating func ended(
        _ trace: TraceID, route: Int = 0, after duration: Timespan, trouble: TraceTrouble, isAsked: Bool = false
    ) -> KeepReason {
        if rule.keepsAll { return isAsked ? .asked : .all }
        var slow = KeepReason.notKept
        switch rule.slowerThan {
        case .quantile(let share):
            while routes.count <= route { routes.append(RouteLatency()) }
            slow = routes[route].judge(duration, quantile: share)
        case .duration(let limit): if duration > limit { slow = .slow }
        case nil: break
        }
        if isAsked { return .asked }
        if trouble.contains(.error), Self.isIn(rule.errors, trace) { return .error }
        if trouble.contains(.retried), Self.isIn(rule.retried, trace) { return .retried }
        if slow.isKept { return slow }
        return Self.isIn(rule.rest, trace) ? .sampled : .notKept
    }

    private static func isIn(_ share: Double, _ trace: TraceID) -> Bool {
        share >= 1 || Double(trace.low & 0x00ff_ffff_ffff_ffff) < share * 0x1p56
    }
}

/// How long the requests of one route take, of late.
struct RouteLatency: Sendable {
    /// The older half of the weight goes whenever so many are known, so that yesterday's p99 does not judge today.
    private static let memory: UInt64 = 16_384
    /// The quantile is looked up again after so many.
    private static let refreshEvery: UInt64 = 64

    private var histogram = LatencyHistogram()
    private var threshold = Timespan(nanoseconds: .max)
    private var refreshAt = KeepDecider.earlyRequests

    /// Judges by what came before, then takes the duration in.
    mutating func judge(_ duration: Timespan, quantile: Double) -> KeepReason {
        let verdict: KeepReason =
            histogram.total < KeepDecider.earlyRequests ? .early : duration > threshold ? .slow : .notKept
        histogram.record(duration)
        if histogram.total >= refreshAt {
            threshold = histogram.quantile(quantile) ?? threshold
            if histogram.total >= Self.memory { histogram.halve() }
            refreshAt = histogram.total + Self.refreshEvery
        }
        return verdict
    }
}
