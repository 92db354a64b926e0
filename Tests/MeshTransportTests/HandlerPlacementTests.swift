import MeshModel
import Testing

@testable import MeshTransport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite struct HandlerPlacementTests {
    private var now = Instant.zero + .seconds(100)
    private let calculated = ThreadUse(processor: .milliseconds(5), waits: 0, preemptions: 0)
    private let waited = ThreadUse(processor: .microseconds(20), waits: 1, preemptions: 0)
    private let preempted = ThreadUse(processor: .microseconds(20), waits: 0, preemptions: 2)

    /// One handler before had those that follow watched.
    private func watching() -> HandlerPlacement {
        var placement = HandlerPlacement()
        placement.heldLoop(for: .milliseconds(5), use: nil, now: now)
        return placement
    }

    @Test mutating func aQuickHandlerKeepsTheLoop() {
        var placement = HandlerPlacement()
        for _ in 0..<100 {
            placement.heldLoop(for: .microseconds(20), use: nil, now: now)
            #expect(placement.place(now: now) == .loop)
        }
    }

    @Test mutating func theFirstSlowOneHasTheNextOnesWatchedForAWhile() {
        let placement = watching()
        #expect(placement.place(now: now) == .loopWatched)
        #expect(placement.place(now: now + .milliseconds(9_999)) == .loopWatched)
        #expect(placement.place(now: now + .seconds(10)) == .loop)
    }

    @Test mutating func whoCalculatesOrWaitsSendsTheNextOnesToThePool() {
        for use in [calculated, waited] {
            var placement = watching()
            placement.heldLoop(for: .milliseconds(5), use: use, now: now)
            #expect(placement.place(now: now) == .pool)
            #expect(placement.place(now: now + .milliseconds(999)) == .pool)
            #expect(placement.place(now: now + .seconds(1)) == .loopWatched)
        }
    }

    @Test mutating func whoHadToGiveWayToOthersDoesNot() {
        var placement = watching()
        for _ in 0..<100 {
            placement.heldLoop(for: .milliseconds(5), use: preempted, now: now)
            #expect(placement.place(now: now) == .loopWatched)
        }
    }

    @Test mutating func whoDidBothDoes() {
        for use in [
            ThreadUse(processor: .milliseconds(2), waits: 0, preemptions: 1), ThreadUse(processor: .zero, waits: 1, preemptions: 1),
        ] {
            var placement = watching()
            placement.heldLoop(for: .milliseconds(5), use: use, now: now)
            #expect(placement.place(now: now) == .pool)
        }
    }

    @Test mutating func eachFurtherSlowOneDoublesTheTimeUpToAMinute() {
        var placement = watching()
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            placement.heldLoop(for: .milliseconds(5), use: waited, now: now)
            #expect(placement.place(now: now + .milliseconds(Int64(seconds) * 1000 - 1)) == .pool)
            now = now + .seconds(Int64(seconds))
            #expect(placement.place(now: now) == .loopWatched)
        }
    }

    @Test mutating func timeWithoutASlowOneClearsTheRecord() {
        var placement = watching()
        placement.heldLoop(for: .milliseconds(5), use: waited, now: now)
        now = now + .seconds(1)
        placement.heldLoop(for: .milliseconds(5), use: waited, now: now)
        now = now + .seconds(2 + 60)
        placement.heldLoop(for: .milliseconds(5), use: nil, now: now)
        placement.heldLoop(for: .milliseconds(5), use: waited, now: now)
        #expect(placement.place(now: now + .milliseconds(999)) == .pool)
        #expect(placement.place(now: now + .seconds(1)) == .loopWatched)
    }

    @Test func theKernelTellsAWaitFromACalculation() {
        let began = ThreadUse.sinceBeginning()
        var pollOf = [pollfd]()
        poll(&pollOf, 0, 5)
        #expect(ThreadUse.sinceBeginning().since(began).waits >= 1)
    }
}
