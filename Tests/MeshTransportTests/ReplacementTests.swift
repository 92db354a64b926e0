import Foundation
import MeshExchange
import MeshModel
import MeshPolicy
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

/// A snapshot is replaced as a whole, while requests are under way.
@Suite(.blocking) struct ReplacementTests {
    private static let replacements = 300

    @Test func hundredsOfSnapshotsReplaceEachOtherUnderLoad() async throws {
        let upstreams = try (0..<3).map { _ in try ScriptedUpstream.echo() }
        let refusing = RefusingPort()
        let first = Guarded(SnapshotConfiguration(mesh: "", service: ""))
        var options = MeshUnderTest.Options()
        options.threads = 2
        options.routes = [
            RouteConfiguration(pattern: "/**", target: "backend"), RouteConfiguration(pattern: "/broken/**", target: "broken"),
        ]
        options.change = { configuration in
            var random = RandomSource(seed: 4)
            configuration.destinations.append(
                DestinationConfiguration(
                    service: "broken", policy: CallPolicy(breaker: BreakerPolicy(openFor: .seconds(3600), maxOpen: .seconds(3600))),
                    endpoints: [Endpoint(instance: .random(&random), addresses: [refusing.address])]))
            let copy = configuration
            first.withLock { $0 = copy }
        }
        try await MeshUnderTest.run(upstreams.map(\.address), options) { mesh in
            for _ in 0..<40 { _ = try mesh.get("/broken/") }
            let before = try #require(mesh.runtime.edgeReports().first { $0.to == "broken" })
            #expect(before.events.contains { $0.what == "opened" })

            let clients = Clients(mesh, count: 4)
            let base = first.withLock { $0 }
            for number in 1...Self.replacements {
                try mesh.runtime.install(Self.successor(of: base, number))
                // Some requests see every one of them.
                let answered = clients.answered
                #expect(eventually { clients.answered > answered + 2 })
            }
            clients.stop()
            #expect(clients.failures == [])
            #expect(clients.answered > 2 * Self.replacements)

            let after = try #require(mesh.runtime.edgeReports().first { $0.to == "broken" })
            #expect(after[total: EdgeReport.Name.calls] >= before[total: EdgeReport.Name.calls])
            #expect(after.events.first?.what == before.events.first?.what && after.budget <= before.budget + 30)
            #expect(after.endpoints.map(\.instance) == before.endpoints.map(\.instance))
            let edge = try #require(mesh.runtime.edgeReports().first { $0.to == "backend" })
            #expect(edge[total: EdgeReport.Name.calls] >= UInt64(clients.answered) && edge.active == 0)
        }
    }

    /// Other endpoints, other routes, other times; what is asked for is there in all of them.
    private static func successor(of base: SnapshotConfiguration, _ number: Int) -> SnapshotConfiguration {
        var next = base
        next.revision = UInt64(number + 1)
        next.destinations[0].endpoints.remove(at: number % 3)
        if number % 5 == 0 { next.destinations[0].endpoints = base.destinations[0].endpoints }
        if number % 7 == 0 { next.destinations[0].endpoints[0].draining = true }
        next.destinations[0].policy.timeout = .seconds(20 + number % 10)
        for index in 0..<(number % 2) * 50 { next.routes.append(RouteConfiguration(pattern: "/other\(index)/**", target: "backend")) }
        if number % 3 == 0 { next.routes.reverse() }
        return next
    }

    /// Clients that ask again and again, each over one connection.
    private final class Clients: Sendable {
        private let isStopped = Atomic<Bool>(false)
        private let count = Atomic<Int>(0)
        private let ended = Atomic<Int>(0)
        private let problems = Guarded<[String]>([])
        private let size: Int

        init(_ mesh: MeshUnderTest, count size: Int) {
            self.size = size
            for number in 0..<size {
                Thread.detachNewThread { [self] in
                    do {
                        let socket = try mesh.connect()
                        while !isStopped.load(ordering: .relaxed) { try ask(socket, number) }
                    } catch {
                        problems.withLock { $0.append("\(error)") }
                    }
                    ended.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }

        private func ask(_ socket: RawSocket, _ number: Int) throws {
            let isPost = number % 2 == 1
            try socket.send(
                isPost
                    ? "POST /things HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello" : "GET /things HTTP/1.1\r\nhost: a\r\n\r\n")
            let answer = try socket.receiveMessage()
            if status(answer.head) != 200 || answer.body.count != (isPost ? 5 : 0) { problems.withLock { $0.append(answer.head) } }
            count.wrappingAdd(1, ordering: .relaxed)
        }

        var answered: Int { count.load(ordering: .relaxed) }
        var failures: [String] { problems.withLock { $0 } }

        func stop() {
            isStopped.store(true, ordering: .relaxed)
            _ = eventually { self.ended.load(ordering: .relaxed) == self.size }
        }
    }
}
