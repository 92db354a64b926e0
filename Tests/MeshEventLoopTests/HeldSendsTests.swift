import CMeshSystem
import Glibc
import NIOCore
import Testing

@testable import MeshEventLoop

/// Sends that go out by the call that sleeps, and all that must not come to a different end because of it.
@Suite struct HeldSendsTests {
    /// What the kernel of this machine allows.
    private static let isAllowed: Bool = {
        guard let ring = mesh_ring_create() else { return false }
        mesh_ring_destroy(ring)
        return true
    }()

    private func arrived(at peer: Peer, _ count: Int = 16) -> String {
        var bytes = [UInt8](repeating: 0, count: count)
        let received = recv(peer.descriptor, &bytes, count, CInt(MSG_DONTWAIT))
        return String(decoding: bytes.prefix(max(0, received)), as: UTF8.self)
    }

    /// As the only task of its turn: who waits for a future sends another after it.
    private func alone<Result: Sendable>(_ loops: Loops, _ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in loops.loop.execute { continuation.resume(returning: body()) } }
    }

    @Test(arguments: [true, false]) func whatATurnDoesLastIsSentAsItEnds(holdsSends: Bool) async throws {
        try await Loops.run(holdsSends: holdsSends) { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            let atOnce = await alone(loops) {
                channel.send(ByteBuffer(string: "last"))
                return arrived(at: peer)
            }
            #expect(atOnce == (holdsSends && Self.isAllowed ? "" : "last"))
            if atOnce.isEmpty { #expect(peer.receive(16) == Array("last".utf8)) }
        }
    }

    @Test func nothingIsHeldWhileThereIsMoreToDo() async throws {
        try await Loops.run { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            let (first, after, other) = try await loops.onLoop { () -> (EventLoopFuture<String>, EventLoopFuture<String>, EventLoopFuture<Void>) in
                // All in one batch of tasks, of which only the last is.
                let first = loops.loop.submit {
                    channel.send(ByteBuffer(string: "first"))
                    return arrived(at: peer)
                }
                let other = loops.loop.submit {
                    channel.send(ByteBuffer(string: "second"))
                    _ = loops.loop.submit {}
                }
                return (first, loops.loop.submit { arrived(at: peer) }, other)
            }
            #expect(try await first.get() == "first")
            #expect(try await after.get() == "second")
            try await other.get()
        }
    }

    @Test func aTaskThatComesAfterFindsItSent() async throws {
        try await Loops.run { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            let later = try await loops.onLoop { () -> EventLoopFuture<String> in
                channel.send(ByteBuffer(string: "held"))
                return loops.loop.submit { arrived(at: peer) }
            }
            #expect(try await later.get() == "held")
        }
    }

    @Test func aTimerThatIsDueFindsItSent() async throws {
        try await Loops.run { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            let later = try await loops.onLoop { () -> EventLoopFuture<String> in
                channel.send(ByteBuffer(string: "held"))
                return loops.loop.scheduleTask(deadline: .now()) { arrived(at: peer) }.futureResult
            }
            #expect(try await later.get() == "held")
        }
    }

    @Test func itsOrderAmongOtherWritesIsKept() async throws {
        try await Loops.run { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            await alone(loops) {
                channel.send(ByteBuffer(string: "a"))
                channel.send(ByteBuffer(string: "b"), ByteBuffer(string: "c"))
                channel.writeAndFlush(ByteBuffer(string: "d"), promise: nil)
                channel.send(ByteBuffer(string: "e"))
            }
            var received: [UInt8] = []
            while received.count < 5 { received += peer.receive(16) }
            #expect(received == Array("abcde".utf8))
        }
    }

    @Test(arguments: [CloseMode.all, .output]) func itIsSentBeforeTheEnd(mode: CloseMode) async throws {
        try await Loops.run { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            await alone(loops) {
                channel.send(ByteBuffer(string: "bye"))
                channel.close(mode: mode, promise: nil)
            }
            #expect(peer.receiveAll() == Array("bye".utf8))
        }
    }

    @Test func itIsSentBeforeTheLoopEnds() async throws {
        let loops = Loops(group: EpollLoopGroup(threads: 1))
        let (channel, peer) = try await loops.pair(Recorder())
        loops.loop.execute {
            loops.loop.askToEnd()
            loops.loop.execute { channel.send(ByteBuffer(string: "bye")) }
        }
        try await loops.group.shutdownGracefully()
        #expect(peer.receiveAll() == Array("bye".utf8))
    }

    @Test(arguments: 0..<3) func whatTheSocketDoesNotTakeKeepsItsPlace(followedBy next: Int) async throws {
        try await Loops.run { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            var expected: [UInt8] = []
            // Each in a turn of its own, and nobody reads: the socket is full long before the last.
            for index in 0..<300 {
                let bytes = [UInt8](repeating: UInt8(index & 255), count: 3000)
                let others = [UInt8](repeating: UInt8(255 - (index & 255)), count: next * 1000)
                expected += bytes + others
                await alone(loops) {
                    channel.send(ByteBuffer(bytes: bytes))
                    if next == 1 { channel.send(ByteBuffer(bytes: others)) }
                    if next == 2 { channel.writeAndFlush(ByteBuffer(bytes: others), promise: nil) }
                }
            }
            #expect(try await loops.onLoop { channel.isAllSent } == false)
            var received: [UInt8] = []
            while received.count < expected.count { received += peer.receive(70_000) }
            #expect(received == expected)
            #expect(try await becomesTrue { try await loops.onLoop { channel.isAllSent } })
        }
    }

    @Test func aConnectionThatHasGoneIsHeardOf() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder)
            await alone(loops) {
                // On the loop, so that it does not hear of it before.
                peer.end()
                channel.send(ByteBuffer(string: "nobody"))
            }
            #expect(await becomesTrue { recorder.hasEnded })
        }
    }

    @Test func moreThanThereArePlacesForAreSentAsWell() async throws {
        try await Loops.run { loops in
            var pairs: [(StreamChannel, Peer)] = []
            for _ in 0..<40 { pairs.append(try await loops.pair(Recorder())) }
            let channels = pairs.map(\.0)
            await alone(loops) {
                for (index, channel) in channels.enumerated() { channel.send(ByteBuffer(string: "to \(index)")) }
            }
            for (index, pair) in pairs.enumerated() { #expect(pair.1.receive(16) == Array("to \(index)".utf8)) }
        }
    }

    @Test func whatIsTooLongIsSentAtOnce() async throws {
        try await Loops.run { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            let long = Int(MESH_RING_CAPACITY)
            let atOnce = await alone(loops) { () -> [Int] in
                channel.send(ByteBuffer(repeating: 1, count: long + 1))
                let first = arrived(at: peer, 3 * long).utf8.count
                channel.send(ByteBuffer(repeating: 1, count: long), ByteBuffer(repeating: 1, count: 1))
                return [first, arrived(at: peer, 3 * long).utf8.count]
            }
            #expect(atOnce == [long + 1, long + 1])
        }
    }
}
