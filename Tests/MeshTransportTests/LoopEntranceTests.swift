import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MeshTransport

@Suite struct LoopEntranceTests {
    private final class Counts: Sendable {
        let knocking = Atomic<Int>(0)
        let taken = Atomic<Int>(0)
        let ran = Atomic<Int>(0)
    }

    @Test func whatWasTakenRunsAndBehindTheEndNothingIsTaken() async throws {
        for _ in 0..<20 {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let entrance = LoopEntrance(to: group.next())
            let counts = Counts()
            let callers = (0..<4).map { _ in
                Task {
                    counts.knocking.wrappingAdd(1, ordering: .relaxed)
                    while entrance.execute({ counts.ran.wrappingAdd(1, ordering: .relaxed) }) {
                        counts.taken.wrappingAdd(1, ordering: .relaxed)
                        await Task.yield()
                    }
                }
            }
            while counts.knocking.load(ordering: .relaxed) < callers.count { await Task.yield() }
            entrance.close()
            let isTaken = entrance.execute { Issue.record("behind the end") }
            #expect(!isTaken)
            for caller in callers { await caller.value }
            try await group.shutdownGracefully()
            let (ran, taken) = (counts.ran.load(ordering: .relaxed), counts.taken.load(ordering: .relaxed))
            #expect(ran == taken)
        }
    }
}
