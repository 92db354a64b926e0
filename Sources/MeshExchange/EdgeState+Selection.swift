import MeshModel
import MeshPolicy

extension EdgeState {
    /// The endpoint for a first attempt: a version by weight, then one of its endpoints; nil where no breaker lets any through.
    ///
    /// With `affinity`, it is the same version and endpoint for the same number, as long as they are well.
    mutating func select(affinity: UInt64?, now: Instant, random: inout RandomSource) -> Int32? {
        if groups.count == 1 { return select(in: 0, affinity: affinity, now: now, random: &random) }
        let drawn: Int?
        if let affinity {
            var fixed = RandomSource(seed: affinity)
            drawn = drawVersion(now: now, random: &fixed)
        } else {
            drawn = drawVersion(now: now, random: &random)
        }
        guard let drawn else { return nil }
        return select(in: drawn, affinity: affinity, now: now, random: &random)
    }

    private func drawVersion(now: Instant, random: inout RandomSource) -> Int? {
        WeightedChoice.draw(of: groups.count, random: &random) {
            groups[$0].weight
        } isUsable: {
            !groups[$0].available.isEmpty || dueProbe(in: $0, now: now) != nil
        }
    }

    private mutating func select(in group: Int, affinity: UInt64?, now: Instant, random: inout RandomSource) -> Int32? {
        // A probe goes first: a balancer would hardly choose an endpoint that has just failed.
        if takerCount > availableCount, let probe = dueProbe(in: group, now: now) { return probe }
        let count = groups[group].available.count
        guard count > 1 else { return groups[group].available.first }
        if let affinity {
            guard case .hash = policy.balance else { return home(of: affinity, in: group) }
            if let slot = place(of: affinity, in: group, where: { _ in true }) { return slot }
        }
        if case .roundRobin = policy.balance, let slot = turn(in: group, now: now, random: &random) { return slot }
        let (first, second) = PowerOfTwoChoices.draw(of: count, random: &random)
        let (left, right) = (groups[group].available[first], groups[group].available[second])
        return slots.cheaper(left, right, countsRequests: policy.balance.countsRequests, now: now, random: &random)
    }

    /// Where a sticky client belongs: it moves only when its own endpoint goes, or a better one comes (rendezvous hashing, Thaler and
    /// Ravishankar 1998).
    private func home(of affinity: UInt64, in group: Int) -> Int32? {
        func score(_ slot: Int32) -> UInt64 {
            let instance = slots[Int(slot)].instance
            var source = RandomSource(seed: affinity ^ instance.high ^ instance.low)
            return source.next()
        }
        return groups[group].available.max { score($0) < score($1) }
    }

    /// Whose turn it is; one that is ramping up lets some of its turns pass.
    private mutating func turn(in group: Int, now: Instant, random: inout RandomSource) -> Int32? {
        let members = groups[group].members
        // Taken out, so that it is not copied when it changes.
        guard var turns = groups[group].turns.take() else { return nil }
        defer { groups[group].turns = turns }
        return turns.turn { position in
            let slot = Int(members[position])
            return slots[slot].isAvailable(inPanic: isPanicking) && slots[slot].ramp.admits(now: now, random: &random)
        }.map { members[$0] }
    }

    /// The endpoint that a value leads to, of those that are available and have room.
    private func place(of affinity: UInt64, in group: Int, where isWanted: (Int32) -> Bool) -> Int32? {
        guard let ring = groups[group].ring else { return nil }
        let bound = HashRing.bound(underWay: active, endpoints: groups[group].available.count)
        return ring.member(for: affinity) { slot in
            isWanted(slot) && slots[Int(slot)].isAvailable(inPanic: isPanicking) && slots[Int(slot)].inFlight < bound
        }
    }

    private func dueProbe(in group: Int, now: Instant) -> Int32? {
        groups[group].tripped.first { slots[Int($0)].breaker.probeIsDue(now: now, alone: availableCount == 0) }
    }

    // MARK: After a first attempt

    func hasUsable(now: Instant) -> Bool {
        availableCount > 0 || groups.indices.contains { dueProbe(in: $0, now: now) != nil }
    }

    func hasUsable(otherThan tried: borrowing AttemptLog, now: Instant) -> Bool {
        for group in groups {
            for slot in group.available where isUntried(slot, tried) { return true }
            for slot in group.tripped where isUntried(slot, tried) && isDue(slot, now: now) { return true }
        }
        return false
    }

    /// An endpoint that the call has not tried, by two choices over all versions; a probe only where nothing else is left,
    /// since this call has had trouble enough.
    mutating func select(
        otherThan tried: borrowing AttemptLog, affinity: UInt64?, now: Instant, random: inout RandomSource
    ) -> Int32? {
        if let affinity {
            for group in groups.indices {
                var isTried: [Int32] = []
                for slot in groups[group].members where !isUntried(slot, tried) { isTried.append(slot) }
                if let slot = place(of: affinity, in: group, where: { !isTried.contains($0) }) { return slot }
            }
        }
        if let slot = selectAvailable(otherThan: tried, now: now, random: &random) { return slot }
        for group in groups {
            for slot in group.tripped where isUntried(slot, tried) && isDue(slot, now: now) { return slot }
        }
        return nil
    }

    /// One that is well, and that the call has not tried.
    func selectAvailable(otherThan tried: borrowing AttemptLog, now: Instant, random: inout RandomSource) -> Int32? {
        var first: Int32?
        var second: Int32?
        var seen = 0
        for group in groups {
            // Reservoir sampling of two (Vitter's algorithm R).
            for slot in group.available where isUntried(slot, tried) {
                seen += 1
                if first == nil {
                    first = slot
                } else if second == nil {
                    second = slot
                } else {
                    switch random.next(below: seen) {
                    case 0: first = slot
                    case 1: second = slot
                    default: break
                    }
                }
            }
        }
        if let first, let second {
            return slots.cheaper(first, second, countsRequests: policy.balance.countsRequests, now: now, random: &random)
        }
        return first
    }

    private func isDue(_ slot: Int32, now: Instant) -> Bool {
        slots[Int(slot)].breaker.probeIsDue(now: now, alone: availableCount == 0)
    }

    private func isUntried(_ slot: Int32, _ tried: borrowing AttemptLog) -> Bool {
        !tried.hasTried(slots[Int(slot)].instance)
    }
}

extension [EndpointSlot] {
    /// The one of two that costs less, of those whose slow start lets the draw stand.
    ///
    /// Of the slots, and not of the state that they are part of, which would be copied as a whole for it.
    fileprivate func cheaper(
        _ first: Int32, _ second: Int32, countsRequests: Bool, now: Instant, random: inout RandomSource
    ) -> Int32 {
        let firstStands = self[Int(first)].ramp.admits(now: now, random: &random)
        let secondStands = self[Int(second)].ramp.admits(now: now, random: &random)
        if firstStands != secondStands { return firstStands ? first : second }
        return cost(second, countsRequests, now: now) < cost(first, countsRequests, now: now) ? second : first
    }

    private func cost(_ slot: Int32, _ countsRequests: Bool, now: Instant) -> Double {
        guard countsRequests else { return self[Int(slot)].cost(now: now) }
        return Double(self[Int(slot)].inFlight + 1) * self[Int(slot)].inverseWeight
    }
}

extension BalancePolicy {
    fileprivate var countsRequests: Bool { if case .leastRequests = self { true } else { false } }
}
