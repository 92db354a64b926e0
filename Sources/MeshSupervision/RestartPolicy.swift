package import MeshModel

/// Whether and how soon an instance that ended is started again.
package struct RestartPolicy: Hashable, Sendable, Codable {
    package enum When: String, Hashable, Sendable, Codable { case always, onFailure, never }

    package var when: When
    package var base: Timespan
    package var cap: Timespan
    /// Having been ready for so long, an instance starts anew with no failures counted.
    package var stableAfter: Timespan

    package init(
        when: When = .always, base: Timespan = .milliseconds(200), cap: Timespan = .seconds(30), stableAfter: Timespan = .seconds(5)
    ) {
        self.when = when
        self.base = base
        self.cap = cap
        self.stableAfter = stableAfter
    }

    package func restarts(afterClean isClean: Bool) -> Bool {
        switch when {
        case .always: true
        case .onFailure: !isClean
        case .never: false
        }
    }

    /// The wait before the next start: doubling from `base` to `cap`; an instance that had been ready goes without the first one.
    package func delay(failures: Int, wasReady: Bool) -> Timespan {
        let doublings = failures - (wasReady ? 2 : 1)
        guard doublings >= 0 else { return .zero }
        return doublings > 20 ? cap : min(cap, base * Int64(1 << doublings))
    }
}
