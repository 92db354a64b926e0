import MeshModel
import Testing

@testable import MeshTransport

@Suite struct HandlerPlacementTests {
    private var now = Instant.zero + .seconds(100)

    @Test mutating func aQuickHandlerKeepsTheLoop() {
        var placement = HandlerPlacement()
        for _ in 0..<100 {
            placement.heldLoop(for: .microseconds(20), now: now)
            #expect(placement.beginsOnLoop(now: now))
        }
    }

    @Test mutating func aSlowOneSendsTheNextOnesToThePool() {
        var placement = HandlerPlacement()
        placement.heldLoop(for: .milliseconds(5), now: now)
        #expect(!placement.beginsOnLoop(now: now))
        #expect(!placement.beginsOnLoop(now: now + .milliseconds(999)))
        #expect(placement.beginsOnLoop(now: now + .seconds(1)))
    }

    @Test mutating func eachFurtherSlowOneDoublesTheTimeUpToAMinute() {
        var placement = HandlerPlacement()
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            placement.heldLoop(for: .milliseconds(5), now: now)
            #expect(!placement.beginsOnLoop(now: now + .milliseconds(Int64(seconds) * 1000 - 1)))
            now = now + .seconds(Int64(seconds))
            #expect(placement.beginsOnLoop(now: now))
        }
    }

    @Test mutating func timeWithoutASlowOneClearsTheRecord() {
        var placement = HandlerPlacement()
        placement.heldLoop(for: .milliseconds(5), now: now)
        now = now + .seconds(1)
        placement.heldLoop(for: .milliseconds(5), now: now)
        now = now + .seconds(2 + 60)
        placement.heldLoop(for: .milliseconds(5), now: now)
        #expect(placement.beginsOnLoop(now: now + .seconds(1)))
    }
}
