import MeshExchange
import MeshModel
import MeshPolicy
import TestSupport
import Testing

@testable import MeshTransport

/// `balance: hash` end to end: the same endpoint for the same header, cookie or client.
@Suite(.blocking) struct AffinityTests {
    private func homes(_ key: HashKey, mode: InboundMode = .gateway, fields: [String]) async throws -> [String] {
        let upstreams = try (0..<8).map { number in
            try ScriptedUpstream.answering { _ in "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\(number)" }
        }
        var options = MeshUnderTest.Options()
        options.mode = mode
        options.policy.balance = .hash(on: key)
        return try await MeshUnderTest.run(upstreams.map(\.address), options) { mesh in
            try fields.map { String(decoding: try mesh.get("/", fields: $0).body, as: UTF8.self) }
        }
    }

    @Test func ofAHeaderInAnyCase() async throws {
        let values = (0..<10).map { "X-User: user-\($0)\r\n" }
        let homes = try await homes(.header(name: "x-user"), fields: values + values.map { $0.lowercased() })
        #expect(homes.prefix(10) == homes.suffix(10) && Set(homes).count > 2)
    }

    @Test func ofACookieWhereverItStands() async throws {
        let values = (0..<10).map { "cookie: a=1; session=\($0)\r\n" }
        let homes = try await homes(
            .cookie(name: "session"), fields: values + (0..<10).map { "cookie: session=\($0) ;b=2; Session=x\r\n" })
        #expect(homes.prefix(10) == homes.suffix(10) && Set(homes).count > 2)
    }

    @Test func ofTheClientAsTheEdgeSawIt() async throws {
        #expect(Set(try await homes(.source, fields: (0..<5).map { "x-forwarded-for: 10.0.0.\($0)\r\n" })).count == 1)
        let values = (0..<10).map { "x-forwarded-for: 10.0.0.\($0)\r\n" }
        let inside = try await homes(
            .source, mode: .forward(to: "backend"), fields: values + values.map { $0.dropLast() + ", 10.1.1.1\r\n" })
        #expect(inside.prefix(10) == inside.suffix(10) && Set(inside).count > 2)
    }
}
