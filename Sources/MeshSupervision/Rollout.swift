package import MeshModel

/// Decides how the replicas of one service come from what runs to what is wanted: told how things are, it says what to do next.
///
/// It looks at the state and not at what it said before, so that a daemon that was killed in the middle goes on from what it finds.
/// A replica is *current* if it was started from what is wanted now, *old* otherwise.
/// Invariants: beside old replicas, never more than `wanted + maxSurge` that are not leaving; no ready replica is retired unless
/// `wanted - maxUnavailable` healthy ones remain (current ones count from `minHealthyTime` on); after `abort` nothing is started.
package struct Rollout: Hashable, Sendable {
    /// One replica as it is.
    package struct Replica: Hashable, Sendable {
        package enum Condition: Hashable, Sendable {
            case starting
            case ready(since: Instant)
            case unready
            /// It does not start, or ended by itself.
            case failed(String)
            /// On its way out.
            case leaving
        }

        package var name: String
        package var isCurrent: Bool
        package var condition: Condition
        /// Kept from callers until it is released.
        package var isHeld: Bool
        /// What it answered since the rollout began; nil where that is not known.
        package var traffic: Traffic?

        package init(name: String, isCurrent: Bool, condition: Condition, isHeld: Bool = false, traffic: Traffic? = nil) {
            self.name = name
            self.isCurrent = isCurrent
            self.condition = condition
            self.isHeld = isHeld
            self.traffic = traffic
        }
    }

    package enum Step: Hashable, Sendable {
        /// So many new ones; held ones get no calls before `release`.
        case start(Int, held: Bool)
        case release([String])
        /// Current ones get this share of the calls; nil: as many as they are.
        case share(Double?)
        /// Marked as draining everywhere, then ended.
        case retire([String])
    }

    package enum Decision: Hashable, Sendable {
        /// Do this, and ask again when something changed, or at `wakeAt`.
        case proceed([Step], wakeAt: Instant?)
        case done
        /// The current ones are no good; whoever asked goes back to what was wanted before.
        case abort(reason: String)
    }

    package let wanted: Int
    package let policy: RolloutPolicy
    private var canary = Canary()

    /// How far a canary has come.
    private struct Canary: Hashable, Sendable {
        var step = 0
        /// When the share of this step was set; nil before.
        var since: Instant?
    }

    package init(wanted: Int, policy: RolloutPolicy) {
        self.wanted = wanted
        self.policy = policy
    }

    package mutating func decide(_ replicas: [Replica], _ now: Instant) -> Decision {
        let census = Census(replicas, minHealthyTime: policy.minHealthyTime, now)
        if let reason = census.failure ?? TrafficVerdict.objection(to: census.current, comparedWith: census.old) {
            return .abort(reason: reason)
        }
        if census.old.isEmpty { return settle(census) }
        switch policy.strategy {
        case .rolling: return roll(census)
        case .recreate: return recreate(census)
        case .blueGreen: return switchOver(census)
        case .canary(let steps, let pause): return tryOut(census, steps, pause, now)
        }
    }

    /// No old ones are left: only the number can be wrong.
    private mutating func settle(_ census: Census) -> Decision {
        var steps: [Step] = []
        let held = census.current.filter(\.isHeld).map(\.name)
        if !held.isEmpty { steps.append(.release(held)) }
        if canary.since != nil {
            canary.since = nil
            steps.append(.share(nil))
        }
        if census.current.count < wanted { steps.append(.start(wanted - census.current.count, held: false)) }
        if census.current.count > wanted { steps.append(.retire(census.surplus(census.current.count - wanted))) }
        if steps.isEmpty, census.isDone(wanted) { return .done }
        return .proceed(steps, wakeAt: census.healthyAt)
    }

    private func roll(_ census: Census) -> Decision {
        let bounds = policy.bounds(for: wanted)
        var steps: [Step] = []
        // What does not serve is no loss.
        var retiring = census.old.filter { !$0.isReady }.map(\.name)
        let spare = census.healthy + census.old.count(where: \.isReady) - (wanted - bounds.unavailable)
        retiring += census.old.filter(\.isReady).prefix(max(0, spare)).map(\.name)
        let room = wanted + bounds.surge - census.current.count - (census.old.count - retiring.count)
        let starting = min(wanted - census.current.count, room)
        if starting > 0 { steps.append(.start(starting, held: false)) }
        if !retiring.isEmpty { steps.append(.retire(retiring)) }
        return .proceed(steps, wakeAt: census.healthyAt)
    }

    private func recreate(_ census: Census) -> Decision { .proceed([.retire(census.old.map(\.name))], wakeAt: nil) }

    private func switchOver(_ census: Census) -> Decision {
        if census.current.count < wanted { return .proceed([.start(wanted - census.current.count, held: true)], wakeAt: census.healthyAt) }
        guard census.healthy >= wanted else { return .proceed([], wakeAt: census.healthyAt) }
        return .proceed([.release(census.current.map(\.name)), .retire(census.old.map(\.name))], wakeAt: nil)
    }

    private mutating func tryOut(_ census: Census, _ shares: [Double], _ pause: Timespan, _ now: Instant) -> Decision {
        guard canary.step < shares.count else { return roll(census) }
        let share = shares[canary.step]
        let needed = min(wanted, max(1, Int((share * Double(wanted)).rounded(.up))))
        if census.current.count < needed {
            return .proceed([.start(needed - census.current.count, held: true)], wakeAt: census.healthyAt)
        }
        guard census.healthy >= needed else { return .proceed([], wakeAt: census.healthyAt) }
        var steps: [Step] = []
        let since = canary.since ?? now
        if canary.since == nil { steps.append(.share(share)) }
        canary.since = since
        let held = census.current.filter(\.isHeld).map(\.name)
        if !held.isEmpty { steps.append(.release(held)) }
        guard now >= since + pause else { return .proceed(steps, wakeAt: since + pause) }
        canary = Canary(step: canary.step + 1)
        if canary.step == shares.count { steps.append(.share(nil)) }
        return .proceed(steps, wakeAt: now)
    }
}

/// The replicas of one look, sorted out.
private struct Census {
    let current: [Rollout.Replica]
    let old: [Rollout.Replica]
    private let leaving: Int
    /// Current ones that have been ready for long enough.
    private(set) var healthy = 0
    /// When the next one will have been.
    private(set) var healthyAt: Instant?

    init(_ replicas: [Rollout.Replica], minHealthyTime: Timespan, _ now: Instant) {
        let staying = replicas.filter { $0.condition != .leaving }
        current = staying.filter(\.isCurrent)
        old = staying.filter { !$0.isCurrent }
        leaving = replicas.count - staying.count
        for case .ready(let since) in current.map(\.condition) {
            if now >= since + minHealthyTime {
                healthy += 1
            } else {
                healthyAt = min(healthyAt ?? .distantFuture, since + minHealthyTime)
            }
        }
    }

    /// The first current one that failed.
    var failure: String? {
        for case (let name, .failed(let reason)) in current.map({ ($0.name, $0.condition) }) { return "\(name): \(reason)" }
        return nil
    }

    func isDone(_ wanted: Int) -> Bool { current.count == wanted && healthy == wanted && leaving == 0 }

    /// Which to let go when there are too many: those that do not serve, then the last ones by name.
    func surplus(_ count: Int) -> [String] {
        let byWorth = current.sorted { left, right in
            left.isReady == right.isReady ? ReplicaName.precedes(right.name, left.name) : !left.isReady
        }
        return byWorth.prefix(count).map(\.name)
    }
}

extension Rollout.Replica {
    var isReady: Bool { if case .ready = condition { true } else { false } }
}
