package import MeshModel

/// Decides how the replicas of one service come from what runs to what is wanted: told how things are, it says what to do next.
///
/// It looks at the state and not at what it said before, so that a daemon that was killed in the middle goes on from what it finds.
/// A replica is *current* if it was started from what is wanted now, *old* otherwise.
/// Invariants: rolling, never more than `wanted + maxSurge` that are not leaving beside old replicas; no ready replica is retired
/// unless `wanted - maxUnavailable` healthy ones remain (current ones that replace old ones count from `minHealthyTime` on); what is
/// tried out replaces nothing before its trial is over; after `abort` nothing is started.
package struct Rollout: Hashable, Sendable {
    /// One replica as it is.
    package struct Replica: Hashable, Sendable {
        package enum Condition: Hashable, Sendable {
            case starting
            case ready(since: Instant)
            case unready
            /// It does not start, or ended by itself.
            case failed(String)
            /// It ends, and keeps its place.
            case stopping
            /// Nothing runs in its place.
            case stopped
            /// On its way out.
            case leaving
        }

        package var name: String
        package var isCurrent: Bool
        package var condition: Condition
        /// Kept from callers until it is released.
        package var isHeld: Bool
        /// What it answered since old and new replicas serve side by side; nil where nothing is ever told of that.
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
        /// Ready ones that get no calls more while they stand by; what they have begun goes on.
        case hold([String])
        /// Current ones get this share of the calls, whichever of them are ready; nil: each as many as any other.
        case share(Double?)
        /// Marked as draining everywhere, then ended, and its place given up.
        case retire([String])
        /// Ended; what comes to its sockets waits there.
        case stop([String])
        /// A new one in the place of one that was stopped.
        case startAgain([String])
    }

    package enum Decision: Hashable, Sendable {
        /// Do this, and ask again when something changed, or at `wakeAt`.
        case proceed([Step], wakeAt: Instant?)
        case done
        /// The current ones are no good; whoever asked goes back to what was wanted before.
        case abort(reason: String)
    }

    /// What is tried out at present, for those who watch.
    package struct Stage: Hashable, Sendable {
        /// Of the calls.
        package var share: Double
        /// From 1; and of how many.
        package var step: Int
        package var steps: Int
        /// When it is over at the earliest.
        package var until: Instant
    }

    package let wanted: Int
    package let policy: RolloutPolicy
    /// The current ones are another version, and not only other processes.
    package let isNewVersion: Bool
    package private(set) var stage: Stage?
    /// Trials that ended well although too few calls came to tell.
    package private(set) var uncompared = 0
    /// The trial that is going on, or the next one; beyond the last: all are over.
    private var step = 0
    private var began: Instant?
    private var shares = false
    /// There was an old one. Where none was, nothing waits for a new one to have proved itself.
    private var replaces = false
    /// Current ones that were ready and are not now.
    private var unreadySince: [String: Instant] = [:]

    /// A new version that was ready and stays unready for so long is no good.
    static let longestUnready = Timespan.seconds(10)
    /// How long a version that comes in rolling or at once is tried out at most, where its callers are few.
    static let longestRollingTrial = Timespan.seconds(5)
    /// How much longer than asked for a step of a canary waits for calls.
    static let canaryPatience = 2.0
    /// How soon to look again while something is tried out.
    static let lookEvery = Timespan.milliseconds(250)

    package init(wanted: Int, policy: RolloutPolicy, isNewVersion: Bool = true) {
        self.wanted = wanted
        self.policy = policy
        self.isNewVersion = isNewVersion
    }

    package mutating func decide(_ replicas: [Replica], _ now: Instant) -> Decision {
        replaces = replaces || replicas.contains { !$0.isCurrent }
        let census = Census(replicas, minHealthyTime: replaces ? policy.minHealthyTime : .zero, now)
        if let reason = objection(census, now) { return .abort(reason: reason) }
        if census.old.isEmpty { return settle(census) }
        if let new = census.newTraffic, let old = census.oldTraffic, let reason = TrafficVerdict.objection(to: new, comparedWith: old) {
            return .abort(reason: reason)
        }
        switch policy.strategy {
        case .rolling: return isNewVersion ? tryOutRolling(census, now) : roll(census)
        case .recreate: return recreate(census)
        case .blueGreen: return switchOver(census, now)
        case .canary(let steps, let pause): return isNewVersion ? tryOut(census, steps, pause, now) : roll(census)
        }
    }

    /// Why it can't go on: a new version where one replica fails, a number of replicas where too few are left.
    private mutating func objection(_ census: Census, _ now: Instant) -> String? {
        let reasons = census.failures + lastingFailures(census, now)
        let dispensable = census.old.isEmpty ? wanted - policy.enough(of: wanted) : 0
        return reasons.count > dispensable ? reasons.first : nil
    }

    /// Why current ones that were ready will not be again.
    private mutating func lastingFailures(_ census: Census, _ now: Instant) -> [String] {
        let unready = census.current.filter { $0.condition == .unready }.map(\.name)
        unreadySince = unreadySince.filter { unready.contains($0.key) }
        for name in unready { unreadySince[name] = unreadySince[name] ?? now }
        let lost = unreadySince.filter { now - $0.value >= Self.longestUnready }.map(\.key).sorted()
        return lost.map { "\($0): it was ready, and has not been for \(Int64(Self.longestUnready.seconds)) s" }
    }

    /// No old ones are left: only the number can be wrong.
    private mutating func settle(_ census: Census) -> Decision {
        var steps: [Step] = endOfTrial()
        let held = census.current.filter(\.isHeld).map(\.name)
        if !held.isEmpty { steps.append(.release(held)) }
        if census.current.count < wanted { steps.append(.start(wanted - census.current.count, held: false)) }
        if census.current.count > wanted { steps.append(.retire(census.surplus(census.current.count - wanted))) }
        if steps.isEmpty, census.isDone(wanted, enough: policy.enough(of: wanted)) { return .done }
        return .proceed(steps, wakeAt: census.healthyAt)
    }

    private func roll(_ census: Census, counting healthy: Int? = nil, holding: Bool = false) -> Decision {
        let bounds = policy.bounds(for: wanted)
        let healthy = healthy ?? census.healthy
        var steps: [Step] = []
        let held = holding ? [] : census.current.filter(\.isHeld).map(\.name)
        if !held.isEmpty { steps.append(.release(held)) }
        // What does not serve is no loss.
        var retiring = census.old.filter { !$0.isReady }.map(\.name)
        let spare = healthy + census.old.count(where: \.isReady) - (wanted - bounds.unavailable)
        retiring += census.old.filter(\.isReady).prefix(max(0, spare)).map(\.name)
        let room = wanted + bounds.surge - census.current.count - (census.old.count - retiring.count)
        let starting = min(wanted - census.current.count, room)
        if starting > 0 { steps.append(.start(starting, held: holding)) }
        if !retiring.isEmpty { steps.append(.retire(retiring)) }
        return .proceed(steps, wakeAt: census.healthyAt)
    }

    /// The first new ones get the share of the calls that is theirs by number, until that was tried out; then it goes on.
    private mutating func tryOutRolling(_ census: Census, _ now: Instant) -> Decision {
        let oldReady = census.old.count(where: \.isReady)
        let ready = census.current.filter(\.isReady)
        // Where the old ones do not serve, there is nothing to compare with, and no time to lose.
        guard step == 0, oldReady > 0 else { return rollOn(census, now) }
        guard case .proceed(var steps, _) = roll(census, counting: 0, holding: true) else { return .proceed([], wakeAt: nil) }
        guard !ready.isEmpty else { return .proceed(steps, wakeAt: nil) }
        let trial = Trial(least: policy.minHealthyTime, longest: policy.minHealthyTime + Self.longestRollingTrial)
        steps += expose(ready, Double(ready.count) / Double(ready.count + oldReady), of: 1, for: trial.least, now)
        return judge(trial, census, steps, now)
    }

    private mutating func tryOut(_ census: Census, _ shares: [Double], _ pause: Timespan, _ now: Instant) -> Decision {
        guard step < shares.count, census.old.contains(where: \.isReady) else { return rollOn(census, now) }
        let share = shares[step]
        let needed = min(wanted, max(1, Int((share * Double(wanted)).rounded(.up))))
        if census.current.count < needed {
            return .proceed([.start(needed - census.current.count, held: true)], wakeAt: census.healthyAt)
        }
        guard census.healthy >= needed else { return .proceed([], wakeAt: census.healthyAt) }
        let steps = expose(census.current, share, of: shares.count, for: pause, now)
        return judge(Trial(least: pause, longest: pause * Self.canaryPatience), census, steps, now)
    }

    /// Gives new ones their share of the calls.
    private mutating func expose(
        _ replicas: [Replica], _ share: Double, of count: Int, for least: Timespan, _ now: Instant
    ) -> [Step] {
        let since = began ?? now
        began = since
        var steps: [Step] = []
        if stage?.share != share || stage?.step != step + 1 {
            shares = true
            stage = Stage(share: share, step: step + 1, steps: count, until: since + least)
            steps.append(.share(share))
        }
        let held = replicas.filter(\.isHeld).map(\.name)
        if !held.isEmpty { steps.append(.release(held)) }
        return steps
    }

    private mutating func judge(_ trial: Trial, _ census: Census, _ steps: [Step], _ now: Instant) -> Decision {
        let since = began ?? now
        switch trial.verdict(on: census.newTraffic, comparedWith: census.oldTraffic, after: now - since) {
        case .worse(let reason): return .abort(reason: reason)
        case .undecided: return .proceed(steps, wakeAt: now + Self.lookEvery)
        case .fine(let compared):
            if !compared { uncompared += 1 }
            step += 1
            began = nil
            return .proceed(steps, wakeAt: now)
        }
    }

    /// All trials are over: calls are shared out as before, then the old ones are replaced.
    private mutating func rollOn(_ census: Census, _ now: Instant) -> Decision {
        let ending = endOfTrial()
        return ending.isEmpty ? roll(census) : .proceed(ending, wakeAt: now)
    }

    /// The calls are no longer shared out.
    private mutating func endOfTrial() -> [Step] {
        stage = nil
        guard shares else { return [] }
        shares = false
        return [.share(nil)]
    }

    /// New ones take the places of old ones, so that requests wait on the sockets and none is refused in between.
    private func recreate(_ census: Census) -> Decision {
        let running = census.old.filter { $0.condition != .stopping && $0.condition != .stopped }
        if !running.isEmpty { return replace(running, census, by: Step.stop) }
        guard !census.isLeaving, census.old.allSatisfy({ $0.condition == .stopped }) else { return .proceed([], wakeAt: nil) }
        return replace(census.old, census, by: Step.startAgain)
    }

    /// Takes a step with the old ones whose places are wanted further, and lets the others go.
    private func replace(_ old: [Replica], _ census: Census, by step: ([String]) -> Step) -> Decision {
        let surplus = max(0, census.old.count + census.current.count - wanted)
        let leaving = old.suffix(surplus).map(\.name)
        let staying = old.dropLast(leaving.count).map(\.name)
        return .proceed((leaving.isEmpty ? [] : [.retire(leaving)]) + (staying.isEmpty ? [] : [step(staying)]), wakeAt: nil)
    }

    /// All calls go to the new ones at once; the old ones stand by until the new ones have shown that they do no worse.
    private mutating func switchOver(_ census: Census, _ now: Instant) -> Decision {
        if census.current.count < wanted { return .proceed([.start(wanted - census.current.count, held: true)], wakeAt: census.healthyAt) }
        let standBy = census.old.filter(\.isReady)
        if began != nil, !standBy.isEmpty, !census.current.contains(where: \.isReady) {
            return .abort(reason: "no process of the new version is ready any more since all calls went there")
        }
        guard census.healthy >= wanted else { return .proceed([], wakeAt: census.healthyAt) }
        let held = census.current.filter(\.isHeld).map(\.name)
        var steps: [Step] = held.isEmpty ? [] : [.release(held)]
        // The same version needs no trial, and without old ones there is no way back.
        guard step == 0, isNewVersion, !standBy.isEmpty else {
            return .proceed(steps + [.retire(census.old.map(\.name))], wakeAt: nil)
        }
        let serving = standBy.filter { !$0.isHeld }.map(\.name)
        if !serving.isEmpty { steps.append(.hold(serving)) }
        began = began ?? now
        return judge(Trial(least: policy.minHealthyTime, longest: policy.minHealthyTime + Self.longestRollingTrial), census, steps, now)
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

    var isLeaving: Bool { leaving > 0 }
    var newTraffic: Traffic? { .together(current.filter { !$0.isHeld }.compactMap(\.traffic)) }
    var oldTraffic: Traffic? { .together(old.compactMap(\.traffic)) }

    /// Why current ones failed.
    var failures: [String] {
        current.compactMap { replica in if case .failed(let reason) = replica.condition { "\(replica.name): \(reason)" } else { nil } }
    }

    func isDone(_ wanted: Int, enough: Int) -> Bool { current.count == wanted && healthy >= enough && leaving == 0 }

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
