import MeshModel
import MeshPolicy

extension EdgeState {
    init(_ configuration: DestinationConfiguration, replicas: Int, now: Instant) {
        policy = configuration.policy
        budget = RetryBudget(configuration.policy.retry, replicas: replicas, now: now)
        hedges = configuration.policy.hedge.map { RetryBudget($0, now: now) }
        breaker = Breaker(policy: configuration.policy.breaker ?? BreakerPolicy(), now: now)
        limiter = configuration.policy.limit.map { ConcurrencyLimiter($0, now: now) }
        throttle = AdaptiveThrottle(now: now)
        counters.replicas = replicas
        scheduleComparison(now: now)
        place(configuration, ramp: .settled, now: now)
    }

    /// Takes on a new configuration. Endpoints that stay, by their instance, keep what is known of them.
    mutating func update(_ configuration: DestinationConfiguration, replicas: Int, now: Instant) {
        let previous = policy
        policy = configuration.policy
        if policy.retry.budgetRatio != previous.retry.budgetRatio || policy.retry.reservePerSecond != previous.retry.reservePerSecond
            || replicas != counters.replicas
        {
            budget = RetryBudget(policy.retry, replicas: replicas, now: now)
            counters.replicas = replicas
        }
        if policy.hedge != previous.hedge { hedges = policy.hedge.map { RetryBudget($0, now: now) } }
        if policy.breaker != previous.breaker {
            breaker = Breaker(following: breaker, policy: policy.breaker, now: now)
            for index in slots.indices {
                slots[index].breaker = Breaker(following: slots[index].breaker, policy: policy.breaker, now: now)
            }
        }
        if policy.eject != previous.eject { scheduleComparison(now: now) }
        if policy.limit != previous.limit { limitChanged(now: now) }
        // Where nobody was before, nobody has to be spared.
        let isFirst = groups.allSatisfy(\.isEmpty)
        place(configuration, ramp: isFirst ? .settled : SlowStart(from: now, length: policy.slowStart), now: now)
    }

    private mutating func limitChanged(now: Instant) {
        guard let limit = policy.limit else {
            limiter = nil
            return
        }
        if limiter == nil {
            limiter = ConcurrencyLimiter(limit, inFlight: active + hedging, now: now)
        } else {
            limiter?.follow(limit, now: now)
        }
    }

    private mutating func scheduleComparison(now: Instant) {
        if policy.eject == nil { readmitAll() }
        nextComparison = policy.eject.map { now + $0.interval } ?? .distantFuture
        nextEjectionCheck = slots.reduce(nextComparison) { $1.isEjected ? min($0, $1.ejectedUntil) : $0 }
    }

    private mutating func place(_ configuration: DestinationConfiguration, ramp: SlowStart, now: Instant) {
        var known: [InstanceID: Int32] = [:]
        for (index, slot) in slots.enumerated() where slot.reference != nil { known[slot.instance] = Int32(index) }
        for endpoint in configuration.endpoints {
            let index =
                known.removeValue(forKey: endpoint.instance) ?? newSlot(endpoint.instance, configuration.policy, ramp: ramp, now: now)
            slots.withSlot(index) { slot in
                if slot.reference?.endpoint != endpoint { slot.reference = EndpointReference(endpoint) }
                slot.takesNoCalls = endpoint.draining
                slot.isGone = false
                slot.inverseWeight = endpoint.weight > 0 ? 1 / endpoint.weight : 1e6
            }
        }
        // By index, not in the order of a dictionary, which differs from run to run: a simulation has to replay.
        for index in slots.indices where known[slots[index].instance] == Int32(index) {
            slots[index].takesNoCalls = true
            slots[index].isGone = true
            if slots[index].inFlight == 0 { vacate(Int32(index)) }
        }
        regroup(configuration.versions, now: now)
    }

    private mutating func newSlot(_ instance: InstanceID, _ policy: CallPolicy, ramp: SlowStart, now: Instant) -> Int32 {
        var slot = EndpointSlot(
            instance: instance, inverseWeight: 1, load: PeakEWMA(now: now), ramp: ramp,
            breaker: Breaker(policy: policy.breaker ?? BreakerPolicy(), now: now), takesNoCalls: false)
        guard let index = vacant.popLast() else {
            slots.append(slot)
            return Int32(slots.count - 1)
        }
        slot.generation = slots[Int(index)].generation
        slots[Int(index)] = slot
        return index
    }

    /// Gives a slot back; leases of its last tenant are void by the new generation.
    mutating func vacate(_ index: Int32) {
        slots.withSlot(index) { slot in
            slot.reference = nil
            slot.generation += 1
            slot.isGone = false
            slot.takesNoCalls = true
            slot.isEjected = false
        }
        vacant.append(index)
    }

    private mutating func regroup(_ versions: [VersionWeight], now: Instant) {
        groups = versions.map { VersionGroup(name: $0.name, weight: $0.weight) }
        // Of a version that has no weight, or where a service has one version only.
        groups.append(VersionGroup(name: nil, weight: versions.isEmpty ? 1 : 0))
        for index in slots.indices {
            guard let endpoint = slots[index].reference?.endpoint else { continue }
            let group = groups.firstIndex { $0.name != nil && $0.name == endpoint.version } ?? groups.count - 1
            slots[index].group = Int32(group)
        }
        if groups.count > 1, !slots.contains(where: { $0.reference != nil && Int($0.group) == groups.count - 1 }) { groups.removeLast() }
        takerCount = 0
        availableCount = 0
        ejectedCount = slots.count { $0.takesCalls && $0.isEjected }
        for index in slots.indices where slots[index].takesCalls { groups[Int(slots[index].group)].members.append(Int32(index)) }
        for group in groups.indices { arrange(group) }
        for index in slots.indices where slots[index].reference != nil { list(Int32(index)) }
        reconsiderPanic(now: now)
    }

    /// What its balancer keeps of a group as a whole.
    private mutating func arrange(_ group: Int) {
        func weight(_ slot: Int32) -> Double { slots[Int(slot)].reference?.endpoint.weight ?? 0 }
        let members = groups[group].members
        switch policy.balance {
        case .p2c, .leastRequests: break
        case .roundRobin: groups[group].turns = SmoothRoundRobin(weights: members.map(weight))
        case .hash: groups[group].ring = HashRing(members.map { (place: $0, id: slots[Int($0)].instance, weight: weight($0)) })
        }
    }

    /// Puts a slot into the list where it belongs now.
    mutating func relist(_ index: Int32, now: Instant) {
        move(index)
        reconsiderPanic(now: now)
    }

    mutating func move(_ index: Int32) {
        let group = Int(slots[Int(index)].group)
        if let position = groups[group].available.firstIndex(of: index) {
            groups[group].available.remove(at: position)
            availableCount -= 1
            takerCount -= 1
        } else if let position = groups[group].tripped.firstIndex(of: index) {
            groups[group].tripped.remove(at: position)
            takerCount -= 1
        } else if let position = groups[group].ejected.firstIndex(of: index) {
            groups[group].ejected.remove(at: position)
            takerCount -= 1
        }
        list(index)
    }

    private mutating func list(_ index: Int32) {
        let slot = slots[Int(index)]
        guard !slot.takesNoCalls else { return }
        takerCount += 1
        if !slot.breaker.isClosed {
            groups[Int(slot.group)].tripped.append(index)
        } else if slot.isEjected, !isPanicking {
            groups[Int(slot.group)].ejected.append(index)
        } else {
            groups[Int(slot.group)].available.append(index)
            availableCount += 1
        }
    }
}

extension RetryBudget {
    fileprivate init(_ policy: RetryPolicy, replicas: Int, now: Instant) {
        self.init(ratio: policy.budgetRatio, reservePerSecond: policy.reservePerSecond, replicas: replicas, now: now)
    }

    /// Without a reserve: hedges are a share of the calls, and of few calls there are none.
    fileprivate init(_ policy: HedgePolicy, now: Instant) { self.init(ratio: policy.most, reservePerSecond: 0, now: now) }
}
