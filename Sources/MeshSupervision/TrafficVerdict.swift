internal import Glibc
internal import MeshModel

/// Says whether a new version does worse than the old one, by what both answered at the same time.
enum TrafficVerdict {
    /// A difference that chance makes more often than this is none. It is looked for once a second, so that it must be small.
    static let chance = 1e-4
    /// Fewer may all come of one accident, which is no evidence however unlikely it was.
    static let leastBad = 5
    /// A share of failures that is greater by less is nobody's reason to go back.
    static let leastDifference = 0.02
    /// A p99 is worse from here on: so many times the old one's, and so much above it.
    static let slowerBy = 3.0
    static let slowerByAtLeast = Timespan.milliseconds(50)

    /// Why the new one is worse, in one line; nil if it is not, or if that can't be told.
    ///
    /// Failures and slow answers are both shares of all answers: they differ if Fisher's exact test says so, which needs no least
    /// number of requests to be right.
    static func objection(to new: Traffic, comparedWith old: Traffic) -> String? { failing(new, old) ?? slow(new, old) }

    private static func failing(_ new: Traffic, _ old: Traffic) -> String? {
        guard new.failures >= leastBad, old.requests > 0,
            Double(new.failures) / Double(new.requests) - Double(old.failures) / Double(old.requests) >= leastDifference,
            isMore(new.failures, of: new.requests, than: old.failures, of: old.requests)
        else { return nil }
        return
            "\(new.failures) of \(new.requests) requests failed in the new version, \(old.failures) of \(old.requests) in the old one"
    }

    /// The p99 is above a bound if more than one answer in a hundred is.
    private static func slow(_ new: Traffic, _ old: Traffic) -> String? {
        guard let newP99 = new.latencies.quantile(0.99), let oldP99 = old.latencies.quantile(0.99) else { return nil }
        let bound = max(oldP99 * slowerBy, oldP99 + slowerByAtLeast)
        guard newP99 > bound, let newSlow = new.latencies.slower(than: bound), let oldSlow = old.latencies.slower(than: bound),
            newSlow.count >= leastBad,
            isMore(newSlow.count, of: new.latencies.total, than: oldSlow.count, of: old.latencies.total)
        else { return nil }
        return
            "p99 is \(text(newP99)) in the new version (of \(new.latencies.total) requests), \(text(oldP99)) in the old one (of \(old.latencies.total))"
    }

    /// Whether a share is greater than another by more than chance.
    ///
    /// One-sided exact test (R. A. Fisher 1934): the probability of at least so many of `all` among the `count` drawn, if both
    /// came from one urn.
    static func isMore(_ bad: Int, of count: Int, than otherBad: Int, of otherCount: Int) -> Bool {
        probability(ofAtLeast: bad, among: count, drawnFrom: count + otherCount, with: bad + otherBad) < chance
    }

    static func probability(ofAtLeast bad: Int, among drawn: Int, drawnFrom all: Int, with allBad: Int) -> Double {
        let ways = lnBinomial(all, drawn)
        var sum = 0.0
        // Beyond the first terms they only shrink.
        for hits in bad...min(drawn, allBad) where drawn - hits <= all - allBad {
            let term = exp(lnBinomial(allBad, hits) + lnBinomial(all - allBad, drawn - hits) - ways)
            sum += term
            if term < sum * 1e-9 { break }
        }
        return min(1, sum)
    }

    private static func lnBinomial(_ n: Int, _ k: Int) -> Double {
        lgamma(Double(n) + 1) - lgamma(Double(k) + 1) - lgamma(Double(n - k) + 1)
    }

    private static func text(_ time: Timespan) -> String {
        let milliseconds = Double(time.nanoseconds) / 1e6
        return milliseconds < 10 ? "\((milliseconds * 10).rounded() / 10) ms" : "\(Int(milliseconds.rounded())) ms"
    }
}
