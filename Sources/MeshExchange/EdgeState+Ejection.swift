package import MeshModel
import MeshPolicy

// Endpoints that do worse than the others are out for a while; with too few left, everyone is in again.
extension EdgeState {
    /// The time of `nextEjectionCheck` came: lets in whose time is up, and compares the rates once an interval.
    mutating func checkEjections(now: Instant) {
        guard let ejection = policy.eject else {
            nextEjectionCheck = .distantFuture
            return
        }
        for index in slots.indices where slots[index].isEjected && slots[index].ejectedUntil <= now { readmit(Int32(index), now: now) }
        if now >= nextComparison {
            compare(ejection, now: now)
            nextComparison = now + ejection.interval
        }
        nextEjectionCheck = slots.reduce(nextComparison) { $1.isEjected ? min($0, $1.ejectedUntil) : $0 }
    }

    private mutating func compare(_ ejection: EjectionPolicy, now: Instant) {
        let judged = slots.indices.filter { slots[$0].takesCalls && Int(slots[$0].outcomes.calls) >= ejection.minCalls }
        let rates = judged.map { slots[$0].outcomes.successRate }
        if let threshold = OutlierDetection.threshold(of: rates, policy: ejection) {
            let most = OutlierDetection.mostOut(of: takerCount, policy: ejection)
            var out = slots.count { $0.takesCalls && ($0.isEjected || !$0.breaker.isClosed) }
            // The worst first, since not all may go.
            for (index, rate) in zip(judged, rates).sorted(by: { $0.1 < $1.1 })
            where rate < threshold && out < most && !slots[index].isEjected && slots[index].breaker.isClosed {
                out += 1
                eject(index, rate: rate, threshold: threshold, ejection, now: now)
            }
        }
        for index in slots.indices {
            // An interval in which it stayed in is evidence of health.
            if !slots[index].isEjected, slots[index].ejections > 0, slots[index].outcomes.calls > 0 { slots[index].ejections -= 1 }
            slots[index].outcomes = OutlierDetection.Counts()
        }
    }

    private mutating func eject(_ index: Int, rate: Double, threshold: Double, _ ejection: EjectionPolicy, now: Instant) {
        slots[index].isEjected = true
        slots[index].ejections += 1
        let span = OutlierDetection.time(ofEjection: Int(slots[index].ejections), policy: ejection)
        slots[index].ejectedUntil = now + span
        ejectedCount += 1
        ejectionEvents.append(.ejected(successRate: rate, threshold: threshold, for: span), of: slots[index].instance, now: now)
        relist(Int32(index), now: now)
    }

    private mutating func readmit(_ index: Int32, now: Instant) {
        slots.withSlot(index) { slot in
            slot.isEjected = false
            slot.ramp = SlowStart(from: now, length: policy.slowStart)
        }
        ejectionEvents.append(.readmitted, of: slots[Int(index)].instance, now: now)
        relist(index, now: now)
    }

    /// Lets everyone in again, where ejection was switched off.
    mutating func readmitAll() {
        for index in slots.indices { slots[index].isEjected = false }
    }

    /// Counts who is out, and goes over to panic or back. Position: after every change of who takes calls, since it depends on all.
    mutating func reconsiderPanic(now: Instant) {
        guard ejectedCount > 0 || isPanicking else { return }
        var left = 0
        ejectedCount = 0
        for slot in slots where slot.takesCalls {
            if slot.isEjected { ejectedCount += 1 } else if slot.breaker.isClosed { left += 1 }
        }
        let isPanic = ejectedCount > 0 && OutlierDetection.isPanic(left: left, of: takerCount)
        guard isPanic != isPanicking else { return }
        isPanicking = isPanic
        ejectionEvents.append(isPanic ? .panicBegan(left: left, of: takerCount) : .panicEnded, of: nil, now: now)
        for index in slots.indices where slots[index].takesCalls && slots[index].isEjected { move(Int32(index)) }
    }
}

/// Who was left alone, and when that was given up.
package struct EjectionEvent: Hashable, Sendable {
    package enum Change: Hashable, Sendable {
        case ejected(successRate: Double, threshold: Double, for: Timespan)
        case readmitted
        /// Calls go to ejected endpoints too, since too few others are left.
        case panicBegan(left: Int, of: Int)
        case panicEnded
    }

    package var at: Instant
    /// nil where it is about all.
    package var instance: InstanceID?
    package var change: Change
}

/// The last few of them.
struct RecentEjections: Sendable {
    private(set) var kept: [EjectionEvent] = []

    mutating func append(_ change: EjectionEvent.Change, of instance: InstanceID?, now: Instant) {
        if kept.count == RecentEvents.capacity { kept.removeFirst() }
        kept.append(EjectionEvent(at: now, instance: instance, change: change))
    }
}
