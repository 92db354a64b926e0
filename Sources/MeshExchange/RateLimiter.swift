package import MeshModel
package import MeshPolicy
import Synchronization

/// How many requests of a route are let through for each value of a key, over all loops of the process.
///
/// Memory is bounded: at most `mostKeys` buckets are kept, those that are full again first making room; where all are in use, the
/// least used one goes, and is counted. Locks are taken by key, so that loops seldom meet.
package final class RateLimiter: Sendable {
    package let key: RequestKey?
    package let rate: CellRate
    /// As `RateLimit-Policy` says it: for all replicas together.
    package let quota: Int
    package let window: Timespan
    private let shards: Shards

    package static let mostKeys = shardCount * KeyTable.mostSlots
    private static let shardCount = 16

    private final class Shards: Sendable {
        let tables: [Shard] = (0..<RateLimiter.shardCount).map { _ in Shard() }
    }

    private final class Shard: Sendable {
        let table = Guarded(KeyTable())
    }

    /// - Parameter previous: of the same route in the snapshot before; what its keys have used stays used.
    package init(_ configuration: RateLimitConfiguration, replicas: Int, after previous: RateLimiter? = nil) {
        key = configuration.key
        rate = CellRate(requests: configuration.requests, window: configuration.window, sharers: replicas)
        quota = max(1, Int(min(configuration.requests, 1e9)))
        window = configuration.window
        shards = previous.flatMap { $0.key == configuration.key ? $0.shards : nil } ?? Shards()
    }

    /// A request came.
    ///
    /// - Parameter key: a hash of its key's value that nobody outside can aim at; requests with the same one share a bucket.
    package func requestCame(key: UInt64, now: Instant) -> CellRate.Verdict {
        let rate = rate
        return shards.tables[Int(truncatingIfNeeded: key >> 60)].table.withLock { $0.requestCame(key: key, rate: rate, now: now) }
    }

    /// Buckets that were dropped while they were in use.
    package var evictions: Int { shards.tables.reduce(0) { $0 + $1.table.withLock { $0.evictions } } }
}

/// Buckets by key: a hash table with a bounded number of slots, in which a key has eight places.
struct KeyTable: Sendable {
    private struct Slot: Sendable, BitwiseCopyable {
        var key: UInt64 = 0
        var theoreticalArrival = Instant.zero
    }

    static let mostSlots = 4096
    private static let firstSlots = 64
    private static let places = 8

    private var slots = [Slot](repeating: Slot(), count: firstSlots)
    private(set) var evictions = 0
    var slotCount: Int { slots.count }

    mutating func requestCame(key: UInt64, rate: CellRate, now: Instant) -> CellRate.Verdict {
        // 0 marks a free slot.
        let key = key == 0 ? 1 : key
        var place = place(of: key, now: now)
        while slots[place].key != key, slots[place].theoreticalArrival > now, slots.count < Self.mostSlots {
            grow(now: now)
            place = self.place(of: key, now: now)
        }
        if slots[place].key != key {
            if slots[place].theoreticalArrival > now { evictions += 1 }
            slots[place] = Slot(key: key)
        }
        return rate.requestCame(&slots[place].theoreticalArrival, now: now)
    }

    /// Where a key is, or where it is put: the place of the bucket that is fullest.
    private func place(of key: UInt64, now: Instant) -> Int {
        let mask = slots.count - 1
        var best = Int(truncatingIfNeeded: key) & mask
        for offset in 0..<Self.places {
            let index = (Int(truncatingIfNeeded: key) + offset) & mask
            if slots[index].key == key { return index }
            if slots[index].theoreticalArrival < slots[best].theoreticalArrival { best = index }
        }
        return best
    }

    private mutating func grow(now: Instant) {
        let old = slots
        slots = [Slot](repeating: Slot(), count: old.count * 2)
        for slot in old where slot.theoreticalArrival > now {
            let place = place(of: slot.key, now: now)
            // Nine that still meet: those that have used most stay.
            if slots[place].key != 0 { evictions += 1 }
            if slots[place].theoreticalArrival < slot.theoreticalArrival { slots[place] = slot }
        }
    }
}
