import Glibc
import MeshModel
import NIOCore
import Synchronization
import Testing

@testable import MeshEventLoop

/// Reading and writing: pressure, order, and what an edge-triggered kernel tells only once.
@Suite struct FlowTests {
    @Test func whatTheSocketDoesNotTakeWaitsInOrder() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder)
            let order = Guarded<[Int]>([])
            let pieces = (0..<40).map { index in [UInt8](repeating: UInt8(index), count: 1 + index * 7919 % 90_000) }
            try await loops.onLoop {
                for (index, piece) in pieces.enumerated() {
                    let promise = channel.eventLoop.makePromise(of: Void.self)
                    promise.futureResult.whenSuccess { order.withLock { $0.append(index) } }
                    channel.write(ByteBuffer(bytes: piece), promise: promise)
                    // Past the pipeline it takes its place behind what is queued.
                    if index % 5 == 4 { channel.flush() }
                }
                channel.flush()
                #expect(!channel.isWritable)
            }
            let expected = pieces.flatMap { $0 }
            var received: [UInt8] = []
            while received.count < expected.count { received += peer.receive(10_000) }
            #expect(received == expected)
            #expect(await becomesTrue { order.withLock { $0 } == Array(0..<40) })
            // As often as it went down it went up again.
            #expect(await becomesTrue { channel.isWritable })
            let changes = recorder.events.filter { $0 == .writability }.count
            #expect(changes > 0 && changes % 2 == 0)
            #expect(try await loops.onLoop { channel.isAllSent })
        }
    }

    @Test func whatIsSentPastThePipelineKeepsItsPlace() async throws {
        try await Loops.run { loops in
            let (channel, peer) = try await loops.pair(Recorder())
            var expected: [UInt8] = []
            for index in 0..<60 {
                let one = [UInt8](repeating: UInt8(index), count: index % 3 * 40_000 + 1)
                let two = [UInt8](repeating: UInt8(255 - index), count: index % 4 * 1000)
                expected += one + two
                try await loops.onLoop {
                    switch index % 3 {
                    case 0: channel.send(ByteBuffer(bytes: one), ByteBuffer(bytes: two))
                    case 1:
                        channel.send(ByteBuffer(bytes: one))
                        channel.send(ByteBuffer(bytes: two))
                    default:
                        channel.write(ByteBuffer(bytes: one), promise: nil)
                        channel.writeAndFlush(ByteBuffer(bytes: two), promise: nil)
                    }
                }
            }
            var received: [UInt8] = []
            while received.count < expected.count { received += peer.receive(70_000) }
            #expect(received == expected)
        }
    }

    @Test func nothingIsReadUnasked() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder) { try $0.syncOptions!.setOption(.autoRead, value: false) }
            let sent = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
            peer.send(sent)
            for _ in 0..<3 { try await loops.onLoop {} }
            #expect(recorder.reads.isEmpty)
            // Each time one piece, though the kernel told of the bytes only once.
            var reads = 0
            while recorder.bytes.count < sent.count {
                channel.read()
                reads += 1
                let hasCome = await recorder.readsReach(reads)
                #expect(hasCome)
            }
            #expect(recorder.bytes == sent)
            #expect(reads >= 5)
            // Asked for before there is anything.
            channel.read()
            peer.send("more")
            let hasCome = await recorder.readsReach(reads + 1)
            #expect(hasCome)
            peer.send("and more")
            for _ in 0..<3 { try await loops.onLoop {} }
            #expect(recorder.reads.count == reads + 1)
            try await channel.setOption(.autoRead, value: true).get()
            #expect(await becomesTrue { recorder.bytes.suffix(8) == Array("and more".utf8) })
        }
    }

    @Test func aHandlerThatHasEnoughGetsNoMore() async throws {
        try await Loops.run { loops in
            let recorder = Recorder { event, context in
                if event == .read { try! context.channel.syncOptions!.setOption(.autoRead, value: false) }
            }
            let (channel, peer) = try await loops.pair(recorder)
            let sent = [UInt8](repeating: 3, count: 30_000)
            peer.send(sent)
            #expect(await becomesTrue { recorder.reads.count == 1 })
            for _ in 0..<3 { try await loops.onLoop {} }
            #expect(recorder.reads.count == 1)
            while recorder.bytes.count < sent.count {
                let before = recorder.reads.count
                try await channel.setOption(.autoRead, value: true).get()
                #expect(await becomesTrue { recorder.reads.count == before + 1 })
            }
            #expect(recorder.bytes == sent)
        }
    }

    /// A pause takes back what was asked for, and the end of the pause asks anew.
    @Test func aPauseHoldsAlsoWhatWasAskedFor() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder)
            try await channel.setOption(.autoRead, value: false).get()
            peer.send("later")
            for _ in 0..<3 { try await loops.onLoop {} }
            #expect(recorder.reads.isEmpty)
            try await channel.setOption(.autoRead, value: true).get()
            #expect(await becomesTrue { recorder.bytes == Array("later".utf8) })
        }
    }

    /// One that is given much does not keep the others of its loop waiting.
    @Test func aChannelWithMuchToReadLeavesTurnsToOthers() async throws {
        try await Loops.run { loops in
            let turns = Guarded<[Int]>([])
            let handlers = (0..<2).map { index in
                Recorder { event, _ in if event == .readComplete { turns.withLock { $0.append(index) } } }
            }
            var connections: [(channel: StreamChannel, peer: Peer)] = []
            for handler in handlers {
                let connection = try await loops.pair(handler)
                var size: CInt = 1 << 20
                setsockopt(connection.peer.descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
                connections.append(connection)
            }
            let peers = connections.map(\.peer)
            let sent = [UInt8](repeating: 1, count: 150_000)
            try await loops.onLoop { for peer in peers { peer.send(sent) } }
            #expect(await becomesTrue { handlers.allSatisfy { $0.bytes.count == sent.count } })
            // The second one was served before the first one had all.
            let order = turns.withLock { $0 }
            #expect(order.firstIndex(of: order.last!)! < order.lastIndex(of: 1 - order.last!)!)
        }
    }

    @Test func aReaderPastThePipelineGetsTheSame() async throws {
        final class Reader: StreamReader, Sendable {
            let bytes = Guarded<[UInt8]>([])
            let completed = Atomic<Int>(0)

            func received(_ bytes: ByteBuffer) { self.bytes.withLock { $0 += bytes.readableBytesView } }
            func receivedAll() { completed.wrappingAdd(1, ordering: .relaxed) }
        }
        try await Loops.run { loops in
            let (reader, recorder) = (Reader(), Recorder())
            let (channel, peer) = try await loops.pair(recorder) { $0.reader = reader }
            let sent = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 11) }
            peer.send(sent)
            #expect(await becomesTrue { reader.bytes.withLock { $0.count } == sent.count })
            #expect(reader.bytes.withLock { $0 } == sent)
            #expect(reader.completed.load(ordering: .relaxed) > 0)
            // The pipeline takes over where a handler is put in between.
            try await loops.onLoop { channel.reader = nil }
            peer.send("by the pipeline")
            #expect(await becomesTrue { recorder.bytes == Array("by the pipeline".utf8) })
            peer.end()
            try await channel.closeFuture.get()
            #expect(recorder.events.contains(.inactive))
        }
    }

    @Test func aQuietConnectionIsOneWithoutBytesAndWithoutEnd() async throws {
        try await Loops.run { loops in
            let recorder = Recorder()
            let (channel, peer) = try await loops.pair(recorder)
            let atFirst = try await loops.onLoop { channel.isQuiet }
            let withBytes = try await loops.onLoop {
                peer.send("something")
                return channel.isQuiet
            }
            #expect(await becomesTrue { !recorder.reads.isEmpty })
            let afterThem = try await loops.onLoop { channel.isQuiet }
            let atItsEnd = try await loops.onLoop {
                peer.end()
                return channel.isQuiet
            }
            #expect([atFirst, withBytes, afterThem, atItsEnd] == [true, false, true, false])
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>) func bytesArriveAsTheyWereWritten(seed: UInt64) async throws {
        var random = SeededGenerator(seed)
        try await Loops.run(threads: 2, holdsSends: seed % 4 < 3) { loops in
            let counting = Counting()
            let ends = (0..<2).map { RandomFlow(seed: random.next(), index: $0) }
            let group = loops.group
            let listener = try await loops.onLoop {
                let address =
                    seed % 2 == 0
                    ? try NIOCore.SocketAddress(ipAddress: "127.0.0.1", port: 0)
                    : try NIOCore.SocketAddress(unixDomainSocketPath: "/tmp/mesh-flow-\(getpid())-\(seed).sock")
                return try group.loops[0].listen(at: address, backlog: 16, targets: group.loops, observer: counting) { channel in
                    try channel.syncOptions!.setOption(.allowRemoteHalfClosure, value: true)
                    try channel.pipeline.syncOperations.addHandler(ends[0])
                }
            }
            try await group.loops[1].submit {
                group.loops[1].connect(to: listener.address!, timeout: .seconds(30)) { channel in
                    try channel.syncOptions!.setOption(.allowRemoteHalfClosure, value: true)
                    try channel.pipeline.syncOperations.addHandler(ends[1])
                } connected: { result in
                    if case .failure(let error) = result { Issue.record("\(error)") }
                }
            }.get()
            #expect(await becomesTrue { ends.allSatisfy(\.hasEnded) })
            for (one, other) in [(0, 1), (1, 0)] {
                #expect(ends[one].received == ends[other].sent)
                #expect(ends[one].wrong == nil)
            }
            await listener.close()
            #expect(counting.accepted.load(ordering: .relaxed) == 1 && counting.closed.load(ordering: .relaxed) == 1)
        }
    }
}

/// Writes bytes that tell their place, in pieces of random size, reads in between or not, and ends its side when all is written.
private final class RandomFlow: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    private struct State {
        var random: SeededGenerator
        var left: Int
        var sent = 0
        var received = 0
        var wrong: Int?
        var hasEnded = false
    }

    private let state: Guarded<State>

    init(seed: UInt64, index: Int) {
        var random = SeededGenerator(seed)
        let total = Int.random(in: 0..<(index == 0 ? Self.bytes.count : 300_000), using: &random)
        state = Guarded(State(random: random, left: total))
    }

    var sent: Int { state.withLock { $0.sent } }
    var received: Int { state.withLock { $0.received } }
    var wrong: Int? { state.withLock { $0.wrong } }
    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// What stands at each place. Compared as memory: byte by byte, the thread sanitizer takes minutes.
    private static let bytes = (0..<1_500_000).map { place in UInt8(truncatingIfNeeded: place &* 31 &+ place >> 8) }

    func channelActive(context: ChannelHandlerContext) {
        step(context.channel)
        write(context.channel)
    }

    private func write(_ channel: any Channel) {
        while channel.isActive {
            let piece = state.withLock { state -> ByteBuffer? in
                let limit = Bool.random(using: &state.random) ? 100 : 60_000
                let count = min(state.left, Int.random(in: 0...limit, using: &state.random))
                guard state.left > 0 else { return nil }
                state.left -= count
                defer { state.sent += count }
                return ByteBuffer(bytes: Self.bytes[state.sent..<state.sent + count])
            }
            guard let piece else { return channel.close(mode: .output, promise: nil) }
            if state.withLock({ Bool.random(using: &$0.random) }), let channel = channel as? StreamChannel {
                channel.send(piece)
            } else {
                channel.writeAndFlush(piece, promise: nil)
            }
            if !channel.isWritable { return }
        }
    }

    /// Pauses and goes on, again and again.
    private func step(_ channel: any Channel) {
        guard channel.isActive else { return }
        let (reads, delay) = state.withLock { state in
            (Int.random(in: 0..<4, using: &state.random) > 0, Int64.random(in: 0..<3, using: &state.random))
        }
        try? channel.syncOptions!.setOption(.autoRead, value: reads)
        if !reads, delay == 0 { channel.read() }
        channel.eventLoop.scheduleTask(in: .milliseconds(delay)) { self.step(channel) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { write(context.channel) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        state.withLock { state in
            let end = state.received + bytes.readableBytes
            let isRight =
                end <= Self.bytes.count
                && bytes.withUnsafeReadableBytes { read in
                    Self.bytes[state.received..<end].withUnsafeBytes { memcmp($0.baseAddress!, read.baseAddress!, read.count) == 0 }
                }
            if !isRight, state.wrong == nil { state.wrong = state.received }
            state.received = end
        }
    }

    func channelInactive(context: ChannelHandlerContext) { state.withLock { $0.hasEnded = true } }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { Issue.record("\(error)") }
}
