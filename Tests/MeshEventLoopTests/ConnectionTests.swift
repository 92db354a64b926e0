import Foundation
import Glibc
import MeshModel
import NIOCore
import Synchronization
import Testing

@testable import MeshEventLoop

/// Listening and connecting.
@Suite struct ConnectionTests {
    private static let local = Result { try NIOCore.SocketAddress(ipAddress: "127.0.0.1", port: 0) }

    private static func listen(
        _ loops: Loops, at address: NIOCore.SocketAddress, observer: Counting = Counting(),
        open: @escaping @Sendable (StreamChannel) throws -> Void = { _ in }
    ) async throws -> StreamListener {
        try await loops.onLoop { [group = loops.group] in
            try group.loops[0].listen(at: address, backlog: 16, targets: group.loops, observer: observer, open: open)
        }
    }

    private static func connect(
        _ loops: Loops, to address: NIOCore.SocketAddress, timeout: TimeAmount = .seconds(30), recorder: Recorder = Recorder()
    ) async throws -> StreamChannel {
        let loop = loops.loop
        return try await loop.flatSubmit {
            let promise = loop.makePromise(of: StreamChannel.self)
            loop.connect(to: address, timeout: timeout) { channel in
                try channel.pipeline.syncOperations.addHandler(recorder)
            } connected: {
                promise.completeWith($0)
            }
            return promise.futureResult
        }.get()
    }

    @Test(arguments: ["127.0.0.1", "::1", "unix"]) func bothEndsKnowTheirNames(host: String) async throws {
        try await Loops.run(threads: 2) { loops in
            let path = "/tmp/mesh-names-\(getpid()).sock"
            let address =
                host == "unix" ? try NIOCore.SocketAddress(unixDomainSocketPath: path) : try NIOCore.SocketAddress(ipAddress: host, port: 0)
            let accepted = Guarded<StreamChannel?>(nil)
            let listener = try await Self.listen(loops, at: address) { channel in accepted.withLock { $0 = channel } }
            let recorder = Recorder()
            let channel = try await Self.connect(loops, to: listener.address!, recorder: recorder)
            #expect(await becomesTrue { accepted.withLock { $0?.isActive } == true })
            let other = accepted.withLock { $0! }
            let (here, there) = try await loops.onLoop { (try channel.localAddress0(), try channel.remoteAddress0()) }
            #expect(there == listener.address)
            #expect(try await other.loop.submit { other.peerHost }.get() == (host == "unix" ? nil : host))
            if host != "unix" { #expect(try await other.loop.submit { other.remoteAddress }.get() == here) }
            #expect(other.isUnix == (host == "unix"))
            #expect(recorder.life == [.added, .registered, .active])
            await listener.close()
            if host == "unix" { #expect(access(path, F_OK) != 0) }
            // What it has accepted goes on.
            #expect(other.isActive)
        }
    }

    @Test func connectionsAreSpreadOverTheLoopsInTurn() async throws {
        try await Loops.run(threads: 3) { loops in
            let places = Guarded<[Int]>([])
            let counting = Counting()
            let listener = try await Self.listen(loops, at: try Self.local.get(), observer: counting) { channel in
                places.withLock { $0.append(channel.loop.index) }
            }
            let peers = try (0..<30).map { _ in try connectPeer(listener.address!) }
            #expect(await becomesTrue { places.withLock { $0.count } == 30 })
            #expect(places.withLock { places in (0..<3).map { index in places.filter { $0 == index }.count } } == [10, 10, 10])
            for peer in peers { peer.end() }
            #expect(await becomesTrue { counting.closed.load(ordering: .relaxed) == 30 })
            await listener.close()
        }
    }

    @Test func aListenerThatPausesLetsConnectionsWait() async throws {
        try await Loops.run { loops in
            let counting = Counting()
            let recorder = Recorder()
            // An address of its own: the port of a closed listener is soon another test's.
            let address = try NIOCore.SocketAddress(ipAddress: "127.71.0.1", port: 0)
            let listener = try await Self.listen(loops, at: address, observer: counting) { channel in
                try channel.pipeline.syncOperations.addHandler(recorder)
            }
            try await loops.onLoop { listener.setPaused(true) }
            let peer = try connectPeer(listener.address!)
            peer.send("patient")
            for _ in 0..<5 { try await loops.onLoop {} }
            #expect(counting.accepted.load(ordering: .relaxed) == 0)
            // The kernel has told of the connection before, and does not again.
            try await loops.onLoop { listener.setPaused(false) }
            #expect(await becomesTrue { recorder.bytes == Array("patient".utf8) })
            await listener.close()
            #expect(counting.listenersClosed.load(ordering: .relaxed) == 1)
            #expect(throws: IOError.self) { try connectPeer(listener.address!) }
        }
    }

    @Test func aListenerWithASmallBatchAcceptsThemAll() async throws {
        try await Loops.run { loops in
            let counting = Counting()
            let listener = try await Self.listen(loops, at: try Self.local.get(), observer: counting)
            try await loops.onLoop {
                listener.batch = 1
                listener.setPaused(true)
            }
            let peers = try (0..<12).map { _ in try connectPeer(listener.address!) }
            try await loops.onLoop { listener.setPaused(false) }
            #expect(await becomesTrue { counting.accepted.load(ordering: .relaxed) == 12 })
            withExtendedLifetime(peers) {}
        }
    }

    @Test func aHandlerThatIsRefusedClosesTheConnection() async throws {
        try await Loops.run { loops in
            let counting = Counting()
            let listener = try await Self.listen(loops, at: try Self.local.get(), observer: counting) { _ in throw ChannelError.eof }
            let peer = try connectPeer(listener.address!)
            #expect(peer.receive(1).isEmpty)
            #expect(await becomesTrue { counting.closed.load(ordering: .relaxed) == 1 })
        }
    }

    @Test func aPortThatIsTakenIsRefused() async throws {
        try await Loops.run { loops in
            let listener = try await Self.listen(loops, at: try Self.local.get())
            do {
                _ = try await Self.listen(loops, at: listener.address!)
                Issue.record("it was taken")
            } catch let error as IOError {
                #expect(error.errnoCode == EADDRINUSE)
            }
            let path = "/tmp/mesh-file-\(getpid())"
            #expect(FileManager.default.createFile(atPath: path, contents: nil))
            await #expect(throws: IOError.self) {
                try await Self.listen(loops, at: try NIOCore.SocketAddress(unixDomainSocketPath: path))
            }
            #expect(FileManager.default.fileExists(atPath: path))
            unlink(path)
        }
    }

    @Test func aDescriptorThatIsHandedDownIsTakenOver() async throws {
        try await Loops.run { loops in
            let counting = Counting()
            let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            #expect(try Self.local.get().withSockAddr { bind(descriptor, $0, socklen_t($1)) } == 0)
            #expect(Glibc.listen(descriptor, 5) == 0)
            // Its parent process has it as well.
            let elsewhere = Peer(dup(descriptor))
            let listener = try await loops.onLoop { [loop = loops.loop] in
                try loop.listen(with: descriptor, backlog: 5, targets: [loop], observer: counting) { _ in }
            }
            let first = try connectPeer(listener.address!)
            #expect(await becomesTrue { counting.accepted.load(ordering: .relaxed) == 1 })
            await listener.close()
            // It waits for whoever listens next.
            let second = try connectPeer(listener.address!)
            for _ in 0..<3 { try await loops.onLoop {} }
            #expect(counting.accepted.load(ordering: .relaxed) == 1)
            withExtendedLifetime((first, second, elsewhere)) {}
        }
        try await Loops.run { loops in
            var ends: [CInt] = [0, 0]
            #expect(pipe(&ends) == 0)
            let (reading, writing) = (ends[0], Peer(ends[1]))
            await #expect(throws: IOError.self) {
                _ = try await loops.onLoop { [loop = loops.loop] in
                    try loop.listen(with: reading, backlog: 5, targets: [loop], observer: Counting()) { _ in }
                }
            }
            withExtendedLifetime(writing) {}
        }
    }

    @Test func aConnectThatIsRefusedSaysSo() async throws {
        try await Loops.run { loops in
            let listener = try await Self.listen(loops, at: try Self.local.get())
            let address = listener.address!
            await listener.close()
            let paths = ["/tmp/mesh-none-\(getpid()).sock"]
            let addresses = try [address] + paths.map { try NIOCore.SocketAddress(unixDomainSocketPath: $0) }
            for (address, code) in zip(addresses, [ECONNREFUSED, ENOENT]) {
                let recorder = Recorder()
                do {
                    _ = try await Self.connect(loops, to: address, recorder: recorder)
                    Issue.record("nobody listens")
                } catch let error as IOError {
                    #expect(error.errnoCode == code)
                }
                #expect(await becomesTrue { recorder.life == [.added, .registered, .unregistered, .removed] })
            }
        }
    }

    @Test func aConnectThatIsNotAnsweredEndsAtItsTime() async throws {
        // A queue that is full: the kernel drops who comes.
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        #expect(try Self.local.get().withSockAddr { bind(descriptor, $0, socklen_t($1)) } == 0)
        #expect(Glibc.listen(descriptor, 0) == 0)
        let listening = Peer(descriptor)
        let address = Socket.localAddress(descriptor)!
        var waiting: [Peer] = []
        for _ in 0..<4 {
            let client = Peer(try Socket.make(for: address))
            _ = address.withSockAddr { Glibc.connect(client.descriptor, $0, socklen_t($1)) }
            waiting.append(client)
        }
        try await Loops.run { loops in
            let recorder = Recorder()
            let began = NIODeadline.now()
            do {
                _ = try await Self.connect(loops, to: address, timeout: .milliseconds(50), recorder: recorder)
                Issue.record("it was not accepted")
            } catch let error as ChannelError {
                #expect(error == .connectTimeout(.milliseconds(50)))
            }
            #expect(NIODeadline.now() - began >= .milliseconds(50))
            #expect(await becomesTrue { recorder.life == [.added, .registered, .unregistered, .removed] })
        }
        withExtendedLifetime((waiting, listening)) {}
    }

    /// The connection is used before the handlers have heard that it is active, and ends in the middle of that.
    @Test func whatIsWrittenAsSoonAsItStandsArrives() async throws {
        try await Loops.run { loops in
            let accepted = Recorder()
            let listener = try await Self.listen(loops, at: try Self.local.get()) { try $0.pipeline.syncOperations.addHandler(accepted) }
            let recorder = Recorder()
            let loop = loops.loop
            try await loops.onLoop {
                loop.connect(to: listener.address!, timeout: .seconds(30)) { channel in
                    try channel.pipeline.syncOperations.addHandler(recorder)
                } connected: { result in
                    let channel = try! result.get()
                    #expect(channel.isActive && recorder.life == [.added, .registered])
                    channel.send(ByteBuffer(string: "at once"))
                    channel.writeAndFlush(ByteBuffer(string: ", and by the pipeline"), promise: nil)
                }
            }
            #expect(await becomesTrue { accepted.bytes == Array("at once, and by the pipeline".utf8) })
            let closing = Recorder()
            try await loops.onLoop {
                loop.connect(to: listener.address!, timeout: .seconds(30)) { channel in
                    try channel.pipeline.syncOperations.addHandler(closing)
                } connected: { result in
                    try! result.get().close(promise: nil)
                }
            }
            #expect(await becomesTrue { closing.life == [.added, .registered, .unregistered, .removed] })
        }
    }
}
