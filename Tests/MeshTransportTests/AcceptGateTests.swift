import Glibc
import MeshExchange
import MeshModel
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct AcceptGateTests {
    private static let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"

    private static func ask(_ socket: RawSocket) throws -> Int {
        try socket.send(request)
        return status(try socket.receiveMessage().head)
    }

    private static func isSilent(_ socket: RawSocket) -> Bool {
        var byte: UInt8 = 0
        return recv(socket.descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) < 0 && errno == EAGAIN
    }

    @Test func aConnectionOverTheLimitWaitsUntilAnotherEnds() async throws {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        options.threads = 2
        options.change = { $0.limits.connections = 3 }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            var clients = try (0..<3).map { _ in try mesh.connect() }
            for client in clients { #expect(try Self.ask(client) == 200) }
            let waiting = try (0..<5).map { _ in try mesh.connect() }
            for client in waiting { try client.send(Self.request) }
            // Those that are open go on, and while they do no other is served.
            for client in clients + clients { #expect(try Self.ask(client) == 200) }
            #expect(mesh.clientConnections.reduce(0, +) == 3)
            #expect(waiting.allSatisfy(Self.isSilent))

            // One after the other gets its turn, in the order in which they came.
            for client in waiting {
                clients.removeFirst().close()
                #expect(status(try client.receiveMessage().head) == 200)
                #expect(mesh.clientConnections.reduce(0, +) <= 3)
                clients.append(client)
            }
        }
    }

    @Test func aHigherLimitLetsThoseInWhoWait() async throws {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        options.change = { $0.limits.connections = 1 }
        let address = upstream.address
        try await MeshUnderTest.run([address], options) { [options] mesh in
            let first = try mesh.connect()
            #expect(try Self.ask(first) == 200)
            let second = try mesh.connect()
            try second.send(Self.request)
            #expect(try Self.ask(first) == 200)
            #expect(Self.isSilent(second))
            var wider = options
            wider.change = { $0.limits.connections = 2 }
            try mesh.runtime.install(MeshUnderTest.configuration([address], wider))
            #expect(status(try second.receiveMessage().head) == 200)
        }
    }

    @Test func manyComeAndGoWithinTheLimit() async throws {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        options.threads = 3
        options.change = { $0.limits.connections = 4 }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            let clients = try (0..<60).map { _ in try mesh.connect() }
            for client in clients { try client.send(Self.request) }
            for client in clients {
                #expect(status(try client.receiveMessage().head) == 200)
                #expect(mesh.runtime.gate.open <= 4)
                client.close()
            }
            #expect(eventually { mesh.runtime.gate.open == 0 })
        }
    }

    @Test func memoryIsGivenBackOnceAfterManyHaveGone() {
        let releases = Guarded(0)
        let memory = FreedMemory { releases.withLock { $0 += 1 } }
        memory.rose(to: 1000)
        for count in stride(from: 999, through: 760, by: -1) { memory.fell(to: count) }
        #expect(releases.withLock { $0 } == 0)
        for count in stride(from: 759, through: 0, by: -1) { memory.fell(to: count) }
        #expect(eventually { releases.withLock { $0 } == 1 })
        // From here on it is the new crowd that counts.
        memory.rose(to: 200)
        memory.fell(to: 0)
        #expect(releases.withLock { $0 } == 1)
    }
}
