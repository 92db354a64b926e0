import Foundation
import MeshExchange
import MeshModel
import Synchronization
import TestSupport
import Testing

@testable import MeshTransport

@Suite(.blocking) struct StreamingTests {
    /// Far more than sockets hold, far less than the answer.
    private static let held = 64 << 20

    @Test func aSlowClientHoldsTheUpstreamBackAndLosesNothing() async throws {
        let total = 200 << 20
        let sent = Atomic<Int>(0)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: \(total)\r\n\r\n")
            let piece = [UInt8](repeating: 7, count: 1 << 20)
            for _ in 0..<(total >> 20) {
                try socket.send(piece)
                sent.wrappingAdd(1 << 20, ordering: .relaxed)
            }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            _ = try client.receive(until: "\r\n\r\n")
            // The upstream comes to a halt, far from its end.
            #expect(eventually { stands(sent) })
            #expect(sent.load(ordering: .relaxed) < Self.held)
            var left = total
            while left > 0 {
                let bytes = try client.receive()
                guard !bytes.isEmpty else { break }
                left -= bytes.count
            }
            #expect(left == 0)
        }
    }

    @Test func aSlowUpstreamHoldsTheClientBack() async throws {
        let total = 200 << 20
        let sent = Atomic<Int>(0)
        let goOn = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receive(until: "\r\n\r\n")
            _ = eventually { goOn.load(ordering: .relaxed) }
            var left = total
            while left > 0 { left -= try socket.receive().count }
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            let sender = Thread {
                let piece = [UInt8](repeating: 7, count: 1 << 20)
                try? client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(total)\r\n\r\n")
                for _ in 0..<(total >> 20) {
                    guard (try? client.send(piece)) != nil else { return }
                    sent.wrappingAdd(1 << 20, ordering: .relaxed)
                }
            }
            sender.start()
            #expect(eventually { stands(sent) })
            #expect(sent.load(ordering: .relaxed) < Self.held)
            goOn.store(true, ordering: .relaxed)
            #expect(try client.receiveMessage().body == Array("ok".utf8))
        }
    }

    /// Something was sent, and for a while nothing more.
    private func stands(_ count: borrowing Atomic<Int>) -> Bool {
        let before = count.load(ordering: .relaxed)
        usleep(100_000)
        return before > 0 && count.load(ordering: .relaxed) == before
    }

    @Test func aClientThatLeavesIsFollowedByItsUpstreamCall() async throws {
        let began = Atomic<Bool>(false)
        let ended = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            began.store(true, ordering: .relaxed)
            if socket.sawEnd() { ended.store(true, ordering: .relaxed) }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(eventually { began.load(ordering: .relaxed) })
            client.close()
            #expect(eventually { ended.load(ordering: .relaxed) })
        }
    }

    @Test func aClientThatHalfClosesHasLeft() async throws {
        let ended = Atomic<Bool>(false)
        let upstream = try ScriptedUpstream { socket, _ in
            _ = try socket.receiveMessage()
            try socket.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            if socket.sawEnd() { ended.store(true, ordering: .relaxed) }
        }
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let client = try mesh.connect()
            try client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            _ = try client.receive(until: "\r\n\r\n")
            client.shutdownWriting()
            #expect(eventually { ended.load(ordering: .relaxed) })
        }
    }

    @Test func unixSocketsCarryTheSame() async throws {
        let folder = NSTemporaryDirectory() + "mesh-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let upstream = try ScriptedUpstream.echo(path: folder + "/up.sock")
        try await MeshUnderTest.run([upstream.address]) { mesh in
            let answer = try mesh.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello")
            #expect(answer.body == Array("hello".utf8))
        }
    }

    @Test func theFirstAddressThatAnswersIsTaken() async throws {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        let address = upstream.address
        options.change = { $0.destinations[0].endpoints[0].addresses = [.unix(path: "/nowhere/at/all.sock"), address] }
        try await MeshUnderTest.run([address], options) { mesh in
            do {
                let answer = try mesh.get("/")
                #expect(status(answer.head) == 200)
            }
        }
    }

    @Test func aNameIsResolvedOnceAndItsAddressesTakenInTurn() async throws {
        let upstream = try ScriptedUpstream.echo()
        var options = MeshUnderTest.Options()
        let port = upstream.port
        options.change = { $0.destinations[0].endpoints[0].addresses = [.tcp(host: "localhost", port: port)] }
        try await MeshUnderTest.run([upstream.address], options) { mesh in
            do {
                let answer = try mesh.get("/")
                #expect(status(answer.head) == 200)
            }
            do {
                let answer = try mesh.get("/")
                #expect(status(answer.head) == 200)
            }
        }
    }
}
