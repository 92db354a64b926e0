import Foundation
import Glibc
import NIOCore
import Synchronization
import Testing

@testable import MeshEventLoop

/// The end of a connection that a test holds itself.
final class Peer: Sendable {
    let descriptor: CInt
    private let isClosed = Atomic<Bool>(false)

    init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit { end() }

    func end() {
        if !isClosed.exchange(true, ordering: .relaxed) { Glibc.close(descriptor) }
    }

    /// Ends the connection as a crash does.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        end()
    }

    func endOutput() { Glibc.shutdown(descriptor, CInt(SHUT_WR)) }

    func send(_ bytes: [UInt8]) {
        var left = bytes[...]
        while !left.isEmpty {
            let count = left.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            left = left.dropFirst(count)
        }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// What is there, at most `count`; waits for the first byte. Empty at the end.
    func receive(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let received = recv(descriptor, &bytes, count, 0)
        return Array(bytes.prefix(max(0, received)))
    }

    func receiveAll() -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let bytes = receive(1 << 16)
            if bytes.isEmpty { return all }
            all += bytes
        }
    }
}

/// A loop with sockets, for one test.
struct Loops {
    let group: EpollLoopGroup
    var loop: EpollLoop { group.loops[0] }

    static func run(threads: Int = 1, holdsSends: Bool = true, _ body: (Loops) async throws -> Void) async throws {
        let loops = Loops(group: EpollLoopGroup(threads: threads, holdsSends: holdsSends))
        do {
            try await body(loops)
        } catch {
            try await loops.group.shutdownGracefully()
            throw error
        }
        try await loops.group.shutdownGracefully()
    }

    /// A channel over one end of a pair of Unix sockets, and the other end.
    func pair(
        _ handlers: any ChannelHandler & Sendable..., prepare: @escaping @Sendable (StreamChannel) throws -> Void = { _ in }
    ) async throws -> (channel: StreamChannel, peer: Peer) {
        let (ours, theirs) = Self.socketPair()
        let channel = try await loop.submit { [loop, handlers] in
            let channel = StreamChannel(descriptor: ours, isUnix: true, loop: loop)
            for handler in handlers { try channel.pipeline.syncOperations.addHandler(handler) }
            try prepare(channel)
            try channel.begin()
            return channel
        }.get()
        return (channel, Peer(theirs))
    }

    /// The first does not block.
    static func socketPair() -> (CInt, CInt) {
        var ends: [CInt] = [0, 0]
        precondition(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        return (ends[0], ends[1])
    }

    func onLoop<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await loop.submit(body).get()
    }
}

/// A fact that comes true soon.
func becomesTrue(_ fact: @Sendable () async throws -> Bool) async rethrows -> Bool {
    let end = Date(timeIntervalSinceNow: 60)
    while Date() < end {
        if try await fact() { return true }
        try? await Task.sleep(nanoseconds: 1_000_000)
    }
    return try await fact()
}

/// Notes connections.
final class Counting: StreamListenerObserver {
    let accepted = Atomic<Int>(0)
    let closed = Atomic<Int>(0)
    let listenersClosed = Atomic<Int>(0)

    func accepted(by listener: StreamListener) { accepted.wrappingAdd(1, ordering: .relaxed) }
    func batchEnded(of listener: StreamListener) {}
    func listenerClosed(_ listener: StreamListener) { listenersClosed.wrappingAdd(1, ordering: .relaxed) }
    func connectionClosed() { closed.wrappingAdd(1, ordering: .relaxed) }
}

/// How often something has happened, on whatever thread.
final class Count: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .relaxed) }
    func increment() { count.wrappingAdd(1, ordering: .relaxed) }
}
