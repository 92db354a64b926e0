import Glibc
import MeshModel
import NIOCore
import Synchronization
import Testing

@testable import MeshEventLoop

@Suite struct StreamChannelTests {
    private static let wholeLife: [Recorder.Event] = [.added, .registered, .active, .inactive, .unregistered, .removed]

    @Test func aChannelLivesUntilItsPeerEnds() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder)
            #expect(channel.isActive)
            peer.send("hello")
            #expect(await becomesTrue { recorder.bytes == Array("hello".utf8) })
            peer.end()
            try await channel.closeFuture.get()
            #expect(await becomesTrue { recorder.life == Self.wholeLife })
            #expect(!channel.isActive)
            #expect(recorder.events.filter { $0 == .read }.count == 1)
        }
    }

    @Test func closingFailsWhatIsQueuedAndIsToldOnce() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder)
            let unflushed = channel.eventLoop.makePromise(of: Void.self)
            channel.write(ByteBuffer(string: "never"), promise: unflushed)
            try await channel.close()
            await #expect(throws: ChannelError.self) { try await unflushed.futureResult.get() }
            await #expect(throws: ChannelError.alreadyClosed) { try await channel.close() }
            await #expect(throws: ChannelError.ioOnClosedChannel) { try await channel.writeAndFlush(ByteBuffer(string: "late")) }
            #expect(await becomesTrue { recorder.life == Self.wholeLife })
            #expect(peer.receiveAll().isEmpty)
            try await channel.closeFuture.get()
        }
    }

    /// Whatever a handler is told: it may close the channel then, and hears of the end once.
    @Test(arguments: [Recorder.Event.registered, .active, .read, .readComplete, .writability, .inputClosed, .outputClosed, .inactive])
    func aHandlerMayCloseInEveryCallback(event: Recorder.Event) async throws {
        try await Loops.run { loops in
            let recorder = Recorder { told, context in
                if told == event { context.close(promise: nil) }
            }
            let (ours, theirs) = Loops.socketPair()
            let peer = Peer(theirs)
            let loop = loops.loop
            let channel = try await loops.onLoop { () -> StreamChannel in
                let channel = StreamChannel(descriptor: ours, isUnix: true, loop: loop)
                try channel.syncOptions!.setOption(.allowRemoteHalfClosure, value: true)
                try channel.pipeline.syncOperations.addHandler(recorder)
                try? channel.begin()
                return channel
            }
            if event == .writability { channel.write(ByteBuffer(repeating: 0, count: 1 << 20), promise: nil) }
            if event == .outputClosed { channel.close(mode: .output, promise: nil) }
            peer.send("some bytes")
            if event == .inputClosed { peer.endOutput() }
            if event == .inactive { peer.end() }
            if event == .inactive { channel.close(promise: nil) }
            try await channel.closeFuture.get()
            #expect(await becomesTrue { recorder.hasEnded })
            var expected = Self.wholeLife
            if event == .registered { expected = [.added, .registered, .unregistered, .removed] }
            #expect(recorder.life.filter { $0 != .inputClosed && $0 != .outputClosed } == expected)
            #expect(try await loops.onLoop { channel.descriptor } == -1)
        }
    }

    @Test func aResetIsToldAsAnError() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let listening = try await loops.onLoop { [loop = loops.loop] in
                try loop.listen(
                    at: try NIOCore.SocketAddress(ipAddress: "127.0.0.1", port: 0), backlog: 16, targets: [loop], observer: Counting()
                ) { channel in try channel.pipeline.syncOperations.addHandler(recorder) }
            }
            let peer = try connectPeer(listening.address!)
            #expect(await becomesTrue { recorder.events.contains(.active) })
            peer.reset()
            #expect(await becomesTrue { recorder.hasEnded })
            #expect((recorder.errors.first as? IOError)?.errnoCode == ECONNRESET)
            #expect(recorder.life == [.added, .registered, .active, .error, .inactive, .unregistered, .removed])
            await listening.close()
        }
    }

    @Test func eachSideMayEndBeforeTheOther() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder) {
                try $0.syncOptions!.setOption(.allowRemoteHalfClosure, value: true)
            }
            peer.send("question")
            peer.endOutput()
            #expect(await becomesTrue { recorder.events.contains(.inputClosed) })
            #expect(recorder.bytes == Array("question".utf8))
            try await channel.writeAndFlush(ByteBuffer(string: "answer"))
            // The second end is the channel's.
            try await channel.close(mode: .output)
            #expect(peer.receiveAll() == Array("answer".utf8))
            try await channel.closeFuture.get()
            #expect(recorder.life.prefix(4) == [.added, .registered, .active, .inputClosed])
        }
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder)
            let big = [UInt8](repeating: 7, count: 4 << 20)
            let written = channel.whenWritten(ByteBuffer(bytes: big))
            let ended = channel.whenOutputEnded()
            let refused = channel.whenWritten(ByteBuffer(string: "behind the end"))
            await #expect(throws: ChannelError.outputClosed) { try await refused.get() }
            // All that was written comes before the end.
            #expect(peer.receiveAll() == big)
            try await written.get()
            try await ended.get()
            #expect(await becomesTrue { recorder.events.contains(.outputClosed) })
            peer.send("still heard")
            #expect(await becomesTrue { recorder.bytes == Array("still heard".utf8) })
            peer.end()
            try await channel.closeFuture.get()
        }
    }

    /// What was sent before the end of the peer's side, while nobody wanted to read, is delivered before that end.
    @Test func theEndIsSeenWhereNobodyReads() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder) { try $0.syncOptions!.setOption(.autoRead, value: false) }
            let sent = [UInt8](repeating: 9, count: 100_000)
            peer.send(sent)
            #expect(recorder.bytes.isEmpty)
            peer.end()
            try await channel.closeFuture.get()
            #expect(recorder.bytes == sent)
        }
    }

    @Test func aRefusedWriteClosesTheChannel() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder) { try $0.syncOptions!.setOption(.allowRemoteHalfClosure, value: true) }
            let loop = loops.loop
            // Both in one turn, so that the channel learns of the end by its write.
            let written = try await loops.onLoop {
                peer.end()
                let promise = loop.makePromise(of: Void.self)
                channel.writeAndFlush(ByteBuffer(string: "nobody reads"), promise: promise)
                return promise.futureResult
            }
            await #expect(throws: IOError.self) { try await written.get() }
            try await channel.closeFuture.get()
            #expect(await becomesTrue { recorder.events.last == .removed })
        }
    }

    /// A closed channel's place and descriptor are taken by another within one batch of events: what lay in the batch is not for it.
    @Test func anEventOfAClosedChannelReachesNoOther() async throws {
        try await Loops.run { loops in
            let loop = loops.loop
            let born = Guarded<Recorder?>(nil)
            let ends = Guarded<[Peer]>([])
            let channels = Guarded<[StreamChannel]>([])
            // Whichever is told first closes the other one, and takes its number.
            let act: @Sendable (Recorder.Event, ChannelHandlerContext) -> Void = { event, context in
                guard event == .read, born.withLock({ $0 == nil }) else { return }
                let other = channels.withLock { $0.first { $0 !== context.channel } }!
                other.close(promise: nil)
                // As a rule it gets the number that has become free; its place in the loop's table it gets always.
                let (ours, theirs) = Loops.socketPair()
                let recorder = Recorder()
                born.withLock { $0 = recorder }
                ends.withLock { $0.append(Peer(theirs)) }
                let channel = StreamChannel(descriptor: ours, isUnix: true, loop: loop)
                try! channel.pipeline.syncOperations.addHandler(recorder)
                try! channel.begin()
            }
            let first = try await loops.pair(Recorder(act))
            let second = try await loops.pair(Recorder(act))
            channels.withLock { $0 = [first.channel, second.channel] }
            try await loops.onLoop {
                first.peer.send("one")
                second.peer.send("two")
            }
            #expect(await becomesTrue { born.withLock { $0 != nil } })
            try await loops.onLoop {}
            #expect(born.withLock { $0!.life } == [.added, .registered, .active])
            #expect(born.withLock { $0!.reads }.isEmpty)
        }
    }
}

extension StreamChannel {
    fileprivate func whenWritten(_ bytes: ByteBuffer) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        writeAndFlush(bytes, promise: promise)
        return promise.futureResult
    }

    fileprivate func whenOutputEnded() -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        close(mode: .output, promise: promise)
        return promise.futureResult
    }
}

func connectPeer(_ address: NIOCore.SocketAddress) throws -> Peer {
    let descriptor = socket(CInt(address.protocol.rawValue), CInt(SOCK_STREAM.rawValue), 0)
    let result = address.withSockAddr { Glibc.connect(descriptor, $0, socklen_t($1)) }
    guard result == 0 else {
        Glibc.close(descriptor)
        throw IOError(errnoCode: errno, reason: "connect")
    }
    return Peer(descriptor)
}
