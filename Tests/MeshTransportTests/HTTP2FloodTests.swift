import MeshExchange
import NIOCore
import NIOHPACK
import NIOHTTP2
import TestSupport
import Testing

@testable import MeshTransport

/// A client that costs more than it may ends its own connection, and nobody else's.
@Suite(.blocking) struct HTTP2FloodTests {
    /// Runs a flood beside another client that is served before, during and after it.
    private func flood(_ attack: @escaping @Sendable (RawSocket) throws -> Void) async throws {
        let upstream = try ScriptedUpstream.echo()
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let bystander = try HTTP2Peer(mesh.connect(), mode: .client)
            #expect(try bystander.message(bystander.request()).status == 200)
            let attacker = try mesh.connect()
            try attacker.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0])
            // The connection may be gone before the last frame.
            try? attack(attacker)
            #expect(try bystander.message(bystander.request()).status == 200)
            #expect(attacker.sawEnd())
            #expect(try bystander.message(bystander.request()).status == 200)
            #expect(eventually { mesh.clientConnections.reduce(0, +) == 1 })
        }
    }

    private static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
            + [UInt8(stream >> 24), UInt8(stream >> 16 & 255), UInt8(stream >> 8 & 255), UInt8(stream & 255)] + payload
    }

    /// `:method GET`, `:scheme http`, `:path /` of the static table, and `:authority a`.
    private static let get: [UInt8] = [0x82, 0x86, 0x84, 0x01, 0x01, 0x61]

    @Test func ofResets() async throws {
        try await flood { socket in
            for number in 0..<UInt32(2000) {
                let stream = number * 2 + 1
                try socket.send(Self.frame(1, flags: 5, stream: stream, Self.get) + Self.frame(3, stream: stream, [0, 0, 0, 8]))
            }
        }
    }

    @Test func ofSettings() async throws {
        try await flood { socket in for _ in 0..<3000 { try socket.send(Self.frame(4)) } }
    }

    @Test func ofPings() async throws {
        try await flood { socket in for _ in 0..<3000 { try socket.send(Self.frame(6, [0, 1, 2, 3, 4, 5, 6, 7])) } }
    }

    @Test func ofContinuations() async throws {
        try await flood { socket in
            try socket.send(Self.frame(1, stream: 1, Self.get))
            for _ in 0..<1000 { try socket.send(Self.frame(9, stream: 1, [0x00, 0x01, 0x62, 0x01, 0x63])) }
        }
    }

    @Test func ofEmptyData() async throws {
        try await flood { socket in
            try socket.send(Self.frame(1, flags: 4, stream: 1, [0x83, 0x86, 0x84, 0x01, 0x01, 0x61]))
            for _ in 0..<1000 { try socket.send(Self.frame(0, stream: 1)) }
        }
    }

    @Test func ofHeaders() async throws {
        try await flood { socket in
            // A field of 127 bytes that enters the table, then hundreds of references to it.
            var block = Self.get + [0x40, 0x01, 0x62, 0x7f, 0x00] + [UInt8](repeating: 0x61, count: 127)
            block += [UInt8](repeating: 0xbe, count: 1000)
            try socket.send(Self.frame(1, flags: 5, stream: 1, block))
        }
    }
}
