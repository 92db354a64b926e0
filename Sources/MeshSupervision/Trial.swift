package import MeshModel

/// How a new version is tried out beside the old one under real calls, and what comes of it.
///
/// Invariant: before `least` is over nothing is fine; after `longest` nothing is undecided.
package struct Trial: Hashable, Sendable {
    package enum Verdict: Hashable, Sendable {
        case worse(reason: String)
        /// Ask again later.
        case undecided
        /// `compared`: enough requests came to say so; else it only did nothing that speaks against it.
        case fine(compared: Bool)
    }

    /// Fewer requests than this of the new version leave it open whether it is any good.
    package static let enough = 20

    /// For so long both serve side by side, whatever comes.
    package var least: Timespan
    /// For so long enough requests are waited for.
    package var longest: Timespan

    package init(least: Timespan, longest: Timespan) {
        self.least = least
        self.longest = max(least, longest)
    }

    /// - Parameters:
    ///   - new: of the new version, and `old` of the old one, in the same time; nil where nothing is ever told of it.
    ///   - elapsed: since both have served side by side.
    package func verdict(on new: Traffic?, comparedWith old: Traffic?, after elapsed: Timespan) -> Verdict {
        if let new, let old, let reason = TrafficVerdict.objection(to: new, comparedWith: old) { return .worse(reason: reason) }
        guard elapsed >= least else { return .undecided }
        guard let new else { return .fine(compared: false) }
        // What was answered in the last moments is told a moment later.
        let isKnown = new.covers >= least
        if isKnown, new.requests >= Self.enough { return .fine(compared: (old?.requests ?? 0) >= Self.enough) }
        if elapsed >= longest { return .fine(compared: false) }
        // Nobody calls either of them, and both would have said so.
        if isKnown, new.requests + (old?.requests ?? 0) == 0, old.map({ $0.covers >= least }) ?? true { return .fine(compared: false) }
        return .undecided
    }
}
