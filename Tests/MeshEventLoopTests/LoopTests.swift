import Foundation
import MeshModel
import NIOCore
import Synchronization
import Testing

@testable import MeshEventLoop

@Suite struct LoopTests {
    @Test func aTimerForTheEndOfTimeHoldsUpNoOther() async throws {
        try await Loops.run { loops in
            let never = loops.loop.scheduleTask(deadline: .distantFuture) {}
            try await loops.loop.scheduleTask(in: .milliseconds(1)) {}.futureResult.get()
            let end = NIODeadline.now() + .milliseconds(3)
            let fired = try await loops.loop.scheduleTask(deadline: end) { NIODeadline.now() }.futureResult.get()
            #expect(fired >= end)
            never.cancel()
        }
    }

    @Test func tasksOfManyThreadsAllRun() async throws {
        try await Loops.run { loops in
            let ran = Count()
            let loop = loops.loop
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for index in 0..<2000 {
                            loop.execute {
                                #expect(loop.inEventLoop)
                                ran.increment()
                            }
                            // The loop falls asleep in between.
                            if index % 100 == 0 { await Task.yield() }
                        }
                    }
                }
            }
            try await loops.onLoop {}
            #expect(ran.value == 16_000)
            #expect(!loop.inEventLoop)
        }
    }

    /// Each wakes a loop that sleeps.
    @Test func aLoopThatSleepsIsWoken() async throws {
        try await Loops.run(threads: 2) { loops in
            for _ in 0..<2000 {
                let there = try await loops.group.loops[0].submit { 1 }.get()
                let back = try await loops.group.loops[1].submit { 2 }.get()
                #expect(there + back == 3)
            }
        }
    }

    @Test func whatATaskHandsToItsOwnLoopRunsBehindIt() async throws {
        try await Loops.run { loops in
            let order = Guarded<[Int]>([])
            let loop = loops.loop
            try await loops.onLoop {
                loop.execute {
                    order.withLock { $0.append(2) }
                    loop.assumeIsolated().execute { order.withLock { $0.append(3) } }
                }
                order.withLock { $0.append(1) }
            }
            #expect(await becomesTrue { order.withLock { $0 } == [1, 2, 3] })
        }
    }

    @Test func timersFireInOrderAndNotBeforeTheirTime() async throws {
        try await Loops.run { loops in
            let order = Guarded<[Int]>([])
            let loop = loops.loop
            let began = NIODeadline.now()
            let late = loop.scheduleTask(in: .milliseconds(40)) {
                order.withLock { $0.append(3) }
                return NIODeadline.now()
            }
            // From the loop and from outside.
            try await loops.onLoop {
                _ = loop.scheduleTask(deadline: began + .milliseconds(20)) { order.withLock { $0.append(2) } }
                _ = loop.scheduleTask(deadline: began + .milliseconds(10)) { order.withLock { $0.append(1) } }
            }
            let fired = try await late.futureResult.get()
            #expect(fired - began >= .milliseconds(40))
            #expect(order.withLock { $0 } == [1, 2, 3])
        }
    }

    @Test func aTimerThatIsCancelledDoesNotFire() async throws {
        try await Loops.run { loops in
            let fired = Count()
            let fromOutside = loops.loop.scheduleTask(in: .milliseconds(30)) { fired.increment() }
            fromOutside.cancel()
            let loop = loops.loop
            try await loops.onLoop {
                let inside = loop.scheduleTask(in: .milliseconds(1)) { fired.increment() }
                inside.cancel()
            }
            await #expect(throws: EventLoopError.cancelled) { try await fromOutside.futureResult.get() }
            try await loops.loop.scheduleTask(in: .milliseconds(40)) {}.futureResult.get()
            #expect(fired.value == 0)
        }
    }

    @Test func aTimerThatThrowsFails() async throws {
        try await Loops.run { loops in
            let timer = loops.loop.scheduleTask(in: .nanoseconds(1)) { throw ChannelError.eof }
            await #expect(throws: ChannelError.eof) { try await timer.futureResult.get() }
        }
    }

    /// What a handler of futures sees of a loop that serves as executor.
    @Test func anActorRunsOnTheLoopThatIsItsExecutor() async throws {
        actor Bound {
            nonisolated let loop: EpollLoop
            nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

            init(_ loop: EpollLoop) { self.loop = loop }

            func isOnLoop() -> Bool { loop.inEventLoop }
        }
        try await Loops.run { loops in
            #expect(await Bound(loops.loop).isOnLoop())
        }
    }

    @Test func endingRunsWhatIsLeftFailsTimersAndClosesSockets() async throws {
        let group = EpollLoopGroup(threads: 2)
        let loops = Loops(group: group)
        let recorder = Recorder()
        let (channel, peer) = try await loops.pair(recorder)
        let timer = loops.loop.scheduleTask(in: .hours(1)) {}
        let failure = Guarded<(any Error)?>(nil)
        timer.futureResult.whenFailure { error in failure.withLock { $0 = error } }
        let ran = Count()
        let loop = loops.loop
        loop.execute {
            // It is handed over when the loop is about to end, by a task that ran before.
            loop.execute { loop.execute { ran.increment() } }
        }
        channel.closeFuture.whenComplete { _ in ran.increment() }
        try await group.shutdownGracefully()
        #expect(ran.value == 2)
        #expect(failure.withLock { $0 as? EventLoopError } == .shutdown)
        #expect(recorder.life == [.added, .registered, .active, .inactive, .unregistered, .removed])
        #expect(peer.receive(1).isEmpty)
        // Once more is no error.
        try await group.shutdownGracefully()
    }

    @Test func aChannelThatBeginsOnALoopThatEndsIsClosed() async throws {
        let group = EpollLoopGroup(threads: 1)
        let loop = group.loops[0]
        let recorder = Recorder()
        let (ours, theirs) = Loops.socketPair()
        let peer = Peer(theirs)
        let failed = loop.submit {
            // Fails as the loop ends, and opens a channel then.
            loop.scheduleTask(in: .hours(1)) {}.futureResult.flatMapError { _ in
                loop.makeCompletedFuture {
                    let channel = StreamChannel(descriptor: ours, isUnix: true, loop: loop)
                    try channel.pipeline.syncOperations.addHandler(recorder)
                    try channel.begin()
                }
            }
        }
        let failure = Guarded<(any Error)?>(nil)
        try await failed.get().whenFailure { error in failure.withLock { $0 = error } }
        // Heard there before the loop ends.
        try await loop.submit {}.get()
        try await group.shutdownGracefully()
        #expect(failure.withLock { $0 as? EventLoopError } == .shutdown)
        #expect(recorder.life == [.added, .removed])
        #expect(peer.receive(1).isEmpty)
    }
}
